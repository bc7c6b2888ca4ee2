//! Who may connect: `--allow` and `--deny` lists of address blocks.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address::Address;

/// Address blocks that may or may not connect. A block in the deny list wins; an empty allow list
/// allows everybody. Unix peers are not judged here: their file's mode does that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessList {
    /// Blocks that may connect; empty: all.
    pub allow: Vec<IpNet>,
    /// Blocks that may not, whatever else says so.
    pub deny: Vec<IpNet>,
}

impl AccessList {
    /// True where a peer of this address may connect. An IPv4 peer that reached an IPv6 socket
    /// (`::ffff:192.0.2.1`) is judged by its IPv4 address.
    pub fn permits(&self, peer: &Address) -> bool {
        let Some(inet) = peer.inet() else { return true };
        let ip = inet.ip().to_canonical();
        let in_any = |blocks: &[IpNet]| blocks.iter().any(|block| block.contains(&ip));
        !in_any(&self.deny) && (self.allow.is_empty() || in_any(&self.allow))
    }
}

/// Parses `192.0.2.0/24`, `2001:db8::/32` or a single address.
///
/// # Errors
/// One sentence that says what is right.
pub fn parse_block(text: &str) -> Result<IpNet, String> {
    if let Ok(block) = text.parse::<IpNet>() {
        return Ok(block.trunc());
    }
    match text.parse::<IpAddr>() {
        Ok(ip) => Ok(ip.into()),
        Err(_) => Err(format!(
            "{:?} is not an address block: write 192.0.2.0/24, 2001:db8::/32 or one address",
            Quoted(text)
        )),
    }
}

/// Parses a list file: one block a line, `#` begins a comment, blank lines are skipped.
///
/// # Errors
/// The first bad line with its number.
pub fn parse_file(text: &str) -> Result<Vec<IpNet>, String> {
    let mut blocks = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            blocks
                .push(parse_block(line).map_err(|error| format!("line {}: {error}", number + 1))?);
        }
        if number >= sockeye_limits::ACCESS_LINES {
            return Err(format!("more than {} lines", sockeye_limits::ACCESS_LINES));
        }
    }
    Ok(blocks)
}

/// Shows a word that may be very long or hold anything.
struct Quoted<'a>(&'a str);

impl fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short: String = self.0.chars().take(64).collect();
        fmt::Debug::fmt(&short, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Address {
        Address::Inet(text.parse().unwrap())
    }

    /// M6: deny wins, an empty allow list allows all, mapped addresses are IPv4.
    #[test]
    fn judgement() {
        let block = |text| parse_block(text).unwrap();
        let list = AccessList { allow: vec![block("10.0.0.0/8")], deny: vec![block("10.1.2.3")] };
        assert!(list.permits(&peer("10.9.9.9:1")));
        assert!(list.permits(&peer("[::ffff:10.9.9.9]:1")));
        assert!(!list.permits(&peer("10.1.2.3:1")));
        assert!(!list.permits(&peer("[::ffff:10.1.2.3]:1")));
        assert!(!list.permits(&peer("192.0.2.1:1")));
        assert!(list.permits(&Address::Unnamed));
        assert!(AccessList::default().permits(&peer("192.0.2.1:1")));
    }

    /// M6, L5: list files, and the number of a bad line.
    #[test]
    fn files() {
        let good = "# ours\n10.0.0.0/8\n\n::1 # me\n";
        assert_eq!(parse_file(good).unwrap().len(), 2);
        let error = parse_file("10.0.0.0/8\n10.0.0.0/33\n").unwrap_err();
        assert!(error.starts_with("line 2:"), "{error}");
    }
}

//! `from="…"`: where a key may come from (ssh_config(5), PATTERNS; sshd(8), from=).

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use sockeye_limits as limits;

use super::line::quote;
use crate::pattern;

/// A list of patterns for addresses.
#[derive(Debug, Clone)]
pub(super) struct Sources(Vec<Source>);

#[derive(Debug, Clone)]
struct Source {
    forbids: bool,
    fits: Fits,
}

#[derive(Debug, Clone)]
enum Fits {
    Network(IpNet),
    /// Lower case.
    Text(String),
}

impl Sources {
    /// Understands the list. Nobody looks up names here: a pattern that could only be a name fits
    /// no address, and one that forbids a name could not be honoured, which the error says.
    pub(super) fn parse(list: &str) -> Result<Sources, String> {
        let mut sources = Vec::new();
        for item in list.split(',').map(str::trim) {
            let (forbids, item) = match item.strip_prefix('!') {
                Some(item) => (true, item),
                None => (false, item),
            };
            let fits = fits(item)?;
            if forbids && matches!(&fits, Fits::Text(text) if is_name(text)) {
                return Err(format!("from= forbids the name {}, not an address", quote(item)));
            }
            sources.push(Source { forbids, fits });
        }
        Ok(Sources(sources))
    }

    /// True if one pattern fits and none that forbids does.
    pub(super) fn allow(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        let text = source.to_string();
        let fits = |pattern: &Source| match &pattern.fits {
            Fits::Network(network) => network.contains(&source),
            Fits::Text(pattern) => pattern::matches(pattern.as_bytes(), text.as_bytes()),
        };
        let (forbid, allow): (Vec<_>, Vec<_>) = self.0.iter().partition(|one| one.forbids);
        !forbid.into_iter().any(fits) && allow.into_iter().any(fits)
    }
}

fn fits(item: &str) -> Result<Fits, String> {
    if item.is_empty() || item.len() > limits::PATTERN_MAX {
        return Err("from= holds an empty or endless pattern".into());
    }
    if let Ok(address) = item.parse::<IpAddr>() {
        return Ok(Fits::Network(address.to_canonical().into()));
    }
    if !item.contains('/') {
        return Ok(Fits::Text(item.to_ascii_lowercase()));
    }
    match item.parse::<IpNet>() {
        Ok(network) if network.network() == network.addr() => Ok(Fits::Network(canonical(network))),
        _ => Err(format!("from= holds {}, which is no network", quote(item))),
    }
}

/// A network of IPv4-mapped addresses (RFC 4291, section 2.5.5.2) as what it stands for.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let mapped: Option<std::net::Ipv4Addr> = Ipv6Addr::to_ipv4_mapped(&v6.addr());
    match (mapped, v6.prefix_len().checked_sub(96)) {
        (Some(address), Some(prefix)) => match Ipv4Net::new(address, prefix) {
            Ok(v4) => IpNet::V4(v4),
            Err(_) => network,
        },
        _ => network,
    }
}

/// True for what no address can look like.
fn is_name(pattern: &str) -> bool {
    !pattern.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b'*' | b'?'))
}

//! `--allow` and `--deny`: blocks written out, and files of blocks that SIGHUP reads again.

use std::fs;

use ipnet::IpNet;
use sockeye_net::access::{AccessList, parse_block, parse_file};

/// Where the access lists come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccessSource {
    pub(crate) allow: Vec<String>,
    pub(crate) deny: Vec<String>,
}

impl AccessSource {
    /// Reads every list.
    ///
    /// # Errors
    /// One sentence that names the option or the file and what is right.
    pub(crate) fn read(&self) -> Result<AccessList, String> {
        let named = |option: &str, error| format!("{option}: {error}");
        let allow = read(&self.allow).map_err(|error| named("--allow", error))?;
        let deny = read(&self.deny).map_err(|error| named("--deny", error))?;
        Ok(AccessList { allow, deny })
    }

    /// The same after the start.
    ///
    /// # Errors
    /// As [`AccessSource::read`], with what happens then.
    pub(crate) fn read_again(&self) -> Result<AccessList, String> {
        self.read().map_err(|error| format!("{error}; the old lists stay in force"))
    }
}

fn read(words: &[String]) -> Result<Vec<IpNet>, String> {
    let mut blocks = Vec::new();
    for word in words {
        match word.strip_prefix('@') {
            None => blocks.push(parse_block(word)?),
            Some(path) => {
                let text = fs::read_to_string(path)
                    .map_err(|error| format!("cannot read the list {path}: {error}"))?;
                blocks.extend(parse_file(&text).map_err(|error| format!("{path}: {error}"))?);
            }
        }
    }
    Ok(blocks)
}

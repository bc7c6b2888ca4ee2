//! `--allow` and `--deny`: blocks written out, and files of blocks that SIGHUP reads again.

use std::fs::{self, File};
use std::io::{self, Read};

use ipnet::IpNet;
use sockeye_limits as limits;
use sockeye_net::access::{AccessList, parse_block, parse_file};

/// Where the access lists come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccessSource {
    pub(crate) allow: Words,
    pub(crate) deny: Words,
}

/// The words of one list, and how to name their place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    words: Vec<String>,
    place: String,
}

impl Words {
    /// The words of the argument, or else those of the configuration.
    pub(crate) fn of(
        key: &str,
        argument: Option<Vec<String>>,
        config: Option<Vec<String>>,
    ) -> Words {
        match (argument, config) {
            (Some(words), _) => Words { words, place: format!("--{key}") },
            (None, Some(words)) => Words { words, place: format!("{key} in the configuration") },
            (None, None) => Words::default(),
        }
    }

    fn read(&self) -> Result<Vec<IpNet>, String> {
        read(&self.words).map_err(|error| format!("{}: {error}", self.place))
    }
}

impl AccessSource {
    /// Reads every list.
    ///
    /// # Errors
    /// One sentence that names the option or the file and what is right.
    pub(crate) fn read(&self) -> Result<AccessList, String> {
        Ok(AccessList { allow: self.allow.read()?, deny: self.deny.read()? })
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
                let text = read_list(path)
                    .map_err(|error| format!("cannot read the list {path}: {error}"))?;
                blocks.extend(parse_file(&text).map_err(|error| format!("{path}: {error}"))?);
            }
        }
    }
    Ok(blocks)
}

/// The text of a list. It is read while a server serves, so it must be a file that ends.
fn read_list(path: &str) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    let read = File::open(path)?.take(limits::ACCESS_BYTES).read_to_string(&mut text)?;
    if read as u64 == limits::ACCESS_BYTES {
        let most = limits::ACCESS_BYTES;
        return Err(io::Error::other(format!("it is longer than {most} bytes")));
    }
    Ok(text)
}

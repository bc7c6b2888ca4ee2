//! The configuration file: what arguments and environment leave open.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::bench::BenchConfig;
use super::connect::ConnectConfig;
use super::exec::ExecConfig;
use super::files::FilesConfig;
use super::ports::PortsConfig;
use super::serve::ServeConfig;
use super::trace::TraceConfig;
use super::usage::Failure;

/// `config.toml`: a table for each command, its keys named as the options.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) serve: ServeConfig,
    pub(crate) connect: ConnectConfig,
    /// For `exec` and `shell`.
    pub(crate) exec: ExecConfig,
    /// For `cp` and `sync`.
    pub(crate) files: FilesConfig,
    pub(crate) ports: PortsConfig,
    pub(crate) bench: BenchConfig,
    pub(crate) trace: TraceConfig,
}

impl Config {
    /// Reads the file that was named, or the one at its usual place if it is there.
    pub(crate) fn load(named: Option<&Path>) -> Result<Config, Failure> {
        let usual = usual_place();
        let Some(path) = named.or(usual.as_deref()) else { return Ok(Config::default()) };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Config::default());
            }
            Err(error) => {
                let path = path.display();
                return Err(Failure::Usage(format!("cannot read {path}: {error}; check --config")));
            }
        };
        parse(&text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
    }
}

pub(crate) fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        let words: String =
            text.lines().nth(line - 1).unwrap_or_default().chars().take(60).collect();
        let what = error.message().trim_end().replace('\n', "; ");
        format!("line {line} ({}): {what}", words.trim())
    })
}

/// `$XDG_CONFIG_HOME/sockeye/config.toml`, else `~/.config/sockeye/config.toml`.
fn usual_place() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(base.join("sockeye").join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q3: keys are named as the options; an unknown one is an error with its line.
    #[test]
    fn keys() {
        let config = parse("[serve]\nmodel = \"thread\"\nidle-timeout = \"5s\"\n").unwrap();
        assert_eq!(config.serve.model.as_deref(), Some("thread"));
        let error = parse("[serve]\nmodel = \"thread\"\nmodle = \"x\"\n").unwrap_err();
        assert!(error.starts_with("line 3 (modle = \"x\"):") && error.contains("modle"), "{error}");
    }
}

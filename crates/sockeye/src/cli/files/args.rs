//! The arguments of `sockeye cp` and `sockeye sync`, and what they come to.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, Args, FromArgMatches};
use serde::Deserialize;
use sockeye_files::check_filters;
use sockeye_limits as limits;
use sockeye_net::dial::DialOptions;
use sockeye_net::{Endpoint, units};
use sockeye_wire::files::{Filter, Options, Placement, Way};

use super::place::{Place, server};
use crate::cli::reach::{ReachArgs, ReachConfig};
use crate::cli::trust::Trust;
use crate::cli::values;

const CP_EXAMPLES: &str = "\
Examples:
  sockeye cp big.iso HOST:/srv/           a file; run it again after a break, and it resumes
  sockeye cp HOST:log . --limit 2M        the other way, at most 2 MiB a second
  sockeye cp -a tree HOST:                a directory with owners, hard links and attributes
  tar c . | sockeye cp - HOST:all.tar     a stream
  sockeye cp HOST:dump.sql - | psql       and back
  sockeye cp a b --via unix:./s.sock :    over a Unix socket

HOST is NAME, [IPV6] (port 9022, or --port), or tls://NAME:PORT/PATH. A path is relative to the home
directory. A file whose name has a colon is ./FILE. Links are copied as links.

Options that show a name in brackets can be set by it in the environment, too, and they and those of
how a server is reached in [files] of config.toml (archive, limit, streams, identity …).

Exit status: 0 if all arrived and was proved equal (BLAKE3), 1 if anything failed, 2 usage.";

const SYNC_EXAMPLES: &str = "\
Examples:
  sockeye sync site/ HOST:/srv/site --delete   DST becomes equal to SRC
  sockeye sync HOST:/srv/site site -n          what would be done
  sockeye sync . HOST:work --gitignore --exclude .git

Of files that are there the changed parts are sent; equal ones (length and time, or content with
--checksum) are not. DST itself becomes SRC, with and without a slash behind either.

Exit status as `sockeye cp`.";

/// How files are moved.
#[derive(Debug, Args)]
struct MoveArgs {
    /// Owners (as root), hard links, extended attributes, set-user-ID bits and named pipes, too.
    #[arg(short, long, env = "SOCKEYE_ARCHIVE", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    archive: Option<bool>,

    /// Compare files by content where length and time of change are equal.
    #[arg(long, env = "SOCKEYE_CHECKSUM", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    checksum: Option<bool>,

    /// Make each file durable before it has its name (fsync).
    #[arg(long, env = "SOCKEYE_FSYNC", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    fsync: Option<bool>,

    /// Write nothing; show what would be done.
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Leave out what fits this pattern, as in gitignore(5) (repeatable; the last that fits decides).
    /// It is about what is in a source, and without a slash before its end about sources of cp as well.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,

    /// Take what fits this pattern, where another one leaves it out (repeatable).
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,

    /// Leave out what .gitignore files of the source name.
    #[arg(long, env = "SOCKEYE_GITIGNORE", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    gitignore: Option<bool>,

    /// Bytes a second at most, 8K or more: a number, or one with K, M or G.
    #[arg(long, value_name = "RATE", env = "SOCKEYE_LIMIT", value_parser = units::size)]
    limit: Option<u64>,

    /// Use so many connections, each for a part of the files.
    #[arg(long, value_name = "N", env = "SOCKEYE_STREAMS", value_parser = clap::value_parser!(u32)
        .range(1..=i64::from(limits::TRANSFER_STREAMS)))]
    streams: Option<u32>,

    /// The server's port [default: 9022].
    #[arg(long, value_name = "PORT", conflicts_with = "via",
        value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Go to this server, tls:// or unix:; its paths are :PATH.
    #[arg(long, value_name = "ENDPOINT", value_parser = values::endpoint())]
    via: Option<Endpoint>,

    /// Show each file.
    #[arg(short, long)]
    verbose: bool,

    /// Show nothing but failures.
    #[arg(short, long, conflicts_with_all = ["verbose", "json", "dry_run"])]
    quiet: bool,

    /// Show what happens as lines of JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    reach: ReachArgs,
}

/// Arguments of `sockeye cp`.
#[derive(Debug, Args)]
#[command(after_help = CP_EXAMPLES)]
pub(crate) struct CpArgs {
    /// What is copied, and behind it where to: HOST:PATH, a path of this machine, or - for standard
    /// input or output. One side is another machine.
    // One argument, not two: options may stand between the words.
    #[arg(value_name = "SRC… DST", required = true, num_args = 1..)]
    places: Vec<OsString>,

    #[command(flatten)]
    how: Ordered,
}

/// Arguments of `sockeye sync`.
#[derive(Debug, Args)]
#[command(after_help = SYNC_EXAMPLES)]
pub(crate) struct SyncArgs {
    /// What DST is made equal to: HOST:PATH, or a path of this machine.
    // ReachArgs has a `source` of its own.
    #[arg(id = "tree", value_name = "SRC")]
    source: OsString,

    /// What is made equal to it.
    #[arg(value_name = "DST")]
    destination: OsString,

    /// Remove what SRC does not have.
    #[arg(long)]
    delete: bool,

    #[command(flatten)]
    how: Ordered,
}

/// The arguments with their patterns in the order in which they were given.
#[derive(Debug)]
struct Ordered {
    args: MoveArgs,
    filters: Vec<Filter>,
}

impl FromArgMatches for Ordered {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Ordered, clap::Error> {
        let args = MoveArgs::from_arg_matches(matches)?;
        let mut found: Vec<(usize, Filter)> = Vec::new();
        for (id, include, patterns) in
            [("exclude", false, &args.exclude), ("include", true, &args.include)]
        {
            let places = matches.indices_of(id).into_iter().flatten();
            let filters = patterns.iter().map(|text| Filter { include, pattern: text.clone() });
            found.extend(places.zip(filters));
        }
        found.sort_by_key(|(at, _)| *at);
        Ok(Ordered { args, filters: found.into_iter().map(|(_, filter)| filter).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Ordered::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Ordered {
    fn augment_args(command: clap::Command) -> clap::Command {
        MoveArgs::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        MoveArgs::augment_args_for_update(command)
    }
}

/// `[files]` of the configuration, for `cp` and `sync`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct FilesConfig {
    identity: Option<PathBuf>,
    known_hosts: Option<PathBuf>,
    connect_timeout: Option<String>,
    source: Option<String>,
    ipv4: Option<bool>,
    ipv6: Option<bool>,
    set: Option<Vec<String>>,
    archive: Option<bool>,
    checksum: Option<bool>,
    fsync: Option<bool>,
    gitignore: Option<bool>,
    limit: Option<String>,
    streams: Option<u32>,
}

impl FilesConfig {
    fn reach(&mut self) -> ReachConfig {
        ReachConfig {
            identity: self.identity.take(),
            known_hosts: self.known_hosts.take(),
            connect_timeout: self.connect_timeout.take(),
            source: self.source.take(),
            ipv4: self.ipv4,
            ipv6: self.ipv6,
            set: self.set.take(),
        }
    }
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    Usual,
    Verbose,
    Quiet,
    Json,
}

/// What was asked for, defaults filled in.
#[derive(Debug)]
pub(crate) struct FilesSettings {
    pub(super) endpoint: Endpoint,
    pub(super) dial: DialOptions,
    pub(super) trust: Trust,
    pub(super) way: Way,
    /// Sources here, or paths there.
    pub(super) sources: Vec<Place>,
    pub(super) destination: Place,
    pub(super) placement: Placement,
    pub(super) options: Options,
    pub(super) filters: Vec<Filter>,
    pub(super) limit: Option<u64>,
    pub(super) streams: u32,
    pub(super) show: Show,
}

impl CpArgs {
    /// The arguments over the configuration over the defaults.
    ///
    /// # Errors
    /// What contradicts itself or is no value, in one sentence.
    pub(crate) fn resolve(self, config: FilesConfig) -> Result<FilesSettings, String> {
        let mut places: Vec<Place> = self.places.iter().map(|word| Place::read(word)).collect();
        let destination = places.pop().filter(|_| !places.is_empty());
        let destination = destination
            .ok_or("SRC and DST are two: write what is copied, and behind it where to")?;
        let into = match &destination {
            Place::Local(path) | Place::Remote { path, .. } => {
                places.len() > 1 || path.ends_with(b"/")
            }
            Place::Standard => false,
        };
        let stream = places.contains(&Place::Standard);
        let nameless = places.iter().any(is_nameless);
        if nameless && places.len() > 1 {
            return Err("a source without a name of its own (., .., /) is copied alone".into());
        }
        let placement = match (into, stream) {
            (true, true) => {
                return Err("standard input has no name: write one file as the destination".into());
            }
            (true, false) if nameless => Placement::Exact,
            (true, false) => Placement::Into,
            // A stream becomes the file that is named, and a source without a name the destination.
            (false, true) => Placement::Exact,
            (false, false) if nameless => Placement::Exact,
            (false, false) => Placement::Auto,
        };
        self.how.resolve(places, destination, placement, false, config)
    }
}

impl SyncArgs {
    /// The arguments over the configuration over the defaults.
    ///
    /// # Errors
    /// As [`CpArgs::resolve`].
    pub(crate) fn resolve(self, config: FilesConfig) -> Result<FilesSettings, String> {
        let places = [&self.source, &self.destination].map(|word| Place::read(word));
        if places.contains(&Place::Standard) {
            return Err("sync has no standard input and output: use sockeye cp".into());
        }
        let [source, destination] = places;
        self.how.resolve(vec![source], destination, Placement::Exact, self.delete, config)
    }
}

/// A directory that is named by where it is, not by its name.
fn is_nameless(place: &Place) -> bool {
    let (Place::Local(path) | Place::Remote { path, .. }) = place else { return false };
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    matches!(path[..end].rsplit(|byte| *byte == b'/').next(), None | Some(b"" | b"." | b".."))
}

impl Ordered {
    fn resolve(
        self,
        sources: Vec<Place>,
        destination: Place,
        placement: Placement,
        delete: bool,
        mut config: FilesConfig,
    ) -> Result<FilesSettings, String> {
        let Ordered { mut args, filters } = self;
        let is_stream = sources.contains(&Place::Standard) || destination == Place::Standard;
        args.complete(&mut config, is_stream)?;
        let (way, host) = direction(&sources, &destination)?;
        let endpoint = server(host, args.via.as_ref(), args.port)?;
        if !matches!(endpoint, Endpoint::Tls(_) | Endpoint::Unix(_)) {
            return Err(format!("{endpoint}: files go over tls:// or unix: alone"));
        }
        if destination == Place::Standard && (args.json || args.verbose || args.dry_run) {
            return Err(
                "standard output carries the file: --json, --verbose and --dry-run have no \
                        place there"
                    .into(),
            );
        }
        if destination == Place::Standard && sources.len() > 1 {
            return Err("standard output takes one file".into());
        }
        check(&args, &filters, is_stream)?;
        let show = match (args.json, args.verbose || args.dry_run, args.quiet) {
            (true, ..) => Show::Json,
            (_, true, _) => Show::Verbose,
            (.., true) => Show::Quiet,
            _ => Show::Usual,
        };
        let is_on = |switch: Option<bool>| switch.unwrap_or(false);
        let (dial, trust) = args.reach.over(config.reach())?;
        let options = Options {
            archive: is_on(args.archive),
            delete,
            checksum: is_on(args.checksum),
            fsync: is_on(args.fsync),
            dry_run: args.dry_run,
            gitignore: is_on(args.gitignore),
            partial: false,
        };
        Ok(FilesSettings {
            endpoint,
            dial,
            trust,
            way,
            sources,
            destination,
            placement,
            options,
            filters,
            limit: args.limit,
            streams: args.streams.unwrap_or(1),
            show,
        })
    }
}

impl MoveArgs {
    /// Takes from the configuration what is not said otherwise.
    fn complete(&mut self, config: &mut FilesConfig, is_stream: bool) -> Result<(), String> {
        self.archive = self.archive.or(config.archive);
        self.checksum = self.checksum.or(config.checksum);
        self.fsync = self.fsync.or(config.fsync);
        // A stream has no directory in which such a file could be.
        self.gitignore = self.gitignore.or(config.gitignore.filter(|_| !is_stream));
        self.limit = values::either(self.limit.take(), config.limit.take(), "limit", units::size)?;
        self.streams = self.streams.or(config.streams);
        match self.streams {
            Some(0) => Err("streams in the configuration: at least 1".into()),
            Some(many) if many > limits::TRANSFER_STREAMS => {
                Err(format!("streams in the configuration: at most {}", limits::TRANSFER_STREAMS))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses what cannot be, before anybody is asked.
fn check(args: &MoveArgs, filters: &[Filter], stream: bool) -> Result<(), String> {
    if stream && (!filters.is_empty() || args.gitignore.unwrap_or(false)) {
        let text = "a standard stream is one file: --exclude, --include and --gitignore have no place there";
        return Err(text.into());
    }
    check_filters(filters)?;
    let streams = u64::from(args.streams.unwrap_or(1));
    if args.limit.is_some_and(|limit| limit / streams < limits::TRANSFER_RATE_LEAST) {
        return Err(format!(
            "--limit is at least {}K a second for each connection; without it there is no limit",
            limits::TRANSFER_RATE_LEAST / 1024
        ));
    }
    Ok(())
}

/// Which way files go, and the one host that is named.
fn direction<'a>(
    sources: &'a [Place],
    destination: &'a Place,
) -> Result<(Way, Option<&'a [u8]>), String> {
    let host = |place: &'a Place| match place {
        Place::Remote { host, .. } => Some(host.as_deref()),
        _ => None,
    };
    let remote: Vec<_> = sources.iter().filter_map(host).collect();
    match (host(destination), remote.as_slice()) {
        (Some(host), []) => Ok((Way::Push, host)),
        (None, [first, rest @ ..]) if remote.len() == sources.len() => {
            if rest.iter().any(|other| other != first) {
                return Err("the sources are on several machines: copy from one at a time".into());
            }
            Ok((Way::Pull, *first))
        }
        (None, []) => Err("neither side is another machine: write HOST:PATH on one side, and for \
                           copies on this machine use cp"
            .into()),
        (None, _) => Err("some sources are here and some are elsewhere: copy them one after the \
                          other"
            .into()),
        (Some(_), _) => Err("both sides are on other machines: run sockeye on one of them".into()),
    }
}

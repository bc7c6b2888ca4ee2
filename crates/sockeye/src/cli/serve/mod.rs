//! `sockeye serve`: arguments, settings, and the run of a server.

mod access;
mod args;
mod print;

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use sockeye_net::activation::{self, Activated};
use sockeye_net::endpoint::ParseEndpointError;
use sockeye_net::{BindOptions, Endpoint, options};
use sockeye_serve::{ServeError, Server, Service, Settings};

pub(crate) use args::{ServeArgs, ServeConfig, ServeProgram, program};

use super::usage::Failure;
use print::Printer;

/// The options that `--set` takes, for the long help.
pub(crate) fn long_help() -> String {
    let mut text = format!("{}\n\nSocket options for --set:\n", args::EXAMPLES);
    for (name, about) in options::table() {
        text.push_str(&format!("  {name:<14} {about}\n"));
    }
    text
}

/// Serves one of `services`, the first where none is named.
pub(crate) fn run(
    args: ServeArgs,
    config: ServeConfig,
    services: &[Service],
) -> Result<(), Failure> {
    let (args, json, verbose) = args.over(config)?;
    let activated = activation::take().map_err(anyhow::Error::from)?;
    let settings = resolve(args, activated, services).map_err(Failure::Usage)?;
    let server = Server::bind(settings).map_err(as_failure)?;
    let printer = Printer::start(json, verbose, server.stopper())
        .map_err(|error| anyhow::anyhow!("cannot start a thread: {error}. Raise `ulimit -u`."))?;
    let done = server.run(Arc::clone(&printer) as Arc<dyn sockeye_serve::Observer>);
    printer.finish()?;
    done.map(|_| ()).map_err(as_failure)
}

fn as_failure(error: ServeError) -> Failure {
    match error {
        ServeError::Refused(text) => Failure::Usage(text),
        other => Failure::Failed(other.into()),
    }
}

/// From what was asked to what is done.
fn resolve(
    args: args::Resolved,
    activated: Activated,
    services: &[Service],
) -> Result<Settings, String> {
    let (service, mut endpoints) = words(&args.words, services)?;
    let given: Vec<Endpoint> = activated
        .listeners
        .iter()
        .map(|listener| listener.endpoint())
        .chain(activated.datagrams.iter().map(|socket| socket.endpoint()))
        .collect();
    endpoints.retain(|endpoint| !given.contains(endpoint));
    if endpoints.is_empty() && given.is_empty() {
        let Endpoint::Tcp(at) = Endpoint::loopback(sockeye_limits::DEFAULT_PORT) else {
            unreachable!("loopback is TCP")
        };
        endpoints = vec![Endpoint::Tcp(at.clone()), Endpoint::Udp(at)];
    }
    let mut settings = Settings::new(service);
    settings.endpoints = endpoints;
    settings.activated = activated;
    settings.model = args.model;
    settings.workers = args.workers;
    settings.max_connections = args.max_connections;
    settings.overflow = args.overflow;
    settings.idle_timeout = args.idle_timeout;
    settings.max_lifetime = args.max_lifetime;
    settings.access = args.access.read()?;
    settings.reload = Some(Box::new(move || args.access.read_again()));
    settings.once = args.once;
    settings.drain = args.drain;
    if let Some(rate) = args.source_rate {
        settings.source_rate = (rate > 0).then_some(rate);
    }
    settings.bind = BindOptions {
        family: args.family,
        backlog: args.backlog,
        mode: args.mode,
        options: args.set,
    };
    settings.signals = true;
    Ok(settings)
}

/// The service, if the first word names one, and the endpoints.
fn words(words: &[OsString], services: &[Service]) -> Result<(Service, Vec<Endpoint>), String> {
    let named = words.first().and_then(|word| word.to_str());
    let found = services.iter().find(|service| named == Some(service.name()));
    let first = services.first().ok_or("there is no service to serve")?;
    let rest = if found.is_some() { &words[1..] } else { words };
    let mut endpoints = Vec::with_capacity(rest.len());
    for word in rest {
        let parsed = Endpoint::parse_os(word);
        endpoints.push(parsed.map_err(|error| not_an_endpoint(word, &error, found, services))?);
    }
    Ok((found.unwrap_or(first).clone(), endpoints))
}

/// What is wrong with a word that should be an endpoint: it may be a service in the wrong place.
fn not_an_endpoint(
    word: &OsStr,
    error: &ParseEndpointError,
    found: Option<&Service>,
    services: &[Service],
) -> String {
    let word = word.to_string_lossy();
    let is_service = services.iter().any(|service| service.name() == word);
    match found {
        Some(named) if is_service => {
            format!("{word:?}: a server has one service, and {} is named already", named.name())
        }
        None if is_service => format!("{word:?}: the service comes first, then the endpoints"),
        None if word.bytes().all(|b| b.is_ascii_alphabetic()) => {
            let names: Vec<&str> = services.iter().map(Service::name).collect();
            let names = names.join(", ");
            format!("{word:?} is neither a service ({names}) nor an endpoint (tcp://HOST:PORT)")
        }
        _ => format!("{word:?} is not an endpoint: {error}"),
    }
}

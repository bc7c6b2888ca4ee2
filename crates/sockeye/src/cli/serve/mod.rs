//! `sockeye serve`: arguments, settings, and the run of a server.

mod access;
mod args;
mod keys;
mod print;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use serde_json::Value;
use sockeye_host::{Host, Rules, Secured, plain};
use sockeye_limits as limits;
use sockeye_net::activation::{self, Activated};
use sockeye_net::endpoint::ParseEndpointError;
use sockeye_net::{BindOptions, Endpoint, Transport, options};
use sockeye_serve::{Model, ServeError, Server, Service, Settings, cells, services};

pub(crate) use args::{ServeArgs, ServeConfig, ServeProgram, program};

use super::usage::Failure;
use keys::{KeyArgs, KeyConfig};
use print::Printer;

/// The options that `--set` takes, for the long help.
pub(crate) fn long_help() -> String {
    let mut text = format!("{}\n\nSocket options for --set:\n", args::EXAMPLES);
    for (name, about) in options::table() {
        text.push_str(&format!("  {name:<14} {about}\n"));
    }
    text
}

/// The services of a program: those that answer by themselves, and whether it runs commands.
pub(crate) struct Catalogue {
    pub(crate) services: Vec<Service>,
    pub(crate) commands: bool,
}

impl Catalogue {
    /// All that sockeye has.
    pub(crate) fn all() -> Catalogue {
        Catalogue { services: services::all(), commands: true }
    }

    /// A service in a worker process, from its name and what its session needs.
    pub(crate) fn in_worker(&self, name: &str, setup: &Value) -> Option<Service> {
        match name {
            "host" if self.commands => Host::in_worker(setup),
            "command" if self.commands => plain::Command::in_worker(setup),
            name => {
                let service = self.services.iter().find(|service| service.name() == name)?.clone();
                if setup.is_null() { Some(service) } else { Secured::in_worker(service, setup) }
            }
        }
    }

    fn names(&self) -> Vec<&'static str> {
        let names = self.services.iter().map(Service::name);
        names.chain(["command", "host"].into_iter().filter(|_| self.commands)).collect()
    }
}

/// Serves one of the services, the first where none is named.
pub(crate) fn run(
    args: ServeArgs,
    config: ServeConfig,
    catalogue: &Catalogue,
) -> Result<(), Failure> {
    let (args, json, verbose) = args.over(config)?;
    let activated = activation::take().map_err(anyhow::Error::from)?;
    let (settings, list) = resolve(args, activated, catalogue)?;
    let plain = settings.service.name() == "command" && catalogue.commands;
    let server = Server::bind(settings).map_err(as_failure)?;
    let printer = Printer::start(json, verbose, server.stopper())
        .map_err(|error| anyhow::anyhow!("cannot start a thread: {error}. Raise `ulimit -u`."))?;
    if let Some(list) = list {
        keys::introduce(&list);
    }
    if plain {
        warn_of_strangers(&server.endpoints());
    }
    let done = server.run(Arc::clone(&printer) as Arc<dyn sockeye_serve::Observer>);
    printer.finish()?;
    done.map(|_| ()).map_err(as_failure)
}

/// The plain form asks nobody who he is: on loopback that is everybody on this machine.
fn warn_of_strangers(endpoints: &[Endpoint]) {
    if endpoints.iter().any(|endpoint| endpoint.transport() == Transport::Tcp) {
        // A closed standard error has nobody to be told.
        let _ = writeln!(
            std::io::stderr(),
            "every user of this machine can run commands as you here; a Unix socket (unix:PATH) is \
             for you alone"
        );
    }
}

fn as_failure(error: ServeError) -> Failure {
    match error {
        ServeError::Refused(text) => Failure::Usage(text),
        other => Failure::Failed(other.into()),
    }
}

/// From what was asked to what is done; then the list of those who may come in, if there is one.
fn resolve(
    args: args::Resolved,
    mut activated: Activated,
    catalogue: &Catalogue,
) -> Result<(Settings, Option<PathBuf>), Failure> {
    let (name, mut endpoints) = words(&args.words, catalogue).map_err(Failure::Usage)?;
    let commands = catalogue.commands && (name == "host" || name == "command");
    if commands && name == "host" {
        activated.listeners =
            activated.listeners.into_iter().map(sockeye_net::Listener::secured).collect();
    }
    let given: Vec<Endpoint> = activated
        .listeners
        .iter()
        .map(|listener| listener.endpoint())
        .chain(activated.datagrams.iter().map(|socket| socket.endpoint()))
        .collect();
    endpoints.retain(|endpoint| !given.contains(endpoint));
    if endpoints.is_empty() && given.is_empty() {
        endpoints = usual_endpoints(name, catalogue);
    }
    // Before any key is made: what will be refused shall leave nothing behind.
    let session = if commands { Model::Process } else { Model::default() };
    for endpoint in endpoints.iter().chain(&given) {
        let model = args.model.unwrap_or(session);
        cells::check(endpoint.transport(), name, model).map_err(Failure::Usage)?;
    }
    let tls = endpoints.iter().chain(&given).any(|one| one.transport() == Transport::Tls);
    let (keys, config) = args.keys;
    keys.check(name, commands, tls).map_err(Failure::Usage)?;
    let (service, list) = service(name, tls, (keys.args, config), catalogue)?;
    let mut settings = Settings::new(service);
    settings.endpoints = endpoints;
    settings.activated = activated;
    settings.model = args.model.unwrap_or(settings.model);
    settings.penalize_loopback = args.penalize_loopback;
    settings.workers = args.workers;
    settings.max_connections = args.max_connections;
    settings.overflow = args.overflow;
    settings.idle_timeout = args.idle_timeout;
    settings.max_lifetime = args.max_lifetime;
    settings.access = args.access.read().map_err(Failure::Usage)?;
    let told = list.clone();
    settings.reload = Some(Box::new(move || {
        if let Some(list) = told.clone() {
            // On a thread of its own: standard error may be a pipe that nobody reads.
            let _ = thread::Builder::new().spawn(move || keys::introduce(&list));
        }
        args.access.read_again()
    }));
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
        // What a client that went silently has started must not run on for hours.
        vigilant: commands,
    };
    settings.signals = true;
    Ok((settings, list))
}

/// Where a service is served when nobody says.
fn usual_endpoints(name: &str, catalogue: &Catalogue) -> Vec<Endpoint> {
    let at = |port| match Endpoint::loopback(port) {
        Endpoint::Tcp(at) => at,
        _ => unreachable!("loopback is TCP"),
    };
    match name {
        "host" if catalogue.commands => vec![Endpoint::Tls(at(limits::HOST_PORT))],
        "command" if catalogue.commands => vec![Endpoint::Tcp(at(limits::DEFAULT_PORT))],
        _ => {
            let at = at(limits::DEFAULT_PORT);
            vec![Endpoint::Tcp(at.clone()), Endpoint::Udp(at)]
        }
    }
}

/// The service of that name, and the list of those who may come in where there is one.
fn service(
    name: &str,
    tls: bool,
    (args, config): (KeyArgs, KeyConfig),
    catalogue: &Catalogue,
) -> Result<(Service, Option<PathBuf>), Failure> {
    let failed = |error: sockeye_trust::HostKeyError| Failure::Failed(error.into());
    match name {
        "host" if catalogue.commands => {
            let rules = args.over(config).map_err(Failure::Usage)?;
            let list = rules.authorized.clone();
            Ok((Host::service(rules).map_err(failed)?, tls.then_some(list)))
        }
        "command" if catalogue.commands => {
            let audit = args.audit(config).map_err(Failure::Usage)?;
            Ok((plain::Command::service(audit), None))
        }
        name => {
            let found = catalogue.services.iter().find(|service| service.name() == name);
            let service = found.expect("the name is one of them").clone();
            if !tls {
                return Ok((service, None));
            }
            let Rules { authorized, host_key, .. } = args.over(config).map_err(Failure::Usage)?;
            let list = authorized.clone();
            let service = Secured::service(service, authorized, host_key).map_err(failed)?;
            Ok((service, Some(list)))
        }
    }
}

/// The name of the service, if the first word is one, and the endpoints.
fn words(
    words: &[OsString],
    catalogue: &Catalogue,
) -> Result<(&'static str, Vec<Endpoint>), String> {
    let names = catalogue.names();
    let named = words.first().and_then(|word| word.to_str());
    let found = names.iter().find(|name| named == Some(**name)).copied();
    let first = *names.first().ok_or("there is no service to serve")?;
    let rest = if found.is_some() { &words[1..] } else { words };
    let name = found.unwrap_or(first);
    let mut endpoints = Vec::with_capacity(rest.len());
    for word in rest {
        let parsed = Endpoint::parse_os(word);
        let endpoint = parsed.map_err(|error| not_an_endpoint(word, &error, found, &names))?;
        endpoints.push(match endpoint {
            // Short forms mean TCP (E2); host is never on bare TCP, so there they mean TLS.
            Endpoint::Tcp(at) if name == "host" && !is_url(word) => Endpoint::Tls(at),
            other => other,
        });
    }
    Ok((name, endpoints))
}

fn is_url(word: &OsStr) -> bool {
    word.to_string_lossy().contains("://")
}

/// What is wrong with a word that should be an endpoint: it may be a service in the wrong place.
fn not_an_endpoint(
    word: &OsStr,
    error: &ParseEndpointError,
    found: Option<&str>,
    names: &[&str],
) -> String {
    let word = word.to_string_lossy();
    let is_service = names.iter().any(|name| *name == word);
    match found {
        Some(named) if is_service => {
            format!("{word:?}: a server has one service, and {named} is named already")
        }
        None if is_service => format!("{word:?}: the service comes first, then the endpoints"),
        None if word.bytes().all(|b| b.is_ascii_alphabetic()) => {
            let names = names.join(", ");
            format!("{word:?} is neither a service ({names}) nor an endpoint (tcp://HOST:PORT)")
        }
        _ => format!("{word:?} is not an endpoint: {error}"),
    }
}

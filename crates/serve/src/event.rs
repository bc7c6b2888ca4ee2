//! What happens in a server, told as it happens: for a log, for `--json`, for tests.

use std::fmt::Display;

use serde::{Serialize, Serializer};
use sockeye_net::Peer;

use crate::end::{Side, Why};
use crate::model::Model;
use crate::session::CommandNews;

/// Something that happened. Serialised, it is one JSON object with its name under `event`.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// An endpoint listens: connections from now on succeed.
    Listening {
        /// The real endpoint, its port known.
        endpoint: &'a str,
        /// The service's name.
        service: &'a str,
        /// The model.
        model: Model,
        /// The socket options that were asked for, as they became: `nodelay=on, …`.
        #[serde(skip_serializing_if = "str::is_empty")]
        options: &'a str,
        /// The fingerprint of the server's key, `SHA256:…`, where peers need it.
        #[serde(skip_serializing_if = "Option::is_none")]
        fingerprint: Option<&'a str>,
    },
    /// A connection was taken in.
    Accepted {
        /// Its number, counted from 1.
        connection: u64,
        /// Where it came in.
        endpoint: &'a str,
        /// Who it is.
        #[serde(serialize_with = "shown")]
        peer: &'a Peer,
    },
    /// A connection ended.
    Closed {
        /// Its number.
        connection: u64,
        /// Who it was.
        #[serde(serialize_with = "shown")]
        peer: &'a Peer,
        /// Why it ended.
        why: Why,
        /// Who said its end first.
        closed_first: Side,
        /// Bytes received; unknown of a worker process that is gone.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes_in: Option<u64>,
        /// Bytes sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes_out: Option<u64>,
        /// How long it was open, in milliseconds.
        duration_ms: f64,
        /// The signal that killed its worker process.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        /// The status that its worker process exited with.
        #[serde(skip_serializing_if = "Option::is_none")]
        exit: Option<i32>,
    },
    /// A connection or datagrams were turned away.
    Refused {
        /// Where they came in.
        endpoint: &'a str,
        /// Who it was (of several datagrams, the last).
        peer: &'a str,
        /// `denied`, `max-connections`, `once`, `penalty`, `crowded`, `rate`, `well-known-port` or
        /// `too-short`.
        why: &'a str,
        /// How many since the last such event.
        count: u64,
    },
    /// A peer has proved who it is.
    Authenticated {
        /// The connection's number.
        connection: u64,
        /// Where it comes from.
        #[serde(serialize_with = "shown")]
        peer: &'a Peer,
        /// The fingerprint of its key, `SHA256:…`; on a Unix socket `uid:` and the user's number.
        identity: &'a str,
        /// The comment of the key.
        #[serde(skip_serializing_if = "str::is_empty")]
        comment: &'a str,
    },
    /// A peer was turned away: it spoke something else, took too long, or may not.
    Rejected {
        /// The connection's number; none where it was not taken in.
        #[serde(skip_serializing_if = "Option::is_none")]
        connection: Option<u64>,
        /// Where it comes from.
        #[serde(serialize_with = "shown")]
        peer: &'a Peer,
        /// Why, in one sentence.
        why: &'a str,
    },
    /// A remote command has ended.
    Command {
        /// The connection's number.
        connection: u64,
        /// Who asked for it.
        #[serde(serialize_with = "shown")]
        peer: &'a Peer,
        /// The command and how it ended.
        #[serde(flatten)]
        ended: &'a CommandNews,
    },
    /// Something failed that the server survives.
    Error {
        /// Where, if it is one endpoint's.
        #[serde(skip_serializing_if = "Option::is_none")]
        endpoint: Option<&'a str>,
        /// Cause and remedy.
        error: &'a str,
    },
    /// What failed works again.
    Recovered {
        /// Where, if it is one endpoint's.
        #[serde(skip_serializing_if = "Option::is_none")]
        endpoint: Option<&'a str>,
    },
    /// A worker process died unasked.
    WorkerDied {
        /// Its process number.
        worker: u32,
        /// The signal that killed it.
        signal: Option<i32>,
        /// The status that it exited with.
        exit: Option<i32>,
    },
    /// Datagrams were lost because the receive buffer was full.
    Dropped {
        /// Where.
        endpoint: &'a str,
        /// How many since the socket was made.
        count: u32,
    },
    /// The access lists and the server's key were read again and are in force.
    Reloaded {
        /// The fingerprint of the server's key as it is now, where peers need it.
        #[serde(skip_serializing_if = "Option::is_none")]
        fingerprint: Option<&'a str>,
    },
    /// The access lists could not be read again; the old ones stay in force.
    ReloadFailed {
        /// What was wrong.
        error: &'a str,
    },
    /// No more connections are taken in; those that are open may finish.
    Draining {
        /// How many are open.
        open: u64,
    },
    /// The server is done.
    Drained {
        /// Connections that were served in all.
        served: u64,
        /// Connections that were cut because `--drain` was over.
        cut: u64,
    },
    /// Events were lost because their reader was too slow.
    Lost {
        /// How many.
        count: u64,
    },
}

fn shown<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Is told what happens. Calls come from many threads and must not block: they are made where
/// connections are served.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Tells nobody.
impl Observer for () {
    fn event(&self, _event: &Event<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L1, Q2: the documented form.
    #[test]
    fn json() {
        let event = Event::Listening {
            endpoint: "tcp://127.0.0.1:9000",
            service: "upper",
            model: Model::Event,
            options: "",
            fingerprint: None,
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"event":"listening","endpoint":"tcp://127.0.0.1:9000","service":"upper","model":"event"}"#
        );
    }

    /// One of each, with every field there.
    fn samples<'a>(peer: &'a Peer, command: &'a CommandNews) -> Vec<Event<'a>> {
        vec![
            Event::Listening {
                endpoint: "",
                service: "",
                model: Model::Event,
                options: "nodelay=on",
                fingerprint: Some("SHA256:"),
            },
            Event::Accepted { connection: 1, endpoint: "", peer },
            Event::Closed {
                connection: 1,
                peer,
                why: Why::End,
                closed_first: Side::Us,
                bytes_in: Some(0),
                bytes_out: Some(0),
                duration_ms: 0.0,
                signal: Some(9),
                exit: Some(1),
            },
            Event::Refused { endpoint: "", peer: "", why: "rate", count: 1 },
            Event::Authenticated { connection: 1, peer, identity: "", comment: "me" },
            Event::Rejected { connection: Some(1), peer, why: "" },
            Event::Command { connection: 1, peer, ended: command },
            Event::Error { endpoint: Some(""), error: "" },
            Event::Recovered { endpoint: Some("") },
            Event::WorkerDied { worker: 1, signal: None, exit: None },
            Event::Dropped { endpoint: "", count: 1 },
            Event::Reloaded { fingerprint: Some("SHA256:") },
            Event::ReloadFailed { error: "" },
            Event::Draining { open: 0 },
            Event::Drained { served: 0, cut: 0 },
            Event::Lost { count: 1 },
        ]
    }

    /// Q2: docs/json.md has a row for every event that names all of its fields, and every reason.
    #[test]
    fn documented() {
        let page = include_str!("../../../docs/json.md");
        let peer = Peer::from(sockeye_net::Address::Unnamed);
        let command = CommandNews {
            command: "true".into(),
            exit: Some(0),
            signal: Some(1),
            why: Some("vanished".into()),
            output: 0,
            duration_ms: 1,
        };
        for event in samples(&peer, &command) {
            let object = serde_json::to_value(&event).unwrap();
            let name = object["event"].as_str().unwrap();
            let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("no row for {name}"));
            for field in object.as_object().unwrap().keys().filter(|key| *key != "event") {
                assert!(row.contains(&format!("`{field}`")), "{name}: {field}");
            }
        }
        let reasons = [
            Why::End,
            Why::Reset,
            Why::IdleTimeout,
            Why::MaxLifetime,
            Why::Drain,
            Why::Silence,
            Why::Error,
            Why::Panic,
            Why::WorkerDied,
            Why::Overload,
            Why::Rejected,
            Why::Protocol,
        ];
        for why in reasons {
            let word = serde_json::to_value(why).unwrap();
            assert_eq!(word, why.name());
            assert!(page.contains(&format!("`{why}`")), "{word}");
        }
    }
}

//! `host`: remote commands for those who proved who they are, one session a connection.

mod buffer;
mod job;
mod plan;
pub(crate) mod record;
mod talk;
mod transfer;

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sockeye_limits as limits;
use sockeye_net::Transport;
use sockeye_serve::{Call, End, Front, Service};
use sockeye_trust::HostKeyError;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::gate::{Gate, HostKey, Pass, no_place};
use crate::gated::{Behind, Gated, turn_away};
use crate::rules::Rules;
pub(crate) use talk::PROGRAM;
use talk::Talk;

/// The server of remote commands.
pub struct Host {
    rules: Rules,
    gate: Gate,
}

impl Host {
    /// The service, in the process that holds its key. The key is made where there is none yet.
    ///
    /// # Errors
    /// Where the key cannot be read or made.
    pub fn service(rules: Rules) -> Result<Service, HostKeyError> {
        let key = HostKey::held(&rules.host_key)?;
        Ok(Host::with(rules, key))
    }

    /// The same in a worker process, from what [`Session::setup`](sockeye_serve::Session::setup)
    /// said in the server; `None` where that is not understood.
    pub fn in_worker(setup: &Value) -> Option<Service> {
        let rules: Rules = serde_json::from_value(setup.get("rules")?.clone()).ok()?;
        let key = HostKey::elsewhere(setup, &rules.host_key)?;
        Some(Host::with(rules, key))
    }

    fn with(rules: Rules, key: HostKey) -> Service {
        let gate = Gate::new(key, rules.authorized.clone(), sockeye_wire::ALPN);
        Service::session("host", Arc::new(Behind(Host { rules, gate })))
            .about("runs commands and moves files for those whose keys are authorised")
    }
}

impl Gated for Host {
    fn gate(&self) -> &Gate {
        &self.gate
    }

    async fn call(&self, call: Call) -> End {
        let Call { channel, peer, transport, front, alone } = call;
        let came_in = |pass: Pass, peer, front: Arc<dyn Front>| Talk {
            rules: &self.rules,
            gate: &self.gate,
            pass,
            peer,
            front,
            alone,
            idle: limits::SESSION_IDLE,
        };
        if transport == Transport::Tls {
            return match self.gate.secure(channel, &peer, &front).await {
                Ok((stream, pass)) => enter(stream, came_in(pass, peer, front)).await,
                Err(rejected) => turn_away(rejected, front.as_ref()),
            };
        }
        match Gate::same_user(&peer) {
            Ok(pass) => enter(channel, came_in(pass, peer, front)).await,
            Err(rejected) => turn_away(rejected, front.as_ref()),
        }
    }

    fn setup(&self) -> Map<String, Value> {
        Map::from_iter([("rules".to_owned(), json!(self.rules))])
    }
}

/// Talks with somebody who came in, where there is a place.
async fn enter<S>(stream: S, talk: Talk<'_>) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if talk.pass.enter(talk.front.as_ref()).await {
        talk.hold(stream).await
    } else {
        no_place(stream).await
    }
}

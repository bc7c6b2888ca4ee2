//! `host`: remote commands for those who proved who they are, one session a connection.

mod audit;
mod job;
mod plan;
mod talk;

use std::sync::Arc;

use serde_json::{Value, json};
use sockeye_net::Transport;
use sockeye_serve::{Call, End, Front, Look, News, Service, Serving, Session, Why};
use sockeye_trust::{HostKeyError, PublicKey, host_key};

use crate::gate::{Gate, HostKey, Pass, Rejected};
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
        let key = HostKey::held(host_key(&rules.host_key)?);
        Ok(Host::with(rules, key))
    }

    /// The same in a worker process, from what [`Session::setup`] said there; `None` where that is
    /// not understood.
    pub fn in_worker(setup: &Value) -> Option<Service> {
        let rules: Rules = serde_json::from_value(setup.get("rules")?.clone()).ok()?;
        let public: PublicKey = setup.get("key")?.as_str()?.parse().ok()?;
        Some(Host::with(rules, HostKey::elsewhere(public)))
    }

    fn with(rules: Rules, key: HostKey) -> Service {
        let gate = Gate::new(key, rules.authorized.clone(), sockeye_wire::ALPN);
        Service::session("host", Arc::new(Host { rules, gate }))
            .about("runs commands for those whose keys are authorised")
    }

    async fn call(self: Arc<Self>, call: Call) -> End {
        let Call { channel, peer, transport, front, alone } = call;
        let talk = |pass: Pass, peer, front: Arc<dyn Front>| {
            pass.announce(front.as_ref());
            Talk { rules: &self.rules, pass, peer, front, alone }
        };
        if transport == Transport::Tls {
            return match self.gate.secure(channel, &peer, &front).await {
                Ok((stream, pass)) => talk(pass, peer, front).hold(stream).await,
                Err(rejected) => turn_away(rejected, front.as_ref()),
            };
        }
        match Gate::same_user(&peer) {
            Ok(pass) => talk(pass, peer, front).hold(channel).await,
            Err(rejected) => turn_away(rejected, front.as_ref()),
        }
    }
}

/// Tells why somebody did not come in.
pub(crate) fn turn_away(rejected: Rejected, front: &dyn Front) -> End {
    let Rejected { why, offence } = rejected;
    front.tell(News::Rejected { why, offence });
    End::ours(Why::Rejected)
}

impl Session for Host {
    fn serve(self: Arc<Self>, call: Call) -> Serving {
        Box::pin(self.call(call))
    }

    fn setup(&self) -> Value {
        json!({ "rules": self.rules, "key": self.gate.key.public().to_string() })
    }

    fn look(&self, first: &[u8]) -> Look {
        Gate::look(first)
    }

    fn answer(&self, question: &[u8]) -> Result<Vec<u8>, String> {
        self.gate.key.sign_for_worker(question)
    }

    fn fingerprint(&self) -> Option<String> {
        Some(self.gate.key.fingerprint())
    }

    fn reload(&self) -> Result<(), String> {
        self.gate.key.reload(&self.rules.host_key)
    }
}

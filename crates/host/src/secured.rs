//! A service that answers by itself, behind TLS: `tls://` for `upper`, `echo` and the others.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use sockeye_serve::{Call, End, Look, News, Service, Serving, Session, drive};
use sockeye_trust::{HostKeyError, PublicKey, host_key};

use crate::gate::{Gate, HostKey};
use crate::server::turn_away;

/// The name in TLS (ALPN, RFC 7301) of a plain stream of bytes.
pub const ALPN: &[u8] = b"sockeye-stream/1";

/// Secures the connections of one service.
pub struct Secured {
    service: Service,
    gate: Gate,
    authorized: PathBuf,
    host_key: PathBuf,
}

impl Secured {
    /// The same service, with `tls://` for those whose keys are in the list. The server's key is
    /// made where there is none yet.
    ///
    /// # Errors
    /// Where the key cannot be read or made.
    pub fn service(
        service: Service,
        authorized: PathBuf,
        key: PathBuf,
    ) -> Result<Service, HostKeyError> {
        let held = HostKey::held(host_key(&key)?);
        Ok(Secured::with(service, authorized, key, held))
    }

    /// The same in a worker process, from what [`Session::setup`] said there.
    pub fn in_worker(service: Service, setup: &Value) -> Option<Service> {
        let path = |name| Some(PathBuf::from(setup.get(name)?.as_str()?));
        let public: PublicKey = setup.get("key")?.as_str()?.parse().ok()?;
        let key = HostKey::elsewhere(public);
        Some(Secured::with(service, path("authorized")?, path("host_key")?, key))
    }

    fn with(service: Service, authorized: PathBuf, host_key: PathBuf, key: HostKey) -> Service {
        let gate = Gate::new(key, authorized.clone(), ALPN);
        let inner = service.clone();
        service.secured_by(Arc::new(Secured { service: inner, gate, authorized, host_key }))
    }

    async fn call(self: Arc<Self>, call: Call) -> End {
        let Call { channel, peer, front, .. } = call;
        match self.gate.secure(channel, &peer, &front).await {
            Ok((_, pass)) if pass.forced.is_some() => {
                let why = format!("its key {} is for one command only", pass.identity);
                front.tell(News::Rejected { why, offence: sockeye_serve::Offence::Key });
                End::ours(sockeye_serve::Why::Rejected)
            }
            Ok((stream, pass)) => {
                pass.announce(front.as_ref());
                match self.service.respond() {
                    Some(responder) => drive::channel::drive(stream, responder).await,
                    None => End::ours(sockeye_serve::Why::Error),
                }
            }
            Err(rejected) => turn_away(rejected, front.as_ref()),
        }
    }
}

impl Session for Secured {
    fn serve(self: Arc<Self>, call: Call) -> Serving {
        Box::pin(self.call(call))
    }

    fn setup(&self) -> Value {
        json!({
            "authorized": self.authorized,
            "host_key": self.host_key,
            "key": self.gate.key.public().to_string(),
        })
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
        self.gate.key.reload(&self.host_key)
    }
}

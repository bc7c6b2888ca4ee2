//! A service that answers by itself, behind TLS: `tls://` for `upper`, `echo` and the others.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sockeye_serve::{Call, End, News, Service, drive};
use sockeye_trust::HostKeyError;

use crate::gate::{Gate, HostKey, no_place};
use crate::gated::{Behind, Gated, turn_away};

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
        let held = HostKey::held(&key)?;
        Ok(Secured::with(service, authorized, key, held))
    }

    /// The same in a worker process, from what [`Session::setup`](sockeye_serve::Session::setup)
    /// said in the server.
    pub fn in_worker(service: Service, setup: &Value) -> Option<Service> {
        let path = |name| Some(PathBuf::from(setup.get(name)?.as_str()?));
        let file = path("host_key")?;
        let key = HostKey::elsewhere(setup, &file)?;
        Some(Secured::with(service, path("authorized")?, file, key))
    }

    fn with(service: Service, authorized: PathBuf, host_key: PathBuf, key: HostKey) -> Service {
        let gate = Gate::new(key, authorized.clone(), ALPN);
        let inner = service.clone();
        service.secured_by(Arc::new(Behind(Secured { service: inner, gate, authorized, host_key })))
    }
}

impl Gated for Secured {
    fn gate(&self) -> &Gate {
        &self.gate
    }

    async fn call(&self, call: Call) -> End {
        let Call { channel, peer, front, .. } = call;
        match self.gate.secure(channel, &peer, &front).await {
            Ok((_, pass)) if pass.forced.is_some() => {
                let why = format!("its key {} is for one command only", pass.identity);
                front.tell(News::Rejected { why, offence: sockeye_serve::Offence::Key });
                End::ours(sockeye_serve::Why::Rejected)
            }
            Ok((stream, pass)) => {
                if !pass.enter(front.as_ref()).await {
                    return no_place(stream).await;
                }
                match self.service.respond() {
                    Some(responder) => drive::channel::drive(stream, responder).await,
                    None => End::ours(sockeye_serve::Why::Error),
                }
            }
            Err(rejected) => turn_away(rejected, front.as_ref()),
        }
    }

    fn setup(&self) -> Map<String, Value> {
        let files = [("authorized", &self.authorized), ("host_key", &self.host_key)];
        files.into_iter().map(|(name, file)| (name.to_owned(), json!(file))).collect()
    }
}

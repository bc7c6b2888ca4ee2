//! A session behind a [`Gate`]: what is the same for all services that ask for keys.

use std::sync::Arc;

use serde_json::Value;
use sockeye_serve::{Call, End, Front, Look, News, Serving, Session, Why};
use sockeye_trust::hello;

use crate::gate::{Gate, Rejected};

/// What such a service does by itself.
pub(crate) trait Gated: Send + Sync + 'static {
    /// The gate before it.
    fn gate(&self) -> &Gate;

    /// Serves one connection to its end, through the gate.
    fn call(&self, call: Call) -> impl Future<Output = End> + Send;

    /// What a worker process needs to make the service again, beside the gate's public key.
    fn setup(&self) -> serde_json::Map<String, Value>;
}

/// The session of such a service.
pub(crate) struct Behind<T>(pub(crate) T);

impl<T: Gated> Session for Behind<T> {
    fn serve(self: Arc<Self>, call: Call) -> Serving {
        Box::pin(async move { self.0.call(call).await })
    }

    fn prepare(&self) {
        sockeye_trust::tls::prepare();
    }

    fn setup(&self) -> Value {
        let mut setup = self.0.setup();
        setup.insert("key".into(), self.0.gate().key.public().to_string().into());
        setup.into()
    }

    fn look(&self, first: &[u8]) -> Look {
        Gate::look(first)
    }

    fn farewell(&self) -> &'static [u8] {
        &hello::FAREWELL
    }

    fn answer(&self, question: &[u8]) -> Result<Vec<u8>, String> {
        self.0.gate().key.sign_for_worker(question)
    }

    fn fingerprint(&self) -> Option<String> {
        Some(self.0.gate().key.fingerprint())
    }

    fn reload(&self) -> Result<(), String> {
        self.0.gate().key.reload()
    }
}

/// Tells why somebody did not come in.
pub(crate) fn turn_away(rejected: Rejected, front: &dyn Front) -> End {
    let Rejected { why, offence } = rejected;
    front.tell(News::Rejected { why, offence });
    End::ours(Why::Rejected)
}

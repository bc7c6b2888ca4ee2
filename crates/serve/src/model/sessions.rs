//! Sessions inside a process that serves other connections too: on an event loop, or on a runtime of
//! their own in a thread.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use sockeye_limits as limits;
use sockeye_net::{Peer, Transport, sys};
use tokio::runtime::{Builder, Runtime};

use crate::channel::Channel;
use crate::connections::Conn;
use crate::ear::Ear;
use crate::end::{End, Why};
use crate::hall::Admission;
use crate::session::{Call, Entering, Front, News, Proof, Serving, Session};

/// The way to a server that is this very process.
struct Here {
    ear: Arc<Ear>,
    session: Arc<dyn Session>,
}

impl Front for Here {
    fn ask(&self, question: &[u8]) -> io::Result<Vec<u8>> {
        self.session.answer(question).map_err(io::Error::other)
    }

    fn enter(&self, proof: Proof) -> Entering<'_> {
        Box::pin(async move { self.ear.enter(&proof).await })
    }

    fn tell(&self, news: News) {
        self.ear.hear(&news);
    }
}

/// Everything about an admitted connection that its session is given but the channel, which belongs
/// to the event loop that serves it.
pub(super) struct Introduction {
    session: Arc<dyn Session>,
    conn: Arc<Conn>,
    front: Arc<dyn Front>,
    peer: Peer,
    transport: Transport,
}

impl Introduction {
    pub(super) fn new(
        session: Arc<dyn Session>,
        conn: &Arc<Conn>,
        admission: &Admission,
    ) -> Introduction {
        let ear = Arc::clone(admission.ear());
        let front = Arc::new(Here { ear, session: Arc::clone(&session) });
        let (peer, transport) = (admission.peer().clone(), admission.transport());
        Introduction { session, conn: Arc::clone(conn), front, peer, transport }
    }

    /// Serves the connection on the current event loop.
    pub(super) async fn serve(self) -> End {
        let call = |channel| Call {
            channel,
            peer: self.peer,
            transport: self.transport,
            front: self.front,
            alone: false,
        };
        serve(self.session, &self.conn, call).await
    }
}

/// Serves one connection by a session on the current event loop. A panic ends its connection alone.
pub(crate) async fn serve(
    session: Arc<dyn Session>,
    conn: &Arc<Conn>,
    call: impl FnOnce(Channel) -> Call,
) -> End {
    let channel = match Channel::new(conn) {
        Ok(channel) => channel,
        Err(error) => return End::failed(&error),
    };
    let call = call(channel);
    conn.verdict(without_panic(session.serve(call)).await)
}

async fn without_panic(mut serving: Serving) -> End {
    std::future::poll_fn(move |cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(cx)));
        polled.unwrap_or(Poll::Ready(End::ours(Why::Panic)))
    })
    .await
}

/// A runtime for one connection. tokio would panic without descriptors, so they are asked for first.
pub(crate) fn runtime() -> io::Result<Runtime> {
    sys::require_descriptors(limits::RUNTIME_DESCRIPTORS)?;
    Builder::new_current_thread().enable_all().build()
}

/// Runs one future on a runtime of its own, for the models whose drivers block.
pub(crate) fn block_on(future: impl Future<Output = End>) -> End {
    match runtime() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => End::failed(&error),
    }
}

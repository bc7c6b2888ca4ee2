//! sockeye, a socket toolkit: serve, talk to and look into TCP, UDP and Unix sockets.
//!
//! The library is the program without its command line:
//!
//! - [`net`]: an endpoint becomes a socket; [`net::classic`] is the page that gives each classic
//!   call (bind, listen, accept, …) its place;
//! - [`serve`]: services, drivers and concurrency models;
//! - [`talk`]: a conversation from the client's side;
//! - [`observe`]: the kernel's tables of sockets, whose they are, and what they count;
//! - [`load`]: load for a server, and reports of it;
//! - [`limits`]: every limit, its default and why.
//!
//! [`serve_main`] makes a whole server program of a service of one's own.
#![forbid(unsafe_code)]

mod cli;

#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub use cli::fuzzing;
pub use cli::{main, serve_main};
pub use sockeye_limits as limits;
pub use sockeye_load as load;
pub use sockeye_net as net;
pub use sockeye_observe as observe;
pub use sockeye_serve as serve;
pub use sockeye_talk as talk;

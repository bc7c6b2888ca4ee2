//! One conversation over a socket, from the client's side: `sockeye connect` as a library.
//!
//! In reading order: [`dial`] connects, with new attempts where they are wanted; an [`Input`] gives
//! the bytes to send and an [`Output`] takes what is to be shown; [`pipe`] moves bytes both ways
//! over a stream, [`datagram`] keeps boundaries, [`per_message`] makes a connection a line, and
//! [`prompt`] talks to a person on a terminal. In between stands the [`View`], whose
//! [`Transcript`] shows what passes as it is, escaped or in [`hex`], and writes the [`record`]ing
//! that [`replay`] plays.
//!
//! ```no_run
//! use sockeye_net::DialOptions;
//! use sockeye_talk::{Input, Line, Output, Show, Transcript, View, dial, pipe};
//!
//! # async fn example() -> Result<(), sockeye_talk::Error> {
//! let endpoint = "tcp://127.0.0.1:9000".parse().expect("it is one");
//! let stream = dial::stream(&endpoint, &DialOptions::default(), 0, &|_| {}).await?;
//! let line = Line::stream(stream, &endpoint)?;
//! let view = View::new(Transcript::new(Show::AsIs), Output::new(std::io::stdout()));
//! let result = pipe::pipe(&line, Some(Input::once(b"hello\n")), &view, None).await;
//! view.finish(result).await
//! # }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(missing_docs))]

pub mod crlf;
pub mod datagram;
pub mod dial;
pub mod error;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod hex;
pub mod input;
pub mod line;
pub mod messages;
pub mod output;
pub mod per_message;
pub mod pipe;
pub mod prompt;
pub mod record;
pub mod replay;
mod silence;
#[cfg(test)]
mod testing;
pub mod transcript;
pub mod view;

pub use dial::{Step, Tell};
pub use error::Error;
pub use input::Input;
pub use line::Line;
pub use messages::{Messages, Split};
pub use output::Output;
pub use transcript::{Direction, Show, Transcript};
pub use view::View;

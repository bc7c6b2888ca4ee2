//! An endpoint becomes a socket: parse, resolve, bind, dial, options, peer facts, explained errors.
//!
//! In reading order: [`Endpoint`] says where a socket is, [`resolve`] turns its name into
//! addresses, [`listen()`] and [`dial`] make sockets of it, [`options`] tunes them, and every failure
//! is an [`Error`] that carries the operation, the endpoint and the cause. [`classic`] is the page
//! for readers who know the C or Python calls: each one with its place here.
//!
//! This crate knows of no service. Whatever only Linux has, and all `unsafe`, is in [`sys`].
#![deny(unsafe_code)]
#![cfg_attr(not(test), warn(missing_docs))]

pub mod access;
pub mod activation;
pub mod address;
pub mod classic;
pub mod datagram;
pub mod dial;
pub mod endpoint;
pub mod error;
pub mod explain;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod listen;
pub mod options;
pub mod pages;
pub mod resolve;
pub mod shown;
pub mod stream;
pub mod sys;
pub mod units;
mod unix_file;

pub use address::{Address, Peer};
pub use datagram::{DatagramSocket, bind_datagram};
pub use dial::{DialOptions, dial_datagram, dial_stream};
pub use endpoint::{Endpoint, Host, HostPort, Transport, UnixName};
pub use error::{Error, Operation};
pub use listen::{BindOptions, Listener, listen};
pub use options::SocketOption;
pub use pages::Pages;
pub use resolve::Family;
pub use stream::Stream;

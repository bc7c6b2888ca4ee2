//! The program from outside: real processes and real sockets, judged by what users can see.
//!
//! `harness` starts servers and clients; `conformance` is one suite over every transport, service
//! and model; `life` goes through a server's life; `faults` and `faults_net` are the table of
//! faults, row by row, the second in network namespaces of their own; `connect` is the client;
//! `strangers` are other programs at the other end, `own_service` is a service of a user's own;
//! `host` is remote commands, `host_faults` attacks them from both ends and from between.
#![forbid(unsafe_code)]
// A test that cannot go on fails; its helpers as well.
#![allow(clippy::unwrap_used)]

mod conformance;
mod connect;
mod faults;
mod faults_net;
mod harness;
mod host;
mod host_faults;
mod life;
mod own_service;
mod strangers;

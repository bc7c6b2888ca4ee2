//! The program from outside: real processes and real sockets, judged by what users can see.
//!
//! `harness` starts servers and clients; `conformance` is one suite over every transport, service
//! and model; `life` goes through a server's life; `faults` and `faults_net` are the table of
//! faults, row by row, the second in network namespaces of their own; `connect` is the client;
//! `strangers` are other programs at the other end, `own_service` is a service of a user's own;
//! `host` is remote commands, `host_faults` attacks them from both ends and from between; `files` and
//! `files_faults` are the same for transfers; `load` is what `bench` counts, `bench` what it shows;
//! `observe` is what `sockeye ports` says, and whether the kernel does what it is said to do,
//! `observe_trace` is `sockeye trace`; `model` plays random scenarios and judges them by a model; `tour`
//! takes the tour, `tree` looks at the sources themselves, `reliability` at what the tests say of faults,
//! `translation` at the README in Chinese.
#![forbid(unsafe_code)]
// A test that cannot go on fails; its helpers as well.
#![allow(clippy::unwrap_used)]

mod bench;
mod conformance;
mod connect;
mod faults;
mod faults_net;
mod files;
mod files_faults;
mod harness;
mod host;
mod host_faults;
mod life;
mod load;
mod model;
mod observe;
mod observe_trace;
mod own_service;
mod reliability;
mod strangers;
mod tour;
mod translation;
mod tree;

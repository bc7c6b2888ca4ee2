//! The client: `sockeye connect` in pipes, in datagrams and on a terminal (C, E4, faults 26, 27, 45).

mod datagrams;
mod options;
mod peer;
mod pipe;
mod recordings;
mod terminal;
mod usage;

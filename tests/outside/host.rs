//! Remote commands: what `serve host`, `exec`, `shell`, `key` and `serve command` do (X, T, V3, V4).

mod audit;
mod basics;
mod ending;
mod failing;
mod first_steps;
mod keys;
mod load;
mod plain;
pub(crate) mod pty;
mod secured;
mod setup;
mod streams;
mod terminal;
mod trust;

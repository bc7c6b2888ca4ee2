//! Remote commands under attack: hostile clients, hostile servers, and what is between them.

mod cut;
mod display;
mod door;
mod forward;
mod frames;
pub(crate) mod hostile;
mod keys;
mod places;
mod plain;
mod secrets;
mod sentences;
mod silence;
mod strangers;
mod tamper;

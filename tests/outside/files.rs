//! Transfers: what `cp` and `sync` do (F1 to F7).

mod deletion;
mod delta;
mod kinds;
mod many;
mod metadata;
mod places;
mod report;
mod settings;
mod streams;
mod sync;
mod usage;

//! `sockeye cp` and `sockeye sync`: files between this machine and another one.

mod args;
mod place;
mod report;
mod run;
mod sources;

pub(crate) use args::{CpArgs, FilesConfig, SyncArgs};
pub(crate) use run::run;

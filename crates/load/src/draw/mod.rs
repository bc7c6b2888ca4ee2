//! Figures as pictures: values in, lines of text or a page out. No clock, no terminal, no files.
//!
//! [`latency`] and [`bars`] draw for a terminal of a given width, in colour or not; [`page`] makes
//! one self-contained HTML file. Both use the same [`scale`]s and [`units`].

pub mod bars;
mod bulk;
mod compared;
pub mod ink;
pub mod latency;
pub mod page;
mod run;
pub mod scale;
pub mod table;
#[cfg(test)]
mod tests;
pub mod units;

pub use bulk::throughput;
pub use compared::comparison;
pub use run::report;

//! Draws a history: on a terminal, layer by layer, as a page, for machines.
//!
//! Values in, text out: nothing here writes anywhere. A [`Drawer`] draws step by step, as things
//! happen; [`picture`] draws a whole history, and knows how it goes on.

mod calls;
pub mod json;
pub mod layers;
mod page;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
pub mod words;

pub use page::{Source, page};
pub use terminal::{Drawer, Style, picture};
pub use text::wrapped;

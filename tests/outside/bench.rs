//! What `bench` shows, and `bench models` (B1 to B3).

mod models;
mod shown;

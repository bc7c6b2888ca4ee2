//! The life of a server from start to end, clause by clause (E5 to E7, L, M, Q).

mod activation;
mod drain;
mod limits;
mod manual;
mod models;
mod names;
mod ready;
mod settings;
mod usage;

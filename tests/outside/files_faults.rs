//! Transfers under attack and in trouble: hostile ends, full disks, killed processes (F2, F3, F8).

mod changes;
mod client;
mod content;
mod full;
mod kill;
mod names;
mod peers;
mod race;
mod roots;
mod server;
mod steps;
mod storage;
mod trickle;

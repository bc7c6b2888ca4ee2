//! Faults that need a network of their own: each test runs again inside new namespaces.

mod datagrams;
mod naming;
mod packets;

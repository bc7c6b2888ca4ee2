//! Any bytes come to a server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_wire::fuzzing::server_bytes(data));

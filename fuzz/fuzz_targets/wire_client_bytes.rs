//! Any bytes come to a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_wire::fuzzing::client_bytes(data));

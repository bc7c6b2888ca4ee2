//! Any bytes begin a connection on a TLS port.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_trust::fuzzing::client_hello(data));

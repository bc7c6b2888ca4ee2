//! Any records follow a handshake.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_trust::fuzzing::tls_records(data));

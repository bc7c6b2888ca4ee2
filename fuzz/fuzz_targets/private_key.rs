//! Any bytes stand in a private key file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_trust::fuzzing::private_key(data));

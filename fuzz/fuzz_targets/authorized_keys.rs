//! Any bytes stand in a list of authorised keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_trust::fuzzing::authorized_keys(data));

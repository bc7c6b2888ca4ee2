//! Any bytes are read as a public key, in each of its forms.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_trust::fuzzing::public_key(data));

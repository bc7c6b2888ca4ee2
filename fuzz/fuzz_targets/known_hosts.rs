//! Any bytes stand in a list of known hosts.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_trust::fuzzing::known_hosts(data));

//! Any bytes are shown to a person.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_net::fuzzing::shown(data));

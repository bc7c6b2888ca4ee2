//! Any word is read as an endpoint.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_net::fuzzing::endpoint(data));

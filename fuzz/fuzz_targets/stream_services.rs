//! Any bytes come to the services, cut anyhow.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_serve::fuzzing::streams(data));

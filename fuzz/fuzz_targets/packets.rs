//! Any frames are captured.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_observe::fuzzing::packets(data));

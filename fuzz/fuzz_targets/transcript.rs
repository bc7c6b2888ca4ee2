//! Any bytes pass over a line that is shown.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_talk::fuzzing::transcript(data));

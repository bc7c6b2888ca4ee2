//! Any bytes are played as a recording.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_talk::fuzzing::recording(data));

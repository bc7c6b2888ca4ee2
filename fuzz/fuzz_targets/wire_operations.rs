//! Any calls on both ends.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_wire::fuzzing::operations(data));

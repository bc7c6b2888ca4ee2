//! Any packets and comments are written to a file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_observe::fuzzing::pcapng(data));

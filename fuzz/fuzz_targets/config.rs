//! Any text stands in the configuration file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye::fuzzing::config(data));

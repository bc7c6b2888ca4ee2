//! Any bytes stand in an interrupted file's journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_files::fuzzing::journal(data));

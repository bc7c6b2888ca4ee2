//! Any bytes come from a sender of files.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_wire::fuzzing::transfer_sender_bytes(data));

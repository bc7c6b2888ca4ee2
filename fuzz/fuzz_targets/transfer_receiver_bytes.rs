//! Any bytes come from a receiver of files.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_wire::fuzzing::transfer_receiver_bytes(data));

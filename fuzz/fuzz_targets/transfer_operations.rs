//! Any sayings of both sides of a transfer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_wire::fuzzing::transfer_operations(data));

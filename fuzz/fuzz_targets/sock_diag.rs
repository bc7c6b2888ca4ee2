//! Any bytes come as the kernel's answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_observe::fuzzing::sock_diag(data));

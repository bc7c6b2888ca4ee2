//! Any datagrams come to the services.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_serve::fuzzing::datagrams(data));

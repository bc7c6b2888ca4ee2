//! Any bytes come as a reply in the plain form.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_wire::fuzzing::plain_reply(data));

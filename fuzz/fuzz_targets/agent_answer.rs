//! Any bytes come from an agent.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_trust::fuzzing::agent_answer(data));

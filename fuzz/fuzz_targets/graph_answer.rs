//! A body that Graph, or something in its place, answers with.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| capigate::fuzzing::graph_answer(body));

//! The bytes of a journal's file, sound and damaged.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| capigate::fuzzing::segment(bytes));

//! One event: parsed, hashed and encoded.

#![no_main]

mod hashed;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| hashed::take(json, "canary@example.com"));

//! A body of JSON.

#![no_main]

mod common;

use capigate::ingest::request::parse_json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| match parse_json(body, common::MAX_EVENTS) {
    Ok(members) => common::look(&members),
    Err(rejection) => common::refused(&rejection),
});

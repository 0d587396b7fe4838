//! A multipart form whose boundary is `xyz`.

#![no_main]

mod common;

use capigate::ingest::request::parse_multipart;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    match parse_multipart(body, "xyz", common::MAX_EVENTS) {
        Ok(members) => common::look(&members),
        Err(rejection) => common::refused(&rejection),
    }
});

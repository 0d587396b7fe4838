//! A form as it stands in a body or a query.

#![no_main]

mod common;

use capigate::ingest::request::parse_form;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| match parse_form(body, common::MAX_EVENTS) {
    Ok(members) => common::look(&members),
    Err(rejection) => common::refused(&rejection),
});

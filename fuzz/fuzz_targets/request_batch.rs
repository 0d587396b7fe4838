//! A batch: JSON if it begins with a brace, else a form.

#![no_main]

mod common;

use capigate::ingest::request::{MAX_OPERATIONS, parse_batch, parse_form, parse_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let none = parse_form(b"", common::MAX_EVENTS).expect("an empty form");
    let members = if body.first() == Some(&b'{') {
        parse_json(body, common::MAX_EVENTS)
    } else {
        parse_form(body, common::MAX_EVENTS)
    };
    let Ok(members) = members else { return };
    let batch = match parse_batch(&none, &members) {
        Ok(batch) => batch,
        Err(rejection) => return common::refused(&rejection),
    };
    assert!((1..=MAX_OPERATIONS).contains(&batch.operations.len()));
    for operation in &batch.operations {
        let operation = match operation {
            Ok(operation) => operation,
            Err(rejection) => {
                common::refused(rejection);
                continue;
            }
        };
        assert!(!operation.path().contains('?'));
        if let Ok(query) = operation.query(common::MAX_EVENTS) {
            common::look(&query);
        }
        match operation.members(common::MAX_EVENTS) {
            Ok(members) => common::look(&members),
            Err(rejection) => common::refused(&rejection),
        }
    }
});

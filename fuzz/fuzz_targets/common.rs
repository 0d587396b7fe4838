//! What the targets of the request decoders have in common.

use capigate::ingest::answer::Rejection;
use capigate::ingest::request::{Members, parse_form, read};

/// Stands in seeds for what is personal; no refusal may repeat it.
pub const CANARY: &str = "canary@example.com";
/// `ingest.max_events`, small so that it is reached.
pub const MAX_EVENTS: usize = 4;

/// Reads members as a request's, and looks at what comes of it.
pub fn look(members: &Members<'_>) {
    let none = parse_form(b"", MAX_EVENTS).expect("an empty form");
    match read(&none, members, MAX_EVENTS) {
        Err(rejection) => refused(&rejection),
        Ok(parsed) => {
            assert!((1..=MAX_EVENTS).contains(&parsed.events.len()));
            // what is kept beside the events is plain
            let options = serde_json::to_string(&parsed.options).expect("options are JSON");
            assert!(!options.contains('@'), "{options}");
            assert!(
                options.len() < 8 * 1024,
                "{} bytes of options",
                options.len()
            );
        }
    }
}

/// Looks at a refusal.
pub fn refused(rejection: &Rejection) {
    assert!(rejection.status() >= 400);
    assert!(!format!("{rejection:?}").contains(CANARY), "{rejection:?}");
}

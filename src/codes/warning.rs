//! What a sender should know about an event that is taken.

use super::{About, Row, pages};

const WARNING: &[About] = &[About::Warning];

pub(super) const ROWS: &[Row] = &[
    warning(
        "alias",
        "a field of user_data has the name that Meta gives it",
        "send it under the name in the warning; it was read all the same",
    )
    .example("\"em\" instead of \"email\"")
    .meta(pages::CUSTOMER),
    warning(
        "dropped",
        "a value has the form of its field; one that cannot be used is left out",
        "send it in the form Meta documents, or not at all",
    )
    .example("\"country\":\"de\"")
    .meta(pages::CUSTOMER),
    warning(
        "calling_code",
        "a phone number has its calling code; where the country is known, one that is written as \
         within it gets it, if that is certain",
        "send it with its calling code",
    )
    .example("\"ph\":\"+49 151 12345678\"")
    .meta(pages::CUSTOMER),
    warning(
        "hashed",
        "an external_id that looks like an e-mail address or a phone number is hashed, though its \
         source sends external ids in clear",
        "send an id of your own, with a letter in it, or set sources.<name>.external_id = \"hash\"",
    )
    .example("\"external_id\":\"customer-1\"")
    .meta(pages::CUSTOMER),
    warning(
        "unknown_key",
        "user_data has Meta's fields only; what else is in it could be personal and is left out",
        "correct the name, or allow it with sources.<name>.allow_user_data",
    )
    .example("\"external_id\":\"customer-1\"")
    .meta(pages::CUSTOMER),
    warning(
        "unknown_member",
        "beside data stand the request options that Graph knows; others are left out",
        "correct the name, or move the member into the events",
    )
    .example("\"test_event_code\":\"TEST12345\"")
    .meta(pages::MAIN_BODY),
    warning(
        "test_code_left_out",
        "a request may bring a test_event_code where its source allows it; elsewhere the code is \
         left out and the events are taken",
        "leave it out, or set sources.<name>.allow_test_event_code; `capigate test-mode start` \
         sets one for a while",
    )
    .example("allow_test_event_code = true")
    .meta(pages::USING),
    warning(
        "redacted",
        "personal values are in user_data, where they are hashed; elsewhere they are blacked out",
        "send them in user_data",
    )
    .example("\"user_data\":{\"em\":\"jane@example.com\"}")
    .meta(pages::CUSTOMER),
    warning(
        "stripped",
        "an event has what belongs to its action_source, and no token; the rest is left out",
        "leave it out",
    )
    .meta(pages::MESSAGING),
    warning(
        "moved_to_now",
        "event_time is not ahead of the gateway's clock; up to 5 minutes are forgiven and set to now",
        "set the sender's clock by NTP",
    )
    .meta(pages::SERVER_EVENT),
    warning(
        "milliseconds",
        "event_time is in whole seconds",
        "divide by 1,000; it was done for this event",
    )
    .example("\"event_time\":1795341558")
    .meta(pages::SERVER_EVENT),
    warning(
        "rounded",
        "event_time is in whole seconds",
        "cut the fraction off; it was done for this event",
    )
    .example("\"event_time\":1795341558")
    .meta(pages::SERVER_EVENT),
    warning(
        "misplaced",
        "each member stands where Meta reads it; elsewhere it passes and does nothing",
        "move it to where the warning says",
    )
    .example("\"custom_data\":{\"value\":129.9}")
    .meta(pages::SERVER_EVENT),
    warning(
        "unknown_value",
        "a value is one that Meta documents; others pass and may do nothing",
        "compare it with Meta's list",
    )
    .meta(pages::SERVER_EVENT),
    warning(
        "duplicate",
        "where duplicates.events says so (business_messaging), an event_name and event_id are sent \
         once in duplicates.window; a twin is answered as received and not sent again",
        "nothing, if it is a repeat; else give each event an event_id of its own",
    )
    .example("\"event_id\":\"order-1001\"")
    .meta(pages::DEDUPLICATION),
];

const fn warning(word: &'static str, rule: &'static str, next: &'static str) -> Row {
    Row::new(word, WARNING, rule, next).taken()
}

//! Why an event is not sent, though nothing is wrong with it: each word is the key of a policy.

use super::{About, Row, pages};

const POLICY: &[About] = &[About::Policy];

pub(super) const ROWS: &[Row] = &[
    policy(
        "consent",
        "the person has agreed; what was denied (or not answered, where required) is not sent",
        "nothing, if the answer is right; else send the member that the policy names",
    )
    .example("\"consent\":\"granted\""),
    policy(
        "crawlers",
        "a person has caused the event; those of known crawlers are not sent",
        "nothing, or set crawlers = \"keep\"",
    ),
    policy(
        "allow_events",
        "the event's name is one of allow_events, exactly",
        "nothing, or add the name to the policy",
    )
    .meta(pages::SERVER_EVENT),
    policy(
        "block_events",
        "the event's name is none of block_events",
        "nothing, or take the name out of the policy",
    ),
    policy(
        "allow_hosts",
        "the host of event_source_url is one of allow_hosts; an event of a website has such a URL",
        "nothing, or add the host to the policy",
    )
    .example("\"event_source_url\":\"https://shop.example/thanks\""),
    policy(
        "block_hosts",
        "the host of event_source_url is none of block_hosts",
        "nothing, or take the host out of the policy",
    ),
    policy(
        "sample",
        "of the events of this name a share is sent; this one is not part of it",
        "nothing, or raise the share",
    ),
];

const fn policy(word: &'static str, rule: &'static str, next: &'static str) -> Row {
    Row::new(word, POLICY, rule, next).taken()
}

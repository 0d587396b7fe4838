//! Why one event is refused.

use super::About::{Event, Request, Warning};
use super::{About, Row, pages};

const EVENT: &[About] = &[Event];

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "missing",
        &[Request, Event, Warning],
        "what Meta asks for is there and not empty: data; of each event event_name, event_time, \
         action_source and user_data, and what its source needs besides",
        "add what the path names",
    )
    .example(
        "{\"event_name\":\"Lead\",\"event_time\":1795341558,\"action_source\":\"website\",\
         \"user_data\":{\"external_id\":\"customer-1\"}}",
    )
    .meta(pages::SERVER_EVENT),
    Row::new(
        "malformed",
        &[Request, Event],
        "each member has the type and form that Meta documents",
        "send it in the form of the rule and the example beside it",
    )
    .example("\"event_time\":1795341558")
    .meta(pages::SERVER_EVENT),
    Row::new(
        "repeated_key",
        EVENT,
        "each key of an object stands once",
        "leave one of the two out",
    )
    .example("{\"em\":\"jane@example.com\"}"),
    Row::new(
        "too_deep",
        EVENT,
        "lists and objects nest at most 32 levels deep",
        "flatten what is nested",
    ),
    Row::new(
        "too_many",
        EVENT,
        "an object has at most 256 members, a list in user_data 256 values, any other list 10,000",
        "send less in one event",
    ),
    Row::new(
        "too_old",
        EVENT,
        "event_time is within the last 7 days, of physical_store 62",
        "send events as they happen; what is older Meta takes no more",
    )
    .sub(2_804_003)
    .example("\"event_time\":1795341558")
    .meta(pages::SERVER_EVENT),
    Row::new(
        "in_future",
        EVENT,
        "event_time is at most 5 minutes ahead of the gateway's clock",
        "send Unix time in whole seconds, UTC, and set the sender's clock by NTP",
    )
    .example("\"event_time\":1795341558")
    .meta(pages::SERVER_EVENT),
    Row::new(
        "no_match_keys",
        EVENT,
        "user_data identifies a person: em, ph, external_id, fbc, or address and browser together; \
         what is too broad or unusable does not count",
        "add a key that identifies; notes says what was dropped before",
    )
    .sub(2_804_050)
    .example("\"user_data\":{\"external_id\":\"customer-1\"}")
    .meta(pages::CUSTOMER),
    Row::new(
        "without_value",
        EVENT,
        "a Purchase has custom_data.value, a number",
        "add the value; 0 will do",
    )
    .sub(2_804_009)
    .example("\"value\":129.9")
    .meta(pages::CUSTOM_DATA),
    Row::new(
        "without_currency",
        EVENT,
        "a Purchase, and an order of business_messaging, has custom_data.currency, an ISO 4217 code",
        "add the currency",
    )
    .example("\"currency\":\"EUR\"")
    .meta(pages::CUSTOM_DATA),
    Row::new(
        "os_version",
        EVENT,
        "app_data.extinfo[4], the version of the operating system, is not empty",
        "add the version; the other places may be empty",
    )
    .sub(2_804_043)
    .example("\"14.1\"")
    .meta(pages::APP_EVENTS),
    Row::new(
        "messaging_name",
        EVENT,
        "business_messaging has its own event names",
        "send the event under such a name, or with the action_source it really has",
    )
    .sub(2_804_066)
    .example("\"event_name\":\"LeadSubmitted\"")
    .meta(pages::MESSAGING),
];

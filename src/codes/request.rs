//! Why a whole request is refused.

use super::About::{Event, Request};
use super::{About, Row, pages};

const REQUEST: &[About] = &[Request];

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "no_route",
        REQUEST,
        "events go to POST /{version}/{pixel_id}/events or POST /capi/{pixel_id}/events, batches to \
         POST / or POST /{version}",
        "correct the path",
    )
    .status(404)
    .graph(2500)
    .example("/v26.0/1234567890123456/events"),
    Row::new(
        "method",
        REQUEST,
        "events are sent with POST",
        "send the request with POST",
    )
    .status(405)
    .meta(pages::USING),
    Row::new(
        "content_type",
        REQUEST,
        "the body is a JSON object or a form (application/json, application/x-www-form-urlencoded \
         or multipart/form-data)",
        "send it in such a form, and name the form in Content-Type",
    )
    .status(415)
    .example("Content-Type: application/json")
    .meta(pages::USING),
    Row::new(
        "content_encoding",
        REQUEST,
        "the body is sent as it is, or packed with gzip, deflate, br or zstd, or with two of them",
        "pack it in such a way, and name it in Content-Encoding",
    )
    .status(415)
    .example("Content-Encoding: gzip"),
    Row::new(
        "unauthorized",
        REQUEST,
        "a request shows the ingest key of a source",
        "send the key as Authorization: Bearer …, or as access_token in the body or the query; \
         compare its SHA-256 with sources.<name>.keys",
    )
    .status(401)
    .graph(190)
    .example("Authorization: Bearer your-ingest-key"),
    Row::new(
        "forbidden_origin",
        REQUEST,
        "a request without a key comes from a page whose Origin may post for the pixel",
        "add the page's origin to sources.<name>.origins of a source with kind = \"browser\", or \
         send an ingest key from a server",
    )
    .status(403)
    .graph(200)
    .example("origins = [\"https://shop.example\"]"),
    Row::new(
        "forbidden_pixel",
        REQUEST,
        "a source posts for its own pixels only",
        "add the pixel to sources.<name>.pixels, or send the key of a source that has it",
    )
    .status(403)
    .graph(200)
    .example("pixels = [\"1234567890123456\"]"),
    Row::new(
        "unknown_pixel",
        REQUEST,
        "the pixel in the path is configured in this gateway",
        "add it under pixels.<id>, or correct the path",
    )
    .sub(33)
    .example("[pixels.1234567890123456]"),
    Row::new(
        "bad_pixel",
        REQUEST,
        "a pixel id in the path is 1 to 20 decimal digits",
        "correct the path; the Events Manager shows the id of the dataset",
    )
    .example("/v26.0/1234567890123456/events"),
    Row::new(
        "bad_encoding",
        REQUEST,
        "the body is what its Content-Encoding says",
        "compress the whole body, once, or leave the header out",
    )
    .example("Content-Encoding: gzip"),
    Row::new(
        "cut_body",
        REQUEST,
        "the body arrives whole, as long as its Content-Length says",
        "send it again; if it stays, look at the proxy between",
    ),
    Row::new(
        "not_utf8",
        REQUEST,
        "the body is UTF-8 text",
        "encode the text as UTF-8",
    )
    .example("{\"data\":[{…}]}"),
    Row::new(
        "bad_json",
        REQUEST,
        "the body is one JSON object with data and request options, at most 64 members",
        "let a JSON library write the body; the answer says where it stops being JSON",
    )
    .example("{\"data\":[{…}]}"),
    Row::new(
        "bad_form",
        REQUEST,
        "a form is written as its Content-Type says, a multipart form with the boundary named \
         there, and has at most 64 fields beside data[0], data[1] and so on",
        "let an HTTP library write the form and its Content-Type",
    )
    .example("curl -F 'data=[{…}]'"),
    Row::new(
        "duplicate_key",
        REQUEST,
        "each member beside data stands once; in the query and in the body only if it is the same",
        "leave one of the two out",
    )
    .example("{\"data\":[{…}],\"test_event_code\":\"TEST12345\"}"),
    Row::new(
        "no_events",
        REQUEST,
        "data has at least one event",
        "send nothing while there is no event",
    )
    .example("{\"data\":[{…}]}")
    .meta(pages::MAIN_BODY),
    Row::new(
        "too_many_events",
        REQUEST,
        "data has at most ingest.max_events events (1,000)",
        "send fewer events in a request",
    )
    .meta(pages::USING),
    Row::new(
        "too_many_operations",
        REQUEST,
        "a batch has at most 50 operations",
        "send fewer in a batch; one operation may have many events",
    )
    .meta(pages::BATCH),
    Row::new(
        "events",
        REQUEST,
        "at least one event is good; with sources.<name>.strict every one",
        "mend the events that are named in errors, and send all of them again: the others were \
         refused with them",
    ),
    Row::new(
        "too_large",
        &[Request, Event],
        "a body has at most ingest.max_body bytes, also unpacked; an event at most 1 MiB as sent \
         and ingest.max_event_bytes as stored",
        "send fewer events in a request, and long texts not at all",
    )
    .status(413),
    Row::new(
        "body_timeout",
        REQUEST,
        "the body arrives within ingest.body_timeout",
        "send the request again",
    )
    .transient(408),
    Row::new(
        "rate",
        REQUEST,
        "a source sends at most the events of sources.<name>.rate; browsers from one address at most \
         those of rate_per_address",
        "send the request again after Retry-After, or raise the rate that limit names",
    )
    .transient(429)
    .graph(4),
    Row::new(
        "overloaded",
        REQUEST,
        "a bound of the gateway leaves room; limit says which one does not",
        "send the request again after Retry-After",
    )
    .transient(503),
    Row::new(
        "stopping",
        REQUEST,
        "a gateway that stops takes nothing more",
        "send the request again, to another instance or later",
    )
    .transient(503),
    Row::new(
        "unavailable",
        REQUEST,
        "the gateway can make events durable",
        "send the request again later; the operator restarts it once the disk is well",
    )
    .transient(503),
];

//! The refusal table: what the sandbox answers, and how well each answer is known.

use serde::Serialize;

/// How well an answer of the sandbox is known to be the answer of Meta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Recorded from a real answer: code and subcode can be relied upon.
    Recorded,
    /// Published by Meta: code and subcode, if not the text.
    Documented,
    /// One reporter, or code that handles it: likely, no recorded answer.
    Reported,
    /// The rule is documented (or plain), but nobody has published the answer. The sandbox says
    /// `100` without a subcode; do not build on it.
    Unconfirmed,
}

/// One way to refuse a request.
#[derive(Debug, Serialize)]
pub struct Refusal {
    /// A stable word for the reason, as it stands in the ledger.
    pub reason: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Graph's `error.code`.
    pub code: i64,
    /// Graph's `error.error_subcode`.
    pub subcode: Option<i64>,
    /// Graph's `error.type`.
    pub kind: &'static str,
    /// Graph's `error.message`.
    pub message: &'static str,
    /// Graph's `error.error_user_title`.
    pub title: Option<&'static str>,
    /// Graph's `error.error_user_msg`.
    pub detail: Option<&'static str>,
    /// How well this is known.
    pub basis: Basis,
}

/// A bad payload with a subcode of its own.
const fn payload(
    reason: &'static str,
    subcode: i64,
    title: &'static str,
    detail: &'static str,
    basis: Basis,
) -> Refusal {
    Refusal {
        reason,
        status: 400,
        code: 100,
        subcode: Some(subcode),
        kind: "OAuthException",
        message: "Invalid parameter",
        title: Some(title),
        detail: Some(detail),
        basis,
    }
}

/// A bad payload whose subcode nobody has published.
const fn unconfirmed(reason: &'static str, detail: &'static str) -> Refusal {
    Refusal {
        reason,
        status: 400,
        code: 100,
        subcode: None,
        kind: "OAuthException",
        message: "Invalid parameter",
        title: Some("Invalid parameter"),
        detail: Some(detail),
        basis: Basis::Unconfirmed,
    }
}

/// A refusal that is not about an event.
pub(super) const fn plain(
    reason: &'static str,
    status: u16,
    code: i64,
    subcode: Option<i64>,
    message: &'static str,
    basis: Basis,
) -> Refusal {
    Refusal {
        reason,
        status,
        code,
        subcode,
        kind: "OAuthException",
        message,
        title: None,
        detail: None,
        basis,
    }
}

const CANNOT_PARSE: &str = "Invalid OAuth access token - Cannot parse access token";

// who asks, and for what
pub(super) static TOKEN_UNKNOWN: Refusal = plain(
    "token_unknown",
    401,
    190,
    None,
    CANNOT_PARSE,
    Basis::Recorded,
);
pub(super) static TOKEN_MISSING: Refusal = plain(
    "token_missing",
    401,
    190,
    None,
    "An access token is required to request this resource",
    Basis::Unconfirmed,
);
pub(super) static PROOF_MISSING: Refusal = Refusal {
    kind: "GraphMethodException",
    ..plain(
        "proof_missing",
        400,
        100,
        None,
        "API calls from the server require an appsecret_proof argument",
        Basis::Recorded,
    )
};
pub(super) static PROOF_WRONG: Refusal = Refusal {
    kind: "GraphMethodException",
    ..plain(
        "proof_wrong",
        400,
        100,
        None,
        "Invalid appsecret_proof provided in the API argument",
        Basis::Recorded,
    )
};
pub(super) static PROOF_STALE: Refusal = Refusal {
    kind: "GraphMethodException",
    ..plain(
        "proof_stale",
        400,
        100,
        None,
        "Invalid appsecret_proof provided in the API argument",
        Basis::Unconfirmed,
    )
};
pub(super) static PIXEL_UNREACHABLE: Refusal = Refusal {
    reason: "pixel_unreachable",
    status: 400,
    code: 100,
    subcode: Some(33),
    kind: "GraphMethodException",
    message: "Unsupported post request. The object does not exist, or the token cannot reach it",
    title: None,
    detail: None,
    basis: Basis::Recorded,
};
pub(super) static WRONG_METHOD: Refusal = Refusal {
    reason: "wrong_method",
    status: 400,
    code: 100,
    subcode: Some(33),
    kind: "GraphMethodException",
    message: "Unsupported request. This edge takes POST only",
    title: None,
    detail: None,
    basis: Basis::Unconfirmed,
};
pub(super) static UNKNOWN_PATH: Refusal = plain(
    "unknown_path",
    400,
    2500,
    None,
    "Unknown path components",
    Basis::Reported,
);

// the request
pub(super) static TOO_LARGE: Refusal = plain(
    "body_too_large",
    413,
    1,
    None,
    "The request is larger than this sandbox reads",
    Basis::Unconfirmed,
);
pub(super) static BODY_LATE: Refusal = plain(
    "body_incomplete",
    408,
    1,
    None,
    "The request body did not arrive",
    Basis::Unconfirmed,
);
pub(super) static ENCODING: Refusal = unconfirmed(
    "encoding_unread",
    "the sandbox reads JSON and form bodies only: not multipart, not compressed",
);
pub(super) static BODY_UNREADABLE: Refusal =
    unconfirmed("body_unreadable", "the body is not a JSON object");
pub(super) static DATA_MISSING: Refusal =
    unconfirmed("data_missing", "data must be a non-empty array of events");
pub(super) static DATA_TOO_LONG: Refusal =
    unconfirmed("data_too_long", "data holds more than 1000 events");
pub(super) static OPTION_TYPE: Refusal = unconfirmed(
    "option_type",
    "test_event_code, partner_agent and upload_tag are strings",
);

// the events, in the order they are looked at
pub(super) static EVENT_SHAPE: Refusal = unconfirmed("event_shape", "each event is a JSON object");
pub(super) static EVENT_NAME: Refusal =
    unconfirmed("event_name", "event_name must be a non-empty string");
pub(super) static EVENT_TIME: Refusal = unconfirmed(
    "event_time",
    "event_time must be whole Unix seconds after 1970",
);
pub(super) static FUTURE: Refusal = unconfirmed("event_time_future", "event_time is in the future");
pub(super) static STALE: Refusal = payload(
    "event_time_stale",
    2_804_003,
    "Event Timestamp Too Old",
    "event_time is more than 7 days ago",
    Basis::Recorded,
);
pub(super) static STALE_STORE: Refusal = payload(
    "event_time_stale_store",
    2_804_003,
    "Event Timestamp Too Old",
    "event_time is more than 62 days ago",
    Basis::Unconfirmed,
);
pub(super) static ACTION_SOURCE: Refusal =
    unconfirmed("action_source", "action_source is missing or unknown");
pub(super) static EVENT_ID: Refusal = unconfirmed("event_id", "event_id must be a string");
pub(super) static OPT_OUT: Refusal = unconfirmed("opt_out", "opt_out must be true or false");
pub(super) static UNHASHED: Refusal = unconfirmed(
    "unhashed_match_key",
    "customer information must be hashed with SHA-256",
);
pub(super) static MATCH_KEYS: Refusal = payload(
    "match_keys",
    2_804_050,
    "insufficient customer information",
    "user_data holds nothing that could match a person",
    Basis::Recorded,
);
pub(super) static LEAD_ID: Refusal = unconfirmed("lead_id", "lead_id must be a whole number");
pub(super) static PROCESSING: Refusal = unconfirmed(
    "data_processing_options",
    "data_processing_options takes LDU only, country 0 or 1, state 0 or from 1000",
);
pub(super) static CUSTOM_DATA: Refusal =
    unconfirmed("custom_data", "custom_data must be a JSON object");
pub(super) static PURCHASE_VALUE: Refusal = payload(
    "purchase_value",
    2_804_009,
    "Missing Value for Purchase Event",
    "a Purchase needs custom_data.value",
    Basis::Recorded,
);
pub(super) static VALUE: Refusal = unconfirmed("value", "custom_data.value must be a number");
pub(super) static MESSAGING_CURRENCY: Refusal = payload(
    "messaging_currency",
    2_804_081,
    "Missing currency",
    "a messaging order needs custom_data.currency",
    Basis::Reported,
);
pub(super) static PURCHASE_CURRENCY: Refusal =
    unconfirmed("purchase_currency", "a Purchase needs custom_data.currency");
pub(super) static CURRENCY: Refusal =
    unconfirmed("currency", "custom_data.currency must be an ISO 4217 code");
pub(super) static APP_DATA: Refusal = unconfirmed(
    "app_data",
    "an app event needs 16 values in app_data.extinfo, and 0 or 1 for advertiser_tracking_enabled",
);
pub(super) static EXTINFO_VERSION: Refusal =
    unconfirmed("extinfo_version", "extinfo[0] must be a2 or i2");
pub(super) static EXTINFO_OS: Refusal = payload(
    "extinfo_os",
    2_804_043,
    "Missing OS version",
    "extinfo[4], the version of the operating system, is empty",
    Basis::Recorded,
);
pub(super) static MESSAGING_NAME: Refusal = payload(
    "messaging_name",
    2_804_066,
    "Invalid event name",
    "a messaging event takes one of the listed names only",
    Basis::Recorded,
);
pub(super) static MESSAGING_CHANNEL: Refusal = unconfirmed(
    "messaging_channel",
    "messaging_channel must be whatsapp, messenger or instagram",
);
pub(super) static MESSAGING_ACCOUNT: Refusal = payload(
    "messaging_account",
    2_804_131,
    "Missing WhatsApp business account",
    "a WhatsApp event needs user_data.whatsapp_business_account_id",
    Basis::Reported,
);
pub(super) static MESSAGING_CLICK: Refusal = payload(
    "messaging_click",
    2_804_087,
    "Missing click id",
    "a WhatsApp event needs user_data.ctwa_clid",
    Basis::Reported,
);
pub(super) static MESSAGING_PERSON: Refusal = unconfirmed(
    "messaging_person",
    "a Messenger or Instagram event needs the id of the account and of the person",
);

/// Every refusal of the sandbox, for the table in its control API.
pub static REFUSALS: [&Refusal; 42] = [
    &TOKEN_UNKNOWN,
    &TOKEN_MISSING,
    &PROOF_MISSING,
    &PROOF_WRONG,
    &PROOF_STALE,
    &PIXEL_UNREACHABLE,
    &WRONG_METHOD,
    &UNKNOWN_PATH,
    &TOO_LARGE,
    &BODY_LATE,
    &ENCODING,
    &BODY_UNREADABLE,
    &DATA_MISSING,
    &DATA_TOO_LONG,
    &OPTION_TYPE,
    &EVENT_SHAPE,
    &EVENT_NAME,
    &EVENT_TIME,
    &FUTURE,
    &STALE,
    &STALE_STORE,
    &ACTION_SOURCE,
    &EVENT_ID,
    &OPT_OUT,
    &UNHASHED,
    &MATCH_KEYS,
    &LEAD_ID,
    &PROCESSING,
    &CUSTOM_DATA,
    &PURCHASE_VALUE,
    &VALUE,
    &MESSAGING_CURRENCY,
    &PURCHASE_CURRENCY,
    &CURRENCY,
    &APP_DATA,
    &EXTINFO_VERSION,
    &EXTINFO_OS,
    &MESSAGING_NAME,
    &MESSAGING_CHANNEL,
    &MESSAGING_ACCOUNT,
    &MESSAGING_CLICK,
    &MESSAGING_PERSON,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_has_no_subcode_of_its_own() {
        for row in REFUSALS {
            let made_up = row.basis == Basis::Unconfirmed && row.subcode.is_some();
            // the two that borrow the answer of their nearest kin say so in the documentation
            let borrowed = ["event_time_stale_store", "wrong_method"].contains(&row.reason);
            assert_eq!(made_up, borrowed, "{}", row.reason);
        }
    }

    #[test]
    fn reasons_are_unique_words() {
        let words: std::collections::BTreeSet<_> = REFUSALS.map(|row| row.reason).into();
        assert_eq!(words.len(), REFUSALS.len());
    }
}

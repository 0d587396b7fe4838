//! The refusal table of the account edges: what is answered, and how well each answer is known.

use crate::sandbox::refusal::Basis::{self, Documented, Recorded, Reported, Unconfirmed};
use crate::sandbox::refusal::{Refusal, plain};

const fn oauth(
    reason: &'static str,
    code: i64,
    subcode: Option<i64>,
    basis: Basis,
    message: &'static str,
) -> Refusal {
    plain(reason, 400, code, subcode, message, basis)
}

const fn method(
    reason: &'static str,
    code: i64,
    subcode: Option<i64>,
    basis: Basis,
    message: &'static str,
) -> Refusal {
    Refusal {
        kind: "GraphMethodException",
        ..plain(reason, 400, code, subcode, message, basis)
    }
}

/// What tells its reason to a person, in words of its own.
const fn told(
    reason: &'static str,
    title: &'static str,
    detail: &'static str,
    basis: Basis,
) -> Refusal {
    Refusal {
        title: Some(title),
        detail: Some(detail),
        ..plain(reason, 400, 100, None, "Invalid parameter", basis)
    }
}

// `oauth/access_token`, in the order they are looked at
pub(super) static CLIENT_ID_MISSING: Refusal = oauth(
    "client_id_missing",
    101,
    None,
    Recorded,
    "Missing client_id parameter.",
);
pub(super) static CLIENT_ID: Refusal = oauth(
    "client_id_unknown",
    101,
    None,
    Recorded,
    "Error validating application. Cannot get application info due to a system error.",
);
pub(super) static REDIRECT_MISSING: Refusal = oauth(
    "redirect_uri_missing",
    191,
    None,
    Unconfirmed,
    "Missing redirect_uri parameter.",
);
pub(super) static REDIRECT_RELATIVE: Refusal = oauth(
    "redirect_uri_relative",
    191,
    None,
    Recorded,
    "redirect_uri isn't an absolute URI. Check RFC 3986.",
);
pub(super) static REDIRECT_REFUSED: Refusal = oauth(
    "redirect_uri_refused",
    191,
    None,
    Reported,
    "Invalid redirect_uri: the URI is not in the list of the app",
);
pub(super) static SECRET: Refusal = oauth(
    "client_secret",
    1,
    None,
    Recorded,
    "Error validating client secret.",
);
pub(super) static CODE_MISSING: Refusal = oauth(
    "code_missing",
    1,
    None,
    Unconfirmed,
    "Missing authorization code",
);
pub(super) static CODE_FORMAT: Refusal = oauth(
    "code_format",
    100,
    None,
    Recorded,
    "Invalid verification code format.",
);
pub(super) static CODE_LAPSED: Refusal = oauth(
    "code_lapsed",
    100,
    None,
    Reported,
    "Code was invalid or expired. The session was invalidated before the exchange.",
);
pub(super) static CODE_USED: Refusal = oauth(
    "code_used",
    100,
    Some(36_009),
    Recorded,
    "This authorization code has been used.",
);
pub(super) static CODE_EXPIRED: Refusal = oauth(
    "code_expired",
    100,
    Some(36_007),
    Recorded,
    "This authorization code has expired.",
);
pub(super) static REDIRECT_DIFFERS: Refusal = oauth(
    "redirect_uri_differs",
    100,
    Some(36_008),
    Recorded,
    "Error validating verification code. Please make sure your redirect_uri is identical to the \
     one you used in the OAuth dialog request",
);
pub(super) static GRANT_TYPE: Refusal =
    oauth("grant_type", 100, None, Unconfirmed, "Invalid grant_type");
pub(super) static EXCHANGE_MISSING: Refusal = oauth(
    "fb_exchange_token_missing",
    100,
    None,
    Unconfirmed,
    "fb_exchange_token parameter not specified",
);
pub(super) static EXCHANGE_FOREIGN: Refusal = oauth(
    "fb_exchange_token_foreign",
    100,
    None,
    Unconfirmed,
    "The token to exchange is of another app",
);
pub(super) static EXCHANGE_KIND: Refusal = oauth(
    "fb_exchange_token_kind",
    100,
    None,
    Unconfirmed,
    "A token of this kind cannot be exchanged",
);

// who asks
pub(super) static TOKEN_REQUIRED: Refusal = oauth(
    "token_required",
    104,
    None,
    Reported,
    "An access token is required to request this resource.",
);
pub(super) static APP_TOKEN_APP: Refusal = oauth(
    "app_token_app",
    190,
    None,
    Recorded,
    "Error validating application. Cannot get application info due to a system error.",
);
pub(super) static APP_TOKEN_SECRET: Refusal = oauth(
    "app_token_secret",
    190,
    None,
    Unconfirmed,
    "Invalid OAuth access token signature.",
);
pub(super) static NO_USER: Refusal = oauth(
    "no_user",
    2500,
    None,
    Reported,
    "An active access token must be used to query information about the current user.",
);

// `debug_token` and `oauth/revoke`
pub(super) static INPUT_MISSING: Refusal = oauth(
    "input_token_missing",
    100,
    None,
    Reported,
    "(#100) The parameter input_token is required",
);
pub(super) static NOT_PRIVILEGED: Refusal = oauth(
    "not_privileged",
    100,
    None,
    Recorded,
    "(#100) You must provide an app access token, or a user access token that is an owner or \
     developer of the app",
);
pub(super) static FOREIGN_APP: Refusal = oauth(
    "foreign_app",
    100,
    None,
    Recorded,
    "(#100) The App_id in the input_token did not match the Viewing App",
);
pub(super) static REVOKE_MISSING: Refusal = oauth(
    "revoke_token_missing",
    100,
    None,
    Unconfirmed,
    "(#100) The parameter revoke_token is required",
);
pub(super) static REVOKE_FOREIGN: Refusal = oauth(
    "revoke_token_foreign",
    100,
    None,
    Unconfirmed,
    "(#100) The tokens and the client_id are not of one app",
);

// nodes
pub(super) static UNREACHABLE: Refusal = method(
    "object_unreachable",
    100,
    Some(33),
    Recorded,
    "Unsupported get request. Object with ID '{id}' does not exist, cannot be loaded due to \
     missing permissions, or does not support this operation.",
);
pub(super) static FIELD: Refusal = oauth(
    "field_unknown",
    100,
    None,
    Reported,
    "(#100) Tried accessing nonexisting field",
);
pub(super) static READ_PERMISSION: Refusal = oauth(
    "read_permission",
    10,
    None,
    Reported,
    "(#10) Application does not have permission for this action",
);
pub(super) static SEND_PERMISSION: Refusal = oauth(
    "send_permission",
    200,
    None,
    Reported,
    "(#200) Requires ads_management permission to manage the object",
);
pub(super) static QUALITY_PERMISSION: Refusal = oauth(
    "dataset_quality_permission",
    10,
    None,
    Documented,
    "(#10) Application does not have permission for this action",
);
pub(super) static DATASET_MISSING: Refusal = oauth(
    "dataset_id_missing",
    100,
    None,
    Unconfirmed,
    "(#100) The parameter dataset_id is required",
);
pub(super) static DATASET_UNKNOWN: Refusal = Refusal {
    title: Some("Dataset not found"),
    detail: Some("There is no dataset with this id"),
    ..oauth(
        "dataset_unknown",
        100,
        Some(2_044_055),
        Documented,
        "Invalid parameter",
    )
};
pub(super) static PAGING: Refusal = oauth(
    "paging",
    100,
    None,
    Unconfirmed,
    "(#100) limit is from 1 to 100, and after is a cursor of an answer",
);

// system users
pub(super) static NOT_ADMIN: Refusal = oauth(
    "not_admin",
    200,
    None,
    Unconfirmed,
    "(#200) The caller does not administer the business",
);
pub(super) static BUSINESS_APP: Refusal = told(
    "business_app",
    "Invalid app",
    "business_app is missing, or is no app of the business",
    Unconfirmed,
);
pub(super) static NOT_INSTALLED: Refusal = told(
    "app_not_installed_for_user",
    "App not installed",
    "The app must be installed for the system user first",
    Unconfirmed,
);
pub(super) static SCOPE: Refusal = told(
    "scope",
    "Invalid scope",
    "scope is missing, or a system user cannot be granted it",
    Unconfirmed,
);
pub(super) static MUST_EXPIRE: Refusal = told(
    "must_expire",
    "Expiring token required",
    "This business must use tokens that expire: set set_token_expires_in_60_days",
    Unconfirmed,
);

/// Every refusal of the account edges, for the table in the control API.
pub static ACCOUNT_REFUSALS: [&Refusal; 38] = [
    &CLIENT_ID_MISSING,
    &CLIENT_ID,
    &REDIRECT_MISSING,
    &REDIRECT_RELATIVE,
    &REDIRECT_REFUSED,
    &SECRET,
    &CODE_MISSING,
    &CODE_FORMAT,
    &CODE_LAPSED,
    &CODE_USED,
    &CODE_EXPIRED,
    &REDIRECT_DIFFERS,
    &GRANT_TYPE,
    &EXCHANGE_MISSING,
    &EXCHANGE_FOREIGN,
    &EXCHANGE_KIND,
    &TOKEN_REQUIRED,
    &APP_TOKEN_APP,
    &APP_TOKEN_SECRET,
    &NO_USER,
    &INPUT_MISSING,
    &NOT_PRIVILEGED,
    &FOREIGN_APP,
    &REVOKE_MISSING,
    &REVOKE_FOREIGN,
    &UNREACHABLE,
    &FIELD,
    &READ_PERMISSION,
    &SEND_PERMISSION,
    &QUALITY_PERMISSION,
    &DATASET_MISSING,
    &DATASET_UNKNOWN,
    &PAGING,
    &NOT_ADMIN,
    &BUSINESS_APP,
    &NOT_INSTALLED,
    &SCOPE,
    &MUST_EXPIRE,
];

/// The class in the `WWW-Authenticate` header of the login and token endpoints, by Graph's code.
/// Seen for 100 and 191, likely for 190, unknown for the others.
pub(super) fn class(code: i64) -> Option<&'static str> {
    match code {
        100 => Some("invalid_code"),
        190 => Some("invalid_token"),
        191 => Some("invalid_request"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::states::STATES;
    use super::*;
    use crate::sandbox::refusal::REFUSALS;

    #[test]
    fn a_reason_means_one_row_in_all_three_tables() {
        let rows = REFUSALS.iter().chain(ACCOUNT_REFUSALS.iter()).copied();
        let rows: Vec<_> = rows.chain(STATES.iter().map(|row| &row.refusal)).collect();
        let words: BTreeSet<_> = rows.iter().map(|row| row.reason).collect();
        assert_eq!(words.len(), rows.len());
    }
}

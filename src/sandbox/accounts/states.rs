//! What can be wrong with a token, and what Graph says then.

use serde::{Deserialize, Serialize};

use self::TokenState as S;
use crate::sandbox::refusal::Basis::{self, Documented, Reported, Unconfirmed};
use crate::sandbox::refusal::{Refusal, plain};

/// Whether a token still works, and if not, how it is refused: see [`STATES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It works.
    #[default]
    Valid,
    /// 190/463: its time is over.
    Expired,
    /// 190/467: logged out, revoked, or otherwise invalid.
    Revoked,
    /// 190/458: the person removed the app.
    AppRemoved,
    /// 190/459: the account is held at a checkpoint.
    Checkpointed,
    /// 190/460: the password was changed.
    PasswordChanged,
    /// 190/461: the app was installed anew.
    AppReinstalled,
    /// 190/462: the session is stale.
    StaleSession,
    /// 190/464: the account is not confirmed.
    UnconfirmedUser,
    /// 190/465: there is no such user.
    InvalidUser,
    /// 190/456: the session is malformed.
    MalformedSession,
    /// 190/457: the session has a bad origin.
    BadOrigin,
    /// 190/466: invalidated through an API call, as `oauth/revoke` does.
    Invalidated,
    /// 190/468: not used for long.
    Unused,
    /// 190/492: the person lost the role on the page.
    RoleLost,
    /// 190/493: the app is inactive.
    AppInactive,
    /// 190 without subcode: "Session has expired".
    ExpiredPlain,
    /// 190 without subcode: "has been invalidated".
    InvalidatedPlain,
    /// 190 without subcode: "does not match current stored session".
    SessionMismatch,
    /// 190 without subcode: "has not authorized application".
    NotAuthorized,
    /// 190 without subcode: "Malformed access token", with the token behind it.
    Malformed,
    /// 190 without subcode: "Cannot parse access token".
    Unparseable,
    /// 190 without subcode: "could not be decrypted".
    Undecryptable,
    /// 190 without subcode: "Session key … malformed".
    MalformedKey,
    /// 190 without subcode: "Invalid OAuth access token".
    InvalidToken,
    /// 102: the API session.
    ApiSession,
    /// 412: the app is not installed.
    AppNotInstalled,
    /// 450: the session is over.
    SessionOver,
    /// 452: the session key is invalid.
    SessionKey,
    /// 2500: an active token is needed.
    NotActive,
    /// 101: the app of the token is bad.
    BadApp,
    /// 104: the signature.
    BadSignature,
    /// 100/33: the object cannot be reached.
    NoAccess,
    /// 3: the app lacks the capability.
    NoCapability,
    /// 10: a permission is missing.
    NoPermission,
    /// 200: a permission is missing.
    PermissionMissing,
    /// 294: the last of the family 200 to 299 with a meaning of its own.
    AdsPermission,
    /// 1: unknown error.
    UnknownError,
    /// 2: service down.
    ServiceDown,
    /// 4: too many calls of the app.
    AppLimit,
    /// 9: too many calls.
    CallLimit,
    /// 17: too many calls of the user.
    UserLimit,
    /// 32: too many calls of the page.
    PageLimit,
    /// 341: the limit of the application is reached.
    ApplicationLimit,
    /// 368: blocked for a while.
    PolicyBlock,
    /// 613: the rate limit.
    RateLimit,
    /// 80004: the rate limit of the business use case.
    BusinessLimit,
}

/// What Graph says to a token in a state. In a message `{token}`, `{app}`, `{expiry}` and `{now}`
/// are filled in.
#[derive(Debug, Serialize)]
pub struct StateRow {
    /// The state; its word is the reason of the refusal.
    pub state: TokenState,
    /// The refusal.
    #[serde(flatten)]
    pub refusal: Refusal,
}

const fn row(
    state: TokenState,
    word: &'static str,
    code: i64,
    subcode: Option<i64>,
    basis: Basis,
    message: &'static str,
) -> StateRow {
    StateRow {
        state,
        refusal: plain(word, 400, code, subcode, message, basis),
    }
}

/// Every state in which a token is refused. [`Basis::Documented`] here means that Meta
/// publishes code and subcode; the texts are not to be relied upon.
#[rustfmt::skip]
pub static STATES: [StateRow; 46] = [
    row(S::Expired, "expired", 190, Some(463), Documented, "Error validating access token: Session has expired on {expiry}. The current time is {now}."),
    row(S::Revoked, "revoked", 190, Some(467), Documented, "Error validating access token: The session is invalid because the user logged out."),
    row(S::AppRemoved, "app_removed", 190, Some(458), Documented, "Error validating access token: The user has not authorized application {app}."),
    row(S::Checkpointed, "checkpointed", 190, Some(459), Documented, "Error validating access token: You cannot access the app till you log in to www.facebook.com and follow the instructions given."),
    row(S::PasswordChanged, "password_changed", 190, Some(460), Documented, "Error validating access token: The session has been invalidated because the user changed their password or Facebook has changed the session for security reasons."),
    row(S::AppReinstalled, "app_reinstalled", 190, Some(461), Reported, "Error validating access token: The session is outdated because the app was installed again."),
    row(S::StaleSession, "stale_session", 190, Some(462), Reported, "Error validating access token: The session is stale."),
    row(S::UnconfirmedUser, "unconfirmed_user", 190, Some(464), Documented, "Error validating access token: Sessions for the user are not allowed because the user is not a confirmed user."),
    row(S::InvalidUser, "invalid_user", 190, Some(465), Reported, "Error validating access token: The user is invalid."),
    row(S::MalformedSession, "malformed_session", 190, Some(456), Reported, "Error validating access token: The session is malformed."),
    row(S::BadOrigin, "bad_origin", 190, Some(457), Reported, "Error validating access token: The session has an invalid origin."),
    row(S::Invalidated, "invalidated", 190, Some(466), Reported, "Error validating access token: The session has been invalidated through an API call."),
    row(S::Unused, "unused", 190, Some(468), Reported, "Error validating access token: The session was not used for too long."),
    row(S::RoleLost, "role_lost", 190, Some(492), Documented, "Error validating access token: The user must be an administrator of the page in order to impersonate it."),
    row(S::AppInactive, "app_inactive", 190, Some(493), Reported, "Error validating access token: The application is inactive."),
    row(S::ExpiredPlain, "expired_plain", 190, None, Reported, "Error validating access token: Session has expired on {expiry}. The current time is {now}."),
    row(S::InvalidatedPlain, "invalidated_plain", 190, None, Reported, "Error validating access token: The session has been invalidated because the user changed the password."),
    row(S::SessionMismatch, "session_mismatch", 190, None, Reported, "Error validating access token: Session does not match current stored session. This may be because the user changed the password since the time the session was created."),
    row(S::NotAuthorized, "not_authorized", 190, None, Reported, "Error validating access token: The user has not authorized application {app}."),
    row(S::Malformed, "malformed", 190, None, Reported, "Malformed access token {token}"),
    row(S::Unparseable, "unparseable", 190, None, Reported, "Invalid OAuth access token - Cannot parse access token"),
    row(S::Undecryptable, "undecryptable", 190, None, Reported, "The access token could not be decrypted"),
    row(S::MalformedKey, "malformed_key", 190, None, Reported, "Error validating access token: Session key invalid. It is malformed."),
    row(S::InvalidToken, "invalid_token", 190, None, Reported, "Invalid OAuth access token."),
    row(S::ApiSession, "api_session", 102, None, Documented, "Session key invalid or no longer valid"),
    row(S::AppNotInstalled, "app_not_installed", 412, None, Reported, "The app is not installed"),
    row(S::SessionOver, "session_over", 450, None, Reported, "Session key specified has passed its expiration time"),
    row(S::SessionKey, "session_key", 452, None, Reported, "Session key invalid"),
    row(S::NotActive, "not_active", 2500, None, Reported, "An active access token must be used to query information about the current user."),
    row(S::BadApp, "bad_app", 101, None, Reported, "Error validating application. Cannot get application info due to a system error."),
    row(S::BadSignature, "bad_signature", 104, None, Reported, "Incorrect signature"),
    StateRow {
        state: S::NoAccess,
        refusal: Refusal {
            kind: "GraphMethodException",
            ..plain("no_access", 400, 100, Some(33), "Unsupported request. The object does not exist, cannot be loaded due to missing permissions, or does not support this operation", Reported)
        },
    },
    row(S::NoCapability, "no_capability", 3, None, Documented, "(#3) Application does not have the capability to make this API call."),
    row(S::NoPermission, "no_permission", 10, None, Documented, "(#10) Application does not have permission for this action"),
    row(S::PermissionMissing, "permission_missing", 200, None, Documented, "(#200) Permissions error"),
    row(S::AdsPermission, "ads_permission", 294, None, Reported, "(#294) Managing advertisements requires an access token with the extended permission"),
    row(S::UnknownError, "unknown_error", 1, None, Documented, "An unknown error has occurred."),
    row(S::ServiceDown, "service_down", 2, None, Documented, "Service temporarily unavailable"),
    row(S::AppLimit, "app_limit", 4, None, Documented, "(#4) Application request limit reached"),
    row(S::CallLimit, "call_limit", 9, None, Unconfirmed, "(#9) Too many calls"),
    row(S::UserLimit, "user_limit", 17, None, Documented, "(#17) User request limit reached"),
    row(S::PageLimit, "page_limit", 32, None, Documented, "(#32) Page request limit reached"),
    row(S::ApplicationLimit, "application_limit", 341, None, Documented, "(#341) Application limit reached"),
    row(S::PolicyBlock, "policy_block", 368, None, Documented, "The action attempted has been deemed abusive or is otherwise disallowed"),
    row(S::RateLimit, "rate_limit", 613, None, Documented, "(#613) Calls to this api have exceeded the rate limit."),
    row(S::BusinessLimit, "business_limit", 80_004, None, Documented, "(#80004) There have been too many calls to this ad-account. Wait a bit and try again."),
];

impl TokenState {
    /// What a token in this state is refused with; nothing when it works.
    pub fn refusal(self) -> Option<&'static Refusal> {
        let found = STATES.iter().find(|row| row.state == self);
        found.map(|row| &row.refusal)
    }
}

/// The row of a subcode of 190; that of an expired token when it has none.
pub(super) fn of_subcode(subcode: i64) -> &'static Refusal {
    let mut refusals = STATES.iter().map(|row| &row.refusal);
    refusals
        .find(|refusal| refusal.code == 190 && refusal.subcode == Some(subcode))
        .unwrap_or(&STATES[0].refusal)
}

/// Whether an error of this code means that the token itself is no good, so that `debug_token`
/// says so too. With all others the token is fine and something else is not.
pub(super) fn spoils_token(code: i64) -> bool {
    matches!(code, 102 | 190 | 412 | 450 | 452 | 463 | 467)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_row_is_the_word_of_its_state() {
        for row in &STATES {
            let word = serde_json::to_value(row.state).unwrap();
            assert_eq!(word, row.refusal.reason);
            assert_eq!(row.state.refusal().unwrap().reason, row.refusal.reason);
        }
        assert!(TokenState::Valid.refusal().is_none());
    }

    #[test]
    fn a_subcode_has_one_row() {
        for row in &STATES {
            if let (190, Some(subcode)) = (row.refusal.code, row.refusal.subcode) {
                assert_eq!(of_subcode(subcode).reason, row.refusal.reason);
            }
        }
        assert_eq!(of_subcode(1).reason, "expired");
    }
}

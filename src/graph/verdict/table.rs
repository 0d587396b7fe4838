//! The table: what each code of Graph's errors means, and how sure we are of it.

use std::ops::RangeInclusive;

use super::{Cause, Scope, Split, Transient};
use crate::graph::reply::{GraphError, Literal};

/// One rule: an error with such a code and subcode, and such a literal, calls for an action.
pub(super) struct Row {
    pub(super) codes: RangeInclusive<i64>,
    pub(super) subcode: Subcode,
    /// Only if the message names this; see [`Literal`].
    pub(super) literal: Option<Literal>,
    pub(super) action: Action,
    pub(super) grade: Grade,
    /// What it is.
    pub(super) note: &'static str,
}

pub(super) enum Subcode {
    Any,
    None,
    OneOf(&'static [i64]),
    Within(RangeInclusive<i64>),
}

#[derive(Clone, Copy)]
pub(super) enum Action {
    Retry(Transient),
    Throttle(Scope, Floor),
    Hold(Scope, Cause),
    Split(Split),
}

/// How long a throttle lasts at least, in shortest waits (a minute).
#[derive(Clone, Copy)]
pub(super) enum Floor {
    Times(u32),
    /// One, or five in Meta's limited access tier.
    ByTier,
}

/// Where a rule was learned.
#[derive(Clone, Copy)]
pub(super) enum Grade {
    /// Meta's documentation says so.
    Documented,
    /// Seen in answers of Graph that others have published.
    Reported,
    /// Others' programs act on it; no answer was published.
    Told,
    /// A guess from what is around it.
    Unconfirmed,
}

impl Grade {
    /// The stable word for logs.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Reported => "reported",
            Self::Told => "told",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

impl Row {
    fn fits(&self, error: &GraphError) -> bool {
        let subcode = match (&self.subcode, error.subcode) {
            (Subcode::Any, _) | (Subcode::None, None) => true,
            (Subcode::OneOf(list), Some(subcode)) => list.contains(&subcode),
            (Subcode::Within(range), Some(subcode)) => range.contains(&subcode),
            _ => false,
        };
        let literal = self.literal.is_none() || self.literal == error.literal;
        subcode && literal && self.codes.contains(&error.code)
    }
}

/// The first row that fits.
pub(super) fn find(error: &GraphError) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.fits(error))
}

/// A row for one code and any subcode; the methods below narrow or widen it.
const fn row(code: i64, action: Action, grade: Grade, note: &'static str) -> Row {
    Row {
        codes: code..=code,
        subcode: Subcode::Any,
        literal: None,
        action,
        grade,
        note,
    }
}

impl Row {
    const fn to(self, last: i64) -> Self {
        let first = *self.codes.start();
        Self {
            codes: first..=last,
            ..self
        }
    }

    const fn sub(self, subcode: Subcode) -> Self {
        Self { subcode, ..self }
    }

    const fn of(self, list: &'static [i64]) -> Self {
        self.sub(Subcode::OneOf(list))
    }

    /// Without a subcode, and only if the message names `literal`.
    const fn naming(self, literal: Literal) -> Self {
        let literal = Some(literal);
        let bare = self.sub(Subcode::None);
        Self { literal, ..bare }
    }
}

const RETRY: Action = Action::Retry(Transient::Graph);
const REFUSED: Action = Action::Split(Split::Refused);
const NO_TOKEN: Action = Action::Hold(Scope::Token, Cause::Token);
const BAD_APP: Action = Action::Hold(Scope::Token, Cause::App);
const NO_PERMISSION: Action = Action::Hold(Scope::Pixel, Cause::Permission);
const BLOCKED: Action = Action::Hold(Scope::Pixel, Cause::Blocked);
const ACCOUNT: Action = Action::Hold(Scope::Pixel, Cause::Account);
const CONFIGURATION: Action = Action::Hold(Scope::Pixel, Cause::Configuration);
// what only messages need must not stop the pixel's other events
const NOT_SET_UP: Action = Action::Hold(Scope::Lane, Cause::Configuration);
const SLOW_APP: Action = throttle(Scope::App, 1);
const SLOW_TOKEN: Action = throttle(Scope::Token, 1);
const SLOW_PIXEL: Action = throttle(Scope::Pixel, 1);

const fn throttle(scope: Scope, floor: u32) -> Action {
    Action::Throttle(scope, Floor::Times(floor))
}

const fn throttle_by_tier(scope: Scope) -> Action {
    Action::Throttle(scope, Floor::ByTier)
}

use Grade::{Documented, Reported, Told, Unconfirmed};

/// First match wins; what fits no row falls to `is_transient`, then to the HTTP status.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    row(1, Action::Retry(Transient::Unknown), Documented, "unknown; downtime, or a bad request if it stays (99: misuse of Insights)"),
    row(2, RETRY, Documented, "the service is down for a while"),
    row(3, NO_PERMISSION, Documented, "the app lacks a capability or a permission"),
    row(4, SLOW_APP, Documented, "the app's calls are used up (1504022, 1504039: Insights)"),
    row(5, BAD_APP, Told, "the app does not allow this machine's IP address"),
    row(9, SLOW_TOKEN, Told, "too many calls"),
    row(10, NO_PERMISSION, Documented, "permission denied or taken away"),
    row(17, SLOW_TOKEN, Documented, "too many changes of a spend limit: not of this edge, a throttle all the same").of(&[1_885_172]),
    row(17, throttle_by_tier(Scope::Token), Documented, "the ad account's score is used up").of(&[2_446_079]),
    row(17, SLOW_TOKEN, Documented, "the user's calls are used up"),
    row(32, SLOW_TOKEN, Documented, "the Page's calls are used up"),

    row(100, Action::Split(Split::Expired), Reported, "event_time is too old").of(&[2_804_003]),
    row(100, NOT_SET_UP, Reported, "for messages: the dataset has no Page, or no such WhatsApp account").of(&[2_804_131]),
    row(100, REFUSED, Reported, "Purchase without value").of(&[2_804_009]),
    row(100, REFUSED, Reported, "a Limited Data Use choice is required (an older API, 2020)").of(&[2_804_030]),
    row(100, REFUSED, Reported, "app event without an OS version").of(&[2_804_043]),
    row(100, REFUSED, Reported, "no customer information, or too broad").of(&[2_804_050]),
    row(100, REFUSED, Reported, "messaging event with a name that is not allowed").of(&[2_804_066]),
    row(100, REFUSED, Reported, "page_id is not the Page of the ctwa_clid").of(&[2_804_072]),
    row(100, REFUSED, Reported, "messaging order without a currency").of(&[2_804_081]),
    row(100, REFUSED, Told, "ctwa_clid is missing or wrong").of(&[2_804_087]),
    row(100, REFUSED, Unconfirmed, "an invalid payload; in which way is not known").of(&[2_804_001, 2_804_007, 2_804_008, 2_804_016, 2_804_017, 2_804_019, 2_804_048]),
    row(100, REFUSED, Documented, "an invalid payload of this edge, not seen before").sub(Subcode::Within(2_804_000..=2_804_999)),
    row(100, NO_PERMISSION, Documented, "no such pixel, or the token may not use it").of(&[33]),
    row(100, BAD_APP, Unconfirmed, "the proof made with the app secret is missing or wrong").naming(Literal::AppsecretProof),
    row(100, NO_PERMISSION, Reported, "the token lacks a permission; seen on reads").naming(Literal::MissingPermission),
    row(100, REFUSED, Documented, "an invalid parameter (34, 38 and others)"),

    row(101, BAD_APP, Told, "Meta does not know the app, or not this one's token"),
    row(102, NO_TOKEN, Documented, "the session is invalid or over"),
    row(104, BAD_APP, Documented, "the proof made with the app secret is wrong"),
    row(105, REFUSED, Told, "too many parameters"),
    row(190, NO_TOKEN, Documented, "the app is not authorised any more").of(&[458]),
    row(190, NO_TOKEN, Documented, "the user has to log in and pass a check").of(&[459]),
    row(190, NO_TOKEN, Documented, "the password was changed").of(&[460]),
    row(190, NO_TOKEN, Told, "the token has expired").of(&[463]),
    row(190, NO_TOKEN, Told, "the user is not confirmed").of(&[464]),
    row(190, NO_TOKEN, Told, "the token was revoked").of(&[467]),
    row(190, NO_TOKEN, Told, "the session does not fit the user's role on the Page").of(&[492]),
    row(190, NO_TOKEN, Documented, "the token is invalid"),
    row(200, NO_PERMISSION, Documented, "a permission is missing (294: ads_management)").to(299),
    row(341, SLOW_APP, Documented, "a limit of the app, for a while"),
    row(368, BLOCKED, Documented, "blocked for a while for breaking a policy (1390008: abuse)"),
    row(412, NO_TOKEN, Told, "the app is not installed for the token's user any more"),
    row(450, NO_TOKEN, Told, "the session is over"),
    row(452, NO_TOKEN, Told, "the session's key is invalid"),
    row(506, REFUSED, Documented, "a post that was made before; not expected here, and no retry helps"),
    row(613, throttle_by_tier(Scope::Pixel), Documented, "too many calls from the ad account").of(&[1_487_742]),
    row(613, throttle(Scope::Token, 15), Documented, "the number of requests varies too much").of(&[1_996]),
    row(613, SLOW_PIXEL, Documented, "a limit of ads objects: not of this edge, a throttle all the same").of(&[5_044_001, 1_487_632, 1_487_225]),
    row(613, throttle(Scope::Token, 5), Documented, "the rate was cut to prevent abuse").sub(Subcode::None),
    row(613, SLOW_TOKEN, Unconfirmed, "some other limit of calls"),
    row(803, NO_PERMISSION, Documented, "no such object: the pixel's id is wrong"),
    row(2_500, CONFIGURATION, Documented, "no such path"),
    row(2_635, CONFIGURATION, Unconfirmed, "the API version is gone"),
    row(5_000, RETRY, Documented, "unknown"),
    row(21_009, RETRY, Told, "the dataset does not take uploads yet"),

    row(80_000, SLOW_PIXEL, Documented, "business use case Ads Insights"),
    row(80_001, SLOW_TOKEN, Documented, "business use case Pages"),
    row(80_002, SLOW_TOKEN, Documented, "business use case Instagram"),
    row(80_003, SLOW_PIXEL, Documented, "business use case Custom Audience"),
    row(80_004, SLOW_PIXEL, Documented, "business use case Ads Management"),
    row(80_005, SLOW_TOKEN, Documented, "business use case Lead Gen"),
    row(80_006, SLOW_TOKEN, Documented, "business use case Messenger"),
    row(80_008, SLOW_TOKEN, Documented, "business use case WhatsApp"),
    row(80_009, SLOW_PIXEL, Documented, "business use case Catalog Management"),
    row(80_014, SLOW_PIXEL, Documented, "business use case Catalog Batch"),
    row(80_007, SLOW_TOKEN, Unconfirmed, "a business use case that is not in Meta's table").to(80_013),

    row(1_404_078, BLOCKED, Documented, "blocked for a while"),
    row(1_404_163, ACCOUNT, Documented, "the account may not advertise any more"),
    row(1_870_090, ACCOUNT, Documented, "the terms of Custom Audiences are not accepted"),
    row(1_870_092, ACCOUNT, Documented, "the terms of the Business Tools are not accepted"),
    row(2_859_015, BLOCKED, Documented, "blocked for a while"),
    row(3_910_001, RETRY, Documented, "trouble with the account, to be tried later"),
];

#[cfg(test)]
mod tests;

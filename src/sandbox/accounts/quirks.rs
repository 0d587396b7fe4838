//! Quirks: where Meta answers now one way and now another, or is not known to, the way to take.

use serde::{Deserialize, Serialize};

/// Switches, all off to begin with. A client must stand every one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "a row of switches")]
pub struct Quirks {
    /// `debug_token` writes ids as numbers.
    pub numeric_ids: bool,
    /// `debug_token` leaves `expires_at` out where it would be 0.
    pub omit_expires_at: bool,
    /// `oauth/access_token` leaves `expires_in` out.
    pub omit_expires_in: bool,
    /// Errors lack `error_subcode`, and `subcode` in `debug_token`.
    pub omit_subcode: bool,
    /// `debug_token` refuses a token that inspects itself.
    pub no_self_inspection: bool,
    /// Where the answer is `{"success":true}` or `{"success":"true"}`, it is `true`, as Meta's
    /// page has it for installing an app.
    pub bare_true: bool,
    /// Exchanging a long-lived user token gives one that lives 60 days from now; by default the
    /// date of the old one stays.
    pub extend_long_lived: bool,
}

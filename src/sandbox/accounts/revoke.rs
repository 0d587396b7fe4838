//! `oauth/revoke`: one token, at once, for good.

use serde_json::{Value, json};

use super::call::Call;
use super::oauth::check_secret;
use super::refusal as no;
use super::registry::{Caller, Registry};
use super::states::TokenState;
use super::trouble::TokenChange;
use crate::sandbox::graph_error::GraphError;

impl Registry {
    /// The app of `client_id`, of the token that calls and of the token to revoke must be one.
    pub(super) fn revoke(&mut self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        let app = self.client(call)?;
        check_secret(app, call)?;
        let app = app.id.clone();
        let caller_app = match self.caller(call.get("access_token"), now)? {
            Caller::App(id) => id,
            Caller::Holder(token) => token.app,
        };
        let given = call
            .get("revoke_token")
            .ok_or_else(|| GraphError::boxed(&no::REVOKE_MISSING))?;
        let token_app = self.live(given, now)?.app.clone();
        if caller_app != app || token_app != app {
            return Err(GraphError::boxed(&no::REVOKE_FOREIGN));
        }
        if let Some(token) = self.book.find_mut(given) {
            token.trouble = TokenChange::from(TokenState::Invalidated).trouble();
        }
        Ok(if self.quirks.bare_true {
            json!(true)
        } else {
            // a string, as in Meta's sample
            json!({ "success": "true" })
        })
    }
}

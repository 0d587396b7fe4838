//! `debug_token`: what a token is, and whether it works.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::refusal as no;
use super::registry::{Caller, Registry};
use super::states::spoils_token;
use super::tokens::{DATASET_APP, Token, TokenKind};
use super::trouble::Trouble;
use crate::sandbox::graph_error::GraphError;
use crate::sandbox::refusal::{Refusal, TOKEN_UNKNOWN};

impl Registry {
    pub(super) fn debug_token(&self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        let refuse = |row: &'static Refusal| Err(GraphError::boxed(row));
        let own = call.get("access_token");
        let caller = self.caller(own, now)?;
        let Some(input) = call.get("input_token") else {
            return refuse(&no::INPUT_MISSING);
        };
        if let Caller::Holder(token) = &caller {
            self.prove(token, call.proof(), now)?;
        }
        if let Some((id, _)) = input.split_once('|') {
            return self.debug_app(&caller, id, input);
        }
        let token = self.book.find(input);
        match &caller {
            Caller::App(app) => {
                if token.is_some_and(|token| token.app != *app) {
                    return refuse(&no::FOREIGN_APP);
                }
            }
            Caller::Holder(_) if own == Some(input) => {
                if self.quirks.no_self_inspection {
                    return refuse(&no::NOT_PRIVILEGED);
                }
            }
            Caller::Holder(holder) => {
                let app = token.map_or(holder.app.as_str(), |token| &token.app);
                let app = self.world.app(app);
                if !app.is_some_and(|app| app.developers.contains(&holder.holder)) {
                    return refuse(&no::NOT_PRIVILEGED);
                }
            }
        }
        Ok(match token {
            Some(token) => json!({ "data": self.describe(token, now) }),
            // a token that cannot be decoded has nothing to tell
            None => json!({ "data": {
                "error": { "code": 190, "message": TOKEN_UNKNOWN.message },
                "is_valid": false,
                "scopes": [],
            }}),
        })
    }

    /// An app token as the one to look at.
    fn debug_app(&self, caller: &Caller, id: &str, input: &str) -> Result<Value, Box<GraphError>> {
        let Caller::App(viewing) = caller else {
            return Err(GraphError::boxed(&no::NOT_PRIVILEGED));
        };
        if viewing != id {
            return Err(GraphError::boxed(&no::FOREIGN_APP));
        }
        let app = self.world.app(id);
        let right = app.is_some_and(|app| input == format!("{}|{}", app.id, app.secret));
        let mut data = Map::new();
        data.insert("app_id".into(), self.id(id));
        data.insert("type".into(), "APP".into());
        data.insert("application".into(), app.map(|app| &*app.name).into());
        data.insert("is_valid".into(), right.into());
        data.insert("scopes".into(), json!([]));
        if !right {
            let message = no::APP_TOKEN_SECRET.message;
            data.insert("error".into(), json!({ "code": 190, "message": message }));
        }
        Ok(json!({ "data": data }))
    }

    fn describe(&self, token: &Token, now: i64) -> Map<String, Value> {
        let mut data = Map::new();
        let app = self.world.app(&token.app);
        let name = match app {
            Some(app) => app.name.as_str(),
            None if token.app == DATASET_APP => "Conversions API",
            None => "unknown",
        };
        data.insert("app_id".into(), self.id(&token.app));
        data.insert("type".into(), token.kind.word().into());
        data.insert("application".into(), name.into());
        data.insert(
            "data_access_expires_at".into(),
            token.data_access_expires_at.unwrap_or(0).into(),
        );
        match token.expires_at {
            Some(at) => drop(data.insert("expires_at".into(), at.into())),
            None if self.quirks.omit_expires_at => {}
            None => drop(data.insert("expires_at".into(), 0.into())),
        }
        let trouble = self.book.trouble(token, now);
        let trouble = trouble.filter(|trouble| spoils_token(trouble.code));
        data.insert("is_valid".into(), trouble.is_none().into());
        if let Some(trouble) = trouble {
            data.insert("error".into(), self.inner_error(&trouble, token, now));
        }
        if token.long_lived {
            data.insert("issued_at".into(), token.issued_at.into());
        }
        data.insert("scopes".into(), json!(token.scopes));
        let granular: Vec<Value> = token
            .scopes
            .iter()
            .map(|scope| match token.granular.get(scope) {
                Some(targets) => json!({ "scope": scope, "target_ids": targets }),
                None => json!({ "scope": scope }),
            })
            .collect();
        data.insert("granular_scopes".into(), granular.into());
        data.insert("user_id".into(), self.id(&token.holder));
        if let (TokenKind::Page, Some(page)) = (token.kind, &token.page) {
            data.insert("profile_id".into(), self.id(page));
        }
        data
    }

    /// The error inside the data, where the subcode has another key than everywhere else.
    fn inner_error(&self, trouble: &Trouble, token: &Token, now: i64) -> Value {
        let mut error = Map::new();
        error.insert("code".into(), trouble.code.into());
        error.insert("message".into(), trouble.text(token, now).into());
        if let Some(subcode) = trouble.subcode
            && !self.quirks.omit_subcode
        {
            error.insert("subcode".into(), subcode.into());
        }
        error.into()
    }

    /// An id: text, or a number as the quirk has it.
    fn id(&self, id: &str) -> Value {
        match id.parse::<u64>() {
            Ok(number) if self.quirks.numeric_ids => number.into(),
            _ => id.into(),
        }
    }
}

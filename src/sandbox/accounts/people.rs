//! `me`, and what a person or system user granted.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::fields;
use super::refusal as no;
use super::registry::Registry;
use super::states::TokenState;
use super::tokens::{DATASET_USER, Token, TokenKind};
use super::trouble::TokenChange;
use crate::sandbox::graph_error::GraphError;
use crate::sandbox::refusal::WRONG_METHOD;

impl Registry {
    /// Who holds the token: a page for a page token.
    pub(super) fn me(&self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        let token = self.holder(call, now)?;
        self.is_subject(call, &token)?;
        let (id, name) = self.who(&token);
        let mut object = Map::new();
        object.insert("id".into(), id.into());
        object.insert("name".into(), name.into());
        if let Some(user) = self.world.system_user(&token.holder) {
            object.insert("client_business_id".into(), user.business.clone().into());
        }
        let known = ["id", "name", "client_business_id"];
        fields::pick(call, &["name"], &known, &object)
    }

    fn who(&self, token: &Token) -> (String, String) {
        if let (TokenKind::Page, Some(page)) = (token.kind, &token.page) {
            let name = self.world.page(page).map_or("", |page| &page.name);
            return (page.clone(), name.to_owned());
        }
        let person = self.world.person(&token.holder).map(|p| p.name.clone());
        let user = self.world.system_user(&token.holder);
        let name = person.or_else(|| user.map(|user| user.name.clone()));
        let name = name.unwrap_or_else(|| {
            if token.holder == DATASET_USER {
                "Conversions API System User".to_owned()
            } else {
                String::new()
            }
        });
        (token.holder.clone(), name)
    }

    /// Whether the call is about the holder of its token: `me`, or the same id.
    pub(super) fn is_subject(&self, call: &Call, token: &Token) -> Result<(), Box<GraphError>> {
        let subject = call.asked.subject.as_str();
        if subject == "me" || subject == self.who(token).0 {
            Ok(())
        } else {
            Err(unreachable(call))
        }
    }

    /// `GET` lists what was granted and declined, `DELETE` takes one permission or all back.
    pub(super) fn permissions(&mut self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        let token = self.holder(call, now)?;
        self.is_subject(call, &token)?;
        let deletes = call.method == hyper::Method::DELETE;
        match (&call.asked.permission, deletes) {
            (None, false) => Ok(self.granted(&token)),
            (None, true) => {
                self.take_all_back(&token);
                Ok(json!({ "success": true }))
            }
            (Some(one), true) => {
                self.take_back(&token, one);
                Ok(json!({ "success": true }))
            }
            (Some(_), false) => Err(GraphError::boxed(&WRONG_METHOD)),
        }
    }

    fn granted(&mut self, token: &Token) -> Value {
        let mut rows: Vec<Value> = token
            .scopes
            .iter()
            .map(|scope| json!({ "permission": scope, "status": "granted" }))
            .collect();
        if let Some(person) = self.world.person(&token.holder) {
            let consent = self.consents.of(person, &token.app);
            let declined = consent.declined.iter();
            let declined = declined.filter(|scope| !token.scopes.contains(scope));
            rows.extend(declined.map(|s| json!({ "permission": s, "status": "declined" })));
        }
        json!({ "data": rows })
    }

    /// The app is taken back: no token it has of this holder works any more.
    fn take_all_back(&mut self, token: &Token) {
        self.codes.lapse(&token.holder, &token.app);
        if let Some(person) = self.world.person(&token.holder) {
            *self.consents.of(person, &token.app) = super::consents::Consent::default();
        }
        let removed = TokenChange::from(TokenState::AppRemoved).trouble();
        let theirs = |other: &&mut Token| other.holder == token.holder && other.app == token.app;
        for other in self.book.all_mut().filter(theirs) {
            other.trouble.clone_from(&removed);
        }
    }

    fn take_back(&mut self, token: &Token, scope: &str) {
        if let Some(person) = self.world.person(&token.holder) {
            let consent = self.consents.of(person, &token.app);
            consent.granted.remove(scope);
            consent.declined.insert(scope.to_owned());
        }
        let theirs = |other: &&mut Token| other.holder == token.holder && other.app == token.app;
        for other in self.book.all_mut().filter(theirs) {
            other.scopes.retain(|held| held != scope);
        }
    }
}

/// The object is not there, or the token may not see it: Graph does not say which.
pub(super) fn unreachable(call: &Call) -> Box<GraphError> {
    let mut error = GraphError::boxed(&no::UNREACHABLE);
    let verb = call.method.as_str().to_ascii_lowercase();
    error.message = error
        .message
        .replace("{id}", &call.asked.subject)
        .replace("get request", &format!("{verb} request"));
    error
}

//! Pages, and the tokens people have for them.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::people::unreachable;
use super::registry::Registry;
use super::tokens::{Token, TokenKind};
use super::world::{Page, PageRole};
use super::{fields, paging};
use crate::sandbox::graph_error::GraphError;

/// The scope without which a token sees no page.
const LIST_SCOPE: &str = "pages_show_list";

impl Registry {
    /// The pages the holder has a role on; none without the scope for it.
    pub(super) fn accounts(&mut self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        let token = self.holder(call, now)?;
        self.is_subject(call, &token)?;
        let mut rows = Vec::new();
        for (page, role) in self.roles(&token) {
            let object = self.page_object(&token, &page, Some(&role), now);
            let known = [
                "id",
                "name",
                "category",
                "category_list",
                "access_token",
                "tasks",
            ];
            rows.push(fields::pick(call, &known, &known, &object)?);
        }
        paging::page(call, rows)
    }

    pub(super) fn page(&mut self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        let token = self.holder(call, now)?;
        let own = token.page.as_ref() == Some(&call.asked.subject);
        let role = self.roles(&token).into_iter();
        let role = role
            .map(|(_, role)| role)
            .find(|role| role.id == call.asked.subject);
        let page = self.world.page(&call.asked.subject).cloned();
        let Some(page) = page.filter(|_| own || role.is_some()) else {
            return Err(unreachable(call));
        };
        let mut object = if fields::wants(call, "access_token") {
            self.page_object(&token, &page, role.as_ref(), now)
        } else {
            described(&page)
        };
        object.remove("tasks");
        let known = ["id", "name", "category", "category_list", "access_token"];
        fields::pick(call, &["name"], &known, &object)
    }

    fn roles(&self, token: &Token) -> Vec<(Page, PageRole)> {
        let person = self.world.person(&token.holder);
        let sees = token.kind == TokenKind::User && token.scopes.iter().any(|s| s == LIST_SCOPE);
        let roles = person
            .filter(|_| sees)
            .map(|person| person.pages.as_slice());
        roles
            .unwrap_or_default()
            .iter()
            .filter_map(|role| Some((self.world.page(&role.id)?.clone(), role.clone())))
            .collect()
    }

    /// The page as the holder sees it, with the token of the page if the role allows it.
    fn page_object(
        &mut self,
        token: &Token,
        page: &Page,
        role: Option<&PageRole>,
        now: i64,
    ) -> Map<String, Value> {
        let mut object = described(page);
        if let Some(role) = role {
            object.insert("tasks".into(), json!(role.tasks));
            if !role.withhold_token {
                let value = self.page_token(token, &page.id, now);
                object.insert("access_token".into(), value.into());
            }
        }
        object
    }

    /// The token of the page that belongs to this user token; it is made once, and again when it no longer works.
    fn page_token(&mut self, user: &Token, page: &str, now: i64) -> String {
        let parent = self.book.number(&user.value);
        let same = |t: &&Token| t.parent == parent && t.page.as_deref() == Some(page);
        let works = |t: &&Token| self.book.trouble(t, now).is_none();
        if let Some(known) = self.book.all().filter(same).find(works) {
            return known.value.clone();
        }
        // from a long-lived token comes one that never expires
        let life = if user.long_lived {
            None
        } else {
            user.expires_at.map(|at| at - now)
        };
        let scopes = user.scopes.clone();
        let token = Token {
            page: Some(page.to_owned()),
            pixels: Some(Vec::new()),
            data_access_expires_at: user.data_access_expires_at,
            parent,
            ..self.fresh(TokenKind::Page, &user.app, &user.holder, scopes, life, now)
        };
        self.book.enter(token)
    }
}

fn described(page: &Page) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("id".into(), page.id.clone().into());
    object.insert("name".into(), page.name.clone().into());
    object.insert("category".into(), page.category.clone().into());
    let list = json!([{ "id": "2239", "name": page.category }]);
    object.insert("category_list".into(), list);
    object
}

//! System users: listed, given an app, given a token.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::oauth::SIXTY_DAYS;
use super::people::unreachable;
use super::registry::Registry;
use super::tokens::{Token, TokenKind};
use super::world::SystemUser;
use super::{fields, paging, refusal as no};
use crate::sandbox::graph_error::GraphError;
use crate::sandbox::refusal::{PROOF_MISSING, Refusal};

/// The scopes a system user can be granted, as Meta lists them.
#[rustfmt::skip]
const GRANTABLE: [&str; 35] = [
    "ads_management", "ads_read", "attribution_read", "business_management", "catalog_management",
    "commerce_account_manage_orders", "commerce_account_read_orders",
    "commerce_account_read_settings", "instagram_basic", "instagram_branded_content_ads_brand",
    "instagram_branded_content_brand", "instagram_content_publish", "instagram_manage_comments",
    "instagram_manage_insights", "instagram_manage_messages", "instagram_shopping_tag_products",
    "leads_retrieval", "page_events", "pages_manage_ads", "pages_manage_cta",
    "pages_manage_engagement", "pages_manage_instant_articles", "pages_manage_metadata",
    "pages_manage_posts", "pages_messaging", "pages_read_engagement", "pages_read_user_content",
    "pages_show_list", "private_computation_access", "publish_video",
    "read_audience_network_insights", "read_insights", "read_page_mailboxes",
    "whatsapp_business_management", "whatsapp_business_messaging",
];

fn refuse<T>(row: &'static Refusal) -> Result<T, Box<GraphError>> {
    Err(GraphError::boxed(row))
}

impl Registry {
    pub(super) fn system_users(&self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        let token = self.holder(call, now)?;
        let business = call.asked.subject.as_str();
        if self.world.business(business).is_none() {
            return Err(unreachable(call));
        }
        if !self.administers(&token, business) {
            return refuse(&no::NOT_ADMIN);
        }
        let users = self.world.system_users.iter();
        let mut rows = Vec::new();
        for user in users.filter(|user| user.business == business) {
            let mut object = Map::new();
            object.insert("id".into(), user.id.clone().into());
            object.insert("name".into(), user.name.clone().into());
            object.insert("role".into(), user.role.clone().into());
            let known = ["id", "name", "role"];
            rows.push(fields::pick(call, &known, &known, &object)?);
        }
        paging::page(call, rows)
    }

    /// Installs the app for the system user.
    pub(super) fn applications(&mut self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        let token = self.holder(call, now)?;
        let user = self.subject(call, &token)?;
        let app = self.business_app(call, &user)?;
        let users = &mut self.world.system_users;
        if let Some(user) = users.iter_mut().find(|known| known.id == user.id)
            && !user.apps.contains(&app)
        {
            user.apps.push(app);
        }
        Ok(if self.quirks.bare_true {
            json!(true)
        } else {
            json!({ "success": true })
        })
    }

    /// Generates a token. The answer does not say when it expires.
    pub(super) fn access_tokens(
        &mut self,
        call: &Call,
        now: i64,
    ) -> Result<Value, Box<GraphError>> {
        let token = self.holder(call, now)?;
        if call.proof().value.is_none() {
            return refuse(&PROOF_MISSING);
        }
        let user = self.subject(call, &token)?;
        let app = self.business_app(call, &user)?;
        if !user.apps.contains(&app) {
            return refuse(&no::NOT_INSTALLED);
        }
        let scopes = call.list("scope");
        let grantable = |scope: &String| GRANTABLE.contains(&scope.as_str());
        if scopes.is_empty() || !scopes.iter().all(grantable) {
            return refuse(&no::SCOPE);
        }
        let sixty_days = call.is_set("set_token_expires_in_60_days");
        let business = self.world.business(&user.business);
        if !sixty_days && business.is_some_and(|business| business.must_expire) {
            return refuse(&no::MUST_EXPIRE);
        }
        let life = sixty_days.then_some(SIXTY_DAYS);
        let made = self.fresh(TokenKind::SystemUser, &app, &user.id, scopes, life, now);
        Ok(json!({ "access_token": self.book.enter(made) }))
    }

    /// The system user the call is about, if the caller may act for it.
    fn subject(&self, call: &Call, token: &Token) -> Result<SystemUser, Box<GraphError>> {
        let Some(user) = self.world.system_user(&call.asked.subject) else {
            return Err(unreachable(call));
        };
        let own = token.holder == user.id;
        if own || self.administers(token, &user.business) {
            Ok(user.clone())
        } else {
            refuse(&no::NOT_ADMIN)
        }
    }

    /// The app of the call, if it belongs to the business of the user.
    fn business_app(&self, call: &Call, user: &SystemUser) -> Result<String, Box<GraphError>> {
        let app = call.get("business_app").and_then(|id| self.world.app(id));
        let own = app.filter(|app| app.business.as_ref() == Some(&user.business));
        own.map(|app| app.id.clone())
            .ok_or_else(|| GraphError::boxed(&no::BUSINESS_APP))
    }

    /// Whether the holder is an administrator of the business.
    fn administers(&self, token: &Token, business: &str) -> bool {
        let person = self.world.person(&token.holder);
        let user = self.world.system_user(&token.holder);
        person.is_some_and(|person| person.businesses.iter().any(|id| id == business))
            || user.is_some_and(|user| user.business == business && user.role == "ADMIN")
    }
}

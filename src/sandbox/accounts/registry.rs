//! The registry: the world with its tokens, and who may do what with which of them.

use super::call::Call;
use super::calls::{AccountCall, Calls};
use super::check::WorldError;
use super::codes::Codes;
use super::consents::Consents;
use super::proof::Proof;
use super::quirks::Quirks;
use super::refusal as no;
use super::span::seconds;
use super::states;
use super::tokens::{Book, Token, TokenInfo};
use super::trouble::{TokenChange, Trouble};
use super::world::{App, DialogMood, World};
use crate::pixel::PixelId;
use crate::sandbox::graph_error::GraphError;
use crate::sandbox::refusal as common;
use crate::sandbox::settings::SandboxToken;

/// Everything the account edges know. All times are Unix seconds of the accounts' clock.
#[derive(Debug)]
pub(in crate::sandbox) struct Registry {
    pub(super) world: World,
    pub(super) book: Book,
    pub(super) codes: Codes,
    pub(super) consents: Consents,
    pub(super) quirks: Quirks,
    pub(super) mood: DialogMood,
    pub(super) calls: Calls,
}

/// Who makes a call.
pub(super) enum Caller {
    /// An app, by `{app_id}|{app_secret}`.
    App(String),
    /// Someone with a token.
    Holder(Box<Token>),
}

/// What the events edge asks about a token.
pub(in crate::sandbox) struct Known {
    pub name: String,
    /// Whether there is an app secret a proof could be made with.
    pub has_secret: bool,
}

impl Registry {
    pub(super) fn new(
        mut world: World,
        tokens: Vec<SandboxToken>,
        now: i64,
    ) -> Result<Self, WorldError> {
        world.check()?;
        let mut book = Book::default();
        let own = std::mem::take(&mut world.tokens);
        for (n, spec) in own.into_iter().chain(tokens).enumerate() {
            let place = |error| match error {
                WorldError::Unknown(what) => WorldError::Unknown(format!("tokens[{n}].{what}")),
                other => other,
            };
            book.begin_with(Token::of(spec, &world, now).map_err(place)?)?;
        }
        Ok(Self {
            book,
            codes: Codes::default(),
            consents: Consents::default(),
            quirks: world.quirks,
            mood: world.dialog.clone(),
            calls: Calls::default(),
            world,
        })
    }

    /// What is known of the token with this value.
    pub(in crate::sandbox) fn known(&self, value: &str) -> Option<Known> {
        let token = self.book.find(value)?;
        Some(Known {
            name: token.name.clone(),
            has_secret: self.secret(token).is_some(),
        })
    }

    /// Whether a token may post events to the pixel.
    pub(in crate::sandbox) fn admit(
        &self,
        value: Option<&str>,
        proof: Proof<'_>,
        pixel: PixelId,
        now: i64,
    ) -> Result<(), Box<GraphError>> {
        let value = value.ok_or_else(|| GraphError::boxed(&common::TOKEN_MISSING))?;
        if value.contains('|') {
            // an app has no pixels
            self.caller(Some(value), now)?;
            return Err(self.bent(GraphError::boxed(&common::PIXEL_UNREACHABLE)));
        }
        let token = self.live(value, now).map_err(|error| self.bent(error))?;
        self.prove(token, proof, now)?;
        if !token.has_one_of(&self.world.needs.events) {
            return Err(GraphError::boxed(&no::SEND_PERMISSION));
        }
        if self.reaches(token, pixel) {
            Ok(())
        } else {
            Err(self.bent(GraphError::boxed(&common::PIXEL_UNREACHABLE)))
        }
    }

    /// The pixel had an event.
    pub(in crate::sandbox) fn fired(&mut self, pixel: PixelId, now: i64) {
        let mut pixels = self.world.pixels.iter_mut();
        if let Some(pixel) = pixels.find(|known| known.id == pixel) {
            let at = jiff::Timestamp::from_second(now).unwrap_or_default();
            pixel.last_fired_time = Some(at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string());
        }
    }

    pub(super) fn reaches(&self, token: &Token, pixel: PixelId) -> bool {
        let listed = token.pixels.as_ref();
        self.world.has_pixel(pixel) && listed.is_none_or(|pixels| pixels.contains(&pixel))
    }

    /// The token, if it works.
    pub(super) fn live(&self, value: &str, now: i64) -> Result<&Token, Box<GraphError>> {
        let token = self
            .book
            .find(value)
            .ok_or_else(|| GraphError::boxed(&common::TOKEN_UNKNOWN))?;
        match self.book.trouble(token, now) {
            None => Ok(token),
            Some(trouble) => Err(Box::new(trouble.error(token, now))),
        }
    }

    /// The secret proofs for the token are made with, and whether there must be one.
    fn secret<'a>(&'a self, token: &'a Token) -> Option<(&'a str, bool)> {
        if let Some(own) = &token.own_secret {
            return Some((own, true));
        }
        let app = self.world.app(&token.app)?;
        Some((&app.secret, app.require_proof))
    }

    /// Whether the proof fits the token.
    pub(super) fn prove(
        &self,
        token: &Token,
        proof: Proof<'_>,
        now: i64,
    ) -> Result<(), Box<GraphError>> {
        let Some((secret, required)) = self.secret(token) else {
            return Ok(());
        };
        proof
            .check(secret, &token.value, required, now)
            .map_err(GraphError::boxed)
    }

    /// Who calls with this token: an app or a holder. The proof is not looked at.
    pub(super) fn caller(&self, value: Option<&str>, now: i64) -> Result<Caller, Box<GraphError>> {
        let value = value.ok_or_else(|| GraphError::boxed(&no::TOKEN_REQUIRED))?;
        let Some((id, secret)) = value.split_once('|') else {
            return Ok(Caller::Holder(Box::new(self.live(value, now)?.clone())));
        };
        let app = self
            .world
            .app(id)
            .ok_or_else(|| GraphError::boxed(&no::APP_TOKEN_APP))?;
        if app.secret == secret {
            Ok(Caller::App(app.id.clone()))
        } else {
            Err(GraphError::boxed(&no::APP_TOKEN_SECRET))
        }
    }

    /// The holder who calls, proof included.
    pub(super) fn holder(&self, call: &Call, now: i64) -> Result<Token, Box<GraphError>> {
        let Caller::Holder(token) = self.caller(call.get("access_token"), now)? else {
            return Err(GraphError::boxed(&no::NO_USER));
        };
        self.prove(&token, call.proof(), now)?;
        Ok(*token)
    }

    /// The app of `client_id`, and whether `client_secret` is its secret.
    pub(super) fn client(&self, call: &Call) -> Result<&App, Box<GraphError>> {
        let id = call
            .get("client_id")
            .ok_or_else(|| GraphError::boxed(&no::CLIENT_ID_MISSING))?;
        let app = self.world.app(id);
        app.ok_or_else(|| GraphError::boxed(&no::CLIENT_ID))
    }

    /// The refusal of a fault that refuses the token.
    pub(in crate::sandbox) fn bad_token(
        &self,
        value: Option<&str>,
        subcode: Option<i64>,
        now: i64,
    ) -> Box<GraphError> {
        let row = subcode.map_or(&common::TOKEN_UNKNOWN, states::of_subcode);
        let trouble = Trouble {
            subcode,
            ..Trouble::of(row)
        };
        match value.and_then(|value| self.book.find(value)) {
            Some(token) => Box::new(trouble.error(token, now)),
            None => Box::new(trouble.untold(now)),
        }
    }

    /// The error as the quirks have it.
    pub(super) fn bent(&self, mut error: Box<GraphError>) -> Box<GraphError> {
        if self.quirks.omit_subcode {
            error.subcode = None;
        }
        error
    }

    /// Changes a token, found by fingerprint, name or value.
    pub(in crate::sandbox) fn change(
        &mut self,
        handle: &str,
        change: &TokenChange,
        now: i64,
    ) -> bool {
        let Some(token) = self.book.by_handle(handle) else {
            return false;
        };
        if change.is_of_state() {
            token.trouble = change.trouble();
        }
        if let Some(pixels) = &change.pixels {
            token.pixels = Some(pixels.clone());
        }
        if let Some(scopes) = &change.scopes {
            token.scopes.clone_from(scopes);
        }
        if let Some(span) = change.expires_in {
            token.expires_at = Some(now + seconds(span));
        }
        true
    }

    /// Makes a token, and gives its value.
    pub(in crate::sandbox) fn mint(
        &mut self,
        spec: SandboxToken,
        now: i64,
    ) -> Result<String, WorldError> {
        self.book.make(Token::of(spec, &self.world, now)?)
    }

    pub(in crate::sandbox) fn infos(&self, now: i64) -> Vec<TokenInfo> {
        let tokens = self.book.all();
        tokens.map(|token| self.book.info(token, now)).collect()
    }

    pub(in crate::sandbox) fn calls(&self) -> Vec<AccountCall> {
        self.calls.kept().iter().cloned().collect()
    }

    /// How many there were, those forgotten since included.
    pub(in crate::sandbox) fn call_count(&self) -> u64 {
        self.calls.total()
    }

    pub(in crate::sandbox) fn clear_calls(&mut self) {
        self.calls.clear();
    }

    pub(in crate::sandbox) fn set_mood(&mut self, mood: DialogMood) {
        self.mood = mood;
    }

    pub(in crate::sandbox) fn set_quirks(&mut self, quirks: Quirks) {
        self.quirks = quirks;
    }
}

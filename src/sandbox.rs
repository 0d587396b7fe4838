//! The sandbox: a simulator of Meta's `POST /{version}/{pixel_id}/events` that is not Meta, and of
//! the login dialog and account endpoints a gateway gets and keeps its tokens with. Of the Dataset
//! Quality API it gives made-up figures about the events it got.
//!
//! It stands in for Graph in our tests, in the demo, and for people who try their set-up before
//! they go live. It is an independent reading of Meta's published contract: it shares no rule with
//! the rooms that make and send events or get tokens, or both sides would share a mistake.
//!
//! # What it promises
//!
//! - Every request to the events edge stands in the ledger once, accepted whole or refused whole,
//!   and the ledger says how often each event was accepted. Every call to another edge stands in
//!   the list of [`AccountCall`]s, with the names of its parameters and how they travelled.
//! - It is strict. What a correct sender never does is a [`Violation`], whatever was answered; a
//!   test asserts that there is none. A violation names the place, never the value.
//! - It keeps no token it was sent and, of an event that broke a rule of privacy, no copy. Those it
//!   made itself, or was started with, it shows by fingerprint; it gives a value only to the one
//!   who has it made, or asks for it by name.
//! - Every answer says in the header `x-capigate-sandbox` that this is not Meta, and so does every
//!   page.
//!
//! # What it refuses to do
//!
//! It forwards nothing, writes nothing to disk and opens no connection. It does not read multipart
//! or compressed bodies, does not deduplicate, does not check `attribution_data`, checks no PKCE,
//! logs no device in, and knows no edge of Graph beyond [`Edge`]. It has no access control: let it
//! listen on loopback, and give it made-up secrets only.
//!
//! # The world
//!
//! [`World`] says which apps, people, pages, businesses, system users and pixels there are, and
//! [`SandboxToken`] which tokens; `config/sandbox-world.toml` has one of each. Tokens and codes the
//! sandbox makes are made up, and different each time. A token reaches the pixels its holder could
//! reach when it was made; one that names no holder reaches all. One that names no app is as the
//! Events Manager makes them: of [`DATASET_APP`], whose secret nobody knows, so that only the token
//! itself can ask `debug_token` about it.
//!
//! Dialog and Graph share one port. A browser (`Accept: text/html`) sees a page with buttons;
//! anything else, such as curl, is sent back at once as if the first person of the world had
//! allowed everything. `sandbox=allow`, `deny`, `error`, `page`, `blocked`, `inactive` or `bad_app`
//! in the URL of the dialog, or [`DialogMood`], ask for another end; `sandbox_person` and
//! `sandbox_decline` say who is logged in, and what is declined.
//!
//! Time is that of the machine, or of the test; [`Sandbox::advance_clock`] moves it ahead for
//! tokens, codes and proofs. Ages of events do not move with it. [`Quirks`] switches between
//! answers of which Meta gives now one and now the other.
//!
//! # What is known of Meta's answers
//!
//! [`Basis`] marks each row of [`REFUSALS`], [`ACCOUNT_REFUSALS`] and [`STATES`]. Recorded from
//! real answers about events: 100/2804003
//! (age over 7 days), 100/2804050 (match keys), 100/2804009 (Purchase without value), 100/2804043
//! (`extinfo[4]`), 100/2804066 (messaging name), 401 with 190 (a token that cannot be parsed),
//! 100/33 (a pixel the token cannot reach), 100 (a missing or wrong `appsecret_proof`). These are
//! the sandbox's choice, and Meta's real answer is unconfirmed:
//!
//! | Case | The sandbox |
//! |---|---|
//! | more than 1,000 events | 400, 100 |
//! | missing or unknown currency | 400, 100 |
//! | unknown `action_source`, website without URL | 400, 100 |
//! | bad `lead_id`, `opt_out`, `data_processing_options` | 400, 100 |
//! | raw personal data under a match key | 400, 100, and a violation |
//! | `event_time` more than 60 s ahead | 400, 100 |
//! | `physical_store` event over 62 days | 400, 100/2804003 |
//! | app event without tracking flag or 16 values | 400, 100 |
//! | WhatsApp account 2804131, click id 2804087, messaging currency 2804081 | as one reporter saw |
//! | no token | 401, 190 |
//! | a timed proof older or younger than 5 minutes | 400, 100, the text of a wrong one |
//! | body over 16 MiB | 413, 1 |
//! | HTTP status of throttling | 400, unless the fault says otherwise |
//! | which of two faults is named, and whether the event is | the first of the first; not named |
//! | an unknown `test_event_code` | accepted |
//!
//! And of the account edges:
//!
//! | Edge | Known | The sandbox's choice |
//! |---|---|---|
//! | `dialog/oauth` | 302 with `code` or `access_denied`, `#_=_`, pages without redirect | status 400 of the pages; `error_code` 1; `code` only |
//! | `oauth/access_token` by code | 101, 191, 1, 100/36007 to 36009, and their order | code lives 10 minutes; 90 days of data access; codes of other apps have a bad format |
//! | `fb_exchange_token` | 60 days; the old token stays valid; system users with `set_token_expires_in_60_days` | a long-lived user token keeps its date; foreign token, page token, expiring one without the flag: 100 |
//! | `client_credentials` | `{app_id}\|{app_secret}` | |
//! | `oauth/revoke` | `{"success":"true"}`; one app for all four | 100 for another app; 190/466 for later use |
//! | `debug_token` | the fields, the error within 200, both refusals with 100, Bearer | a token nobody knows has `error`, `is_valid` and `scopes` only |
//! | `me`, `permissions` | shapes | 100/33 for another person |
//! | `accounts`, `{page}` | shapes; `next` holds the token; the field missing | nothing without `pages_show_list` |
//! | `system_users`, `applications`, `access_tokens` | shapes; 60-day flag; the proof | every refusal but the proof's |
//! | `{pixel}` | shape, 100/33, 10, 190 | a pixel the world does not list is called by its id |
//! | `dataset_quality` | shape, `{}` without data, 10, 2044055 | all figures; what of the events it counts; 100 for 2044055's code; 10 for a dataset the token does not reach |
//! | events by token state | code and subcode of each row | scopes needed: none, unless [`Needs`] says so |
//! | `WWW-Authenticate` | class for 100 and 191 | `invalid_token` for 190; none for the others |
//!
//! # Violations
//!
//! | Kind | What was seen |
//! |---|---|
//! | `token_in_url` | an access token in the query of the URL, where it could be elsewhere |
//! | `secret_in_url` | `client_secret`, or a `code` to exchange, there |
//! | `dialog_state` | a dialog without `state`, or with one too short for 128 bits |
//! | `dialog_response_type` | a dialog that asks for a token in the URL |
//! | `unknown_route`, `bad_version`, `bad_pixel_id`, `wrong_method` | no path of an [`Edge`], or not its method |
//! | `unhashed_match_key` | a match key that is not SHA-256 in lower-case hex |
//! | `hash_of_nothing` | the SHA-256 of the empty string under a match key |
//! | `email_in_body` | an e-mail address anywhere else in the body |
//! | `unknown_user_data_key` | a key Meta does not list: it may hold raw personal data |
//! | `client_ip_address` | not an IP address |
//! | `wire_type` | text where an integer belongs (`event_time`, `lead_id`, `fb_login_id`) |
//! | `event_member_on_request` | a member of events beside `data` |
//! | `event_id_in_custom_data` | `event_id` where Meta does not look |
//! | `partner_agent` | 23 characters or more, or fewer than two letters |
//! | `proof_without_secret` | an `appsecret_proof` for a token that has no app secret |
//!
//! Meta wants the token that is inspected in the URL of `debug_token`, and all credentials in that
//! of `oauth/revoke`: those are no violations.
//!
//! # Limits
//!
//! Each has a name: [`MAX_BODY`], [`MAX_BATCH`], [`MAX_EVENTS`], [`MAX_BATCHES`], [`MAX_BODIES`],
//! [`MAX_BODY_BYTES`], [`MAX_TEST_CODES`], [`MAX_TEST_EVENTS`], [`MAX_VIOLATIONS`],
//! [`MAX_FAULTS`], [`MAX_CONNECTIONS`], [`MAX_TOKENS`], [`MAX_CODES`], [`MAX_ACCOUNT_CALLS`],
//! [`MAX_PARAMS`]. Sums are kept for ever; details beyond a limit are dropped, the oldest first,
//! and [`Totals`] says how many.

mod accounts;
mod answer;
mod control;
mod core;
mod currencies;
mod edge;
mod faults;
mod graph_error;
mod ledger;
mod privacy;
mod refusal;
mod request;
mod rules;
#[cfg(test)]
mod samples;
mod scan;
mod script;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod violations;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use accounts::{
    ACCOUNT_REFUSALS, AccountCall, App, AppMode, Business, CallOutcome, CallParam, DATASET_APP,
    DATASET_USER, DialogMood, DialogOutcome, Edge, LoginConfig, MAX_ACCOUNT_CALLS, MAX_CODES,
    MAX_PARAMS, MAX_TOKENS, Needs, PROOF_LIFETIME_SECS, Page, PageRole, Person, Pixel, Place,
    Quirks, STATES, StateRow, SystemUser, TokenChange, TokenInfo, TokenKind, TokenState, World,
    WorldError, parse_span,
};
pub use answer::NOT_META;
pub use edge::MAX_BODY;
pub use faults::{Action, Fault, FaultError, Headers, MAX_FAULTS, Times};
pub use ledger::{
    BatchRecord, LedgerEvent, LedgerSnapshot, MAX_BATCHES, MAX_BATCHES_OF_EVENT, MAX_BODIES,
    MAX_BODY_BYTES, MAX_EVENTS, MAX_TEST_CODES, MAX_TEST_EVENTS, MAX_TEXT, Outcome, TestEvent,
    Totals,
};
pub use refusal::{Basis, REFUSALS, Refusal};
pub use rules::{MAX_AGE_SECS, MAX_AHEAD_SECS, MAX_BATCH, MAX_STORE_AGE_SECS};
pub use server::MAX_CONNECTIONS;
pub use settings::{SandboxSettings, SandboxToken, parse_duration};
pub use violations::{MAX_VIOLATIONS, Violation};

use crate::pixel::PixelId;
use crate::time::Clock;

/// A running sandbox. Dropping it closes its listener and all its connections.
#[derive(Debug)]
pub struct Sandbox {
    addr: SocketAddr,
    core: Arc<core::Core>,
    tracker: TaskTracker,
    // cancels when dropped
    stop: tokio_util::sync::DropGuard,
}

impl Sandbox {
    /// Binds, and serves from then on.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or a fault or the world cannot be used (`InvalidInput`).
    pub async fn start(mut settings: SandboxSettings, clock: Clock) -> io::Result<Self> {
        let faults = std::mem::take(&mut settings.faults);
        let listener = TcpListener::bind(settings.listen).await?;
        let addr = listener.local_addr()?;
        let unusable = io::ErrorKind::InvalidInput;
        let core = core::Core::new(settings, clock);
        let core = Arc::new(core.map_err(|error| io::Error::new(unusable, error))?);
        core.script
            .add_checked(faults)
            .map_err(|error| io::Error::new(unusable, error))?;
        let tasks = server::Tasks {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let tracker = tasks.tracker.clone();
        let stop = tasks.stop.clone().drop_guard();
        tasks.spawn(server::accept(listener, Arc::clone(&core), tasks.clone()));
        Ok(Self {
            addr,
            core,
            tracker,
            stop,
        })
    }

    /// Where it listens, with the port it was given.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL of this sandbox, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What a person who starts or finds it should read.
    pub fn banner() -> &'static str {
        control::BANNER
    }

    /// A copy of everything in the ledger; for the sums alone, [`Sandbox::totals`] is cheaper.
    pub fn ledger(&self) -> LedgerSnapshot {
        self.core.ledger().snapshot()
    }

    /// The sums of the ledger.
    pub fn totals(&self) -> Totals {
        self.core.ledger().totals()
    }

    /// How often an event with this id was accepted for the pixel, under any name.
    pub fn times_accepted(&self, pixel: PixelId, event_id: &str) -> u64 {
        let filter = ledger::Filter {
            pixel: Some(pixel),
            event_name: None,
            event_id: Some(event_id.to_owned()),
        };
        let ledger = self.core.ledger();
        ledger.events(&filter).map(|event| event.times).sum()
    }

    /// Events sent with this test event code, oldest first.
    pub fn test_events(&self, code: &str) -> Vec<TestEvent> {
        let ledger = self.core.ledger();
        let events = ledger.test_events().get(code);
        events.into_iter().flatten().cloned().collect()
    }

    /// Waits until at least this many events were accepted since the ledger was last cleared,
    /// each counted as often as it was. There is no time limit: put one around it.
    pub async fn accepted_at_least(&self, events: u64) {
        let mut seen = self.core.watch_accepted();
        // the sender lives as long as `self`, so this ends only by the count
        let _ = seen.wait_for(|accepted| *accepted >= events).await;
    }

    /// What a correct sender never does, oldest first; the last [`MAX_VIOLATIONS`].
    pub fn violations(&self) -> Vec<Violation> {
        self.core.violations().kept().iter().cloned().collect()
    }

    /// Appends to the script. A status or header HTTP does not have is left out of the answer;
    /// see [`Fault::check`].
    pub fn add_fault(&self, fault: Fault) {
        self.core.script.add(fault);
    }

    /// The script, as far as it is not used up.
    pub fn faults(&self) -> Vec<Fault> {
        self.core.script.list()
    }

    /// Puts these faults in the place of the script, at once: no request meets a part of either.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.core.script.replace(faults);
    }

    /// Clears the script.
    pub fn clear_faults(&self) {
        self.core.script.clear();
    }

    /// Forgets events, batches and test events; violations and faults stay.
    pub fn clear_ledger(&self) {
        self.core.clear_ledger();
    }

    /// Makes a token, and gives its value; one is made up if the token has none.
    ///
    /// # Errors
    ///
    /// It names an app, holder or page the world has not, or has the value of another token.
    pub fn mint_token(&self, token: SandboxToken) -> Result<String, WorldError> {
        let now = self.core.accounts.now().secs();
        self.core.accounts.lock().mint(token, now)
    }

    /// Changes a token, found by fingerprint, name or value. Says whether there is one.
    pub fn change_token(&self, handle: &str, change: &TokenChange) -> bool {
        let now = self.core.accounts.now().secs();
        self.core.accounts.lock().change(handle, change, now)
    }

    /// Puts a token, found by fingerprint, name or value, in a state. Says whether there is one.
    pub fn set_token_state(&self, handle: &str, state: TokenState) -> bool {
        self.change_token(handle, &state.into())
    }

    /// Every token, without its value.
    pub fn tokens(&self) -> Vec<TokenInfo> {
        let now = self.core.accounts.now().secs();
        self.core.accounts.lock().infos(now)
    }

    /// Moves the clock of tokens, codes and proofs ahead. Ages of events are counted by the clock
    /// the sandbox was started with.
    pub fn advance_clock(&self, span: std::time::Duration) {
        self.core.accounts.advance(span);
    }

    /// The calls to account edges, oldest first; the last [`MAX_ACCOUNT_CALLS`].
    pub fn account_calls(&self) -> Vec<AccountCall> {
        self.core.accounts.lock().calls()
    }

    /// Forgets the calls to account edges; their numbering goes on.
    pub fn clear_account_calls(&self) {
        self.core.accounts.lock().clear_calls();
    }

    /// How the dialog behaves from now on.
    pub fn set_dialog(&self, mood: DialogMood) {
        self.core.accounts.lock().set_mood(mood);
    }

    /// The switches from now on.
    pub fn set_quirks(&self, quirks: Quirks) {
        self.core.accounts.lock().set_quirks(quirks);
    }

    /// Stops at once, requests under way included, and waits for the last task.
    pub async fn stop(self) {
        drop(self.stop);
        self.tracker.close();
        self.tracker.wait().await;
    }
}

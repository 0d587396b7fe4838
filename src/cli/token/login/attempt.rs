//! One try at a login, and the one answer to it that counts.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use url::Url;

use crate::graph::oauth::{
    App, Ask, Caught, Dialog, OauthClient, Redirect, RedirectError, parse_redirect,
};
use crate::secret::Secret;
use crate::time::{Clock, UnixMs};

/// How long an answer to a login is believed. Meta's codes do not live longer.
pub(super) const LIFETIME: Duration = Duration::from_mins(10);

/// Random bytes of a state.
const STATE_BYTES: usize = 32;

/// A login that was started: its app, where it leads back to, and the state that only its answer
/// has.
pub(super) struct Attempt {
    app: App,
    redirect_uri: String,
    state: Secret,
    started: UnixMs,
    clock: Clock,
    /// Taken by the first answer.
    waiting: Mutex<Option<oneshot::Sender<Answer>>>,
}

/// The answer that counts.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// When it came.
    pub(super) at: Instant,
}

/// What it says.
#[derive(Debug)]
pub(super) enum Outcome {
    /// What Facebook sends, with the state of this login.
    Came(Redirect),
    /// It is not believed, so its code is not exchanged.
    Refused(RedirectError),
    /// The login was started too long ago.
    TooLate,
}

/// What became of something that looked like an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// It counts.
    Taken,
    /// It is none, so the login still waits for one.
    NoAnswer(RedirectError),
    /// There was one before.
    Ignored,
}

/// A random state.
pub(super) fn state() -> anyhow::Result<Secret> {
    let mut bytes = zeroize::Zeroizing::new([0; STATE_BYTES]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice())
        .map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    Ok(Secret::new(hex::encode(bytes.as_slice())))
}

impl Attempt {
    /// Starts one; the receiver gets the answer.
    pub(super) fn start(
        app: App,
        redirect_uri: String,
        clock: Clock,
    ) -> anyhow::Result<(Self, oneshot::Receiver<Answer>)> {
        let (waiting, answered) = oneshot::channel();
        let attempt = Self {
            app,
            redirect_uri,
            state: state()?,
            started: clock.now(),
            clock,
            waiting: Mutex::new(Some(waiting)),
        };
        Ok((attempt, answered))
    }

    /// The app that the code has to be exchanged for.
    pub(super) fn app(&self) -> &App {
        &self.app
    }

    /// What the exchange has to name, byte for byte.
    pub(super) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The address to open in a browser.
    pub(super) fn url(&self, client: &OauthClient, ask: Ask<'_>, rerequest: bool) -> Url {
        client.dialog_url(&Dialog {
            client_id: &self.app.id,
            redirect_uri: &self.redirect_uri,
            state: &self.state,
            ask,
            rerequest,
        })
    }

    /// Takes what may be the answer. The first that is one ends the login, whatever it says.
    pub(super) fn offer(&self, text: &str, from: Caught) -> Offer {
        let outcome = match parse_redirect(text, from, &self.state) {
            Err(error @ (RedirectError::NoCode | RedirectError::TooLong)) => {
                return Offer::NoAnswer(error);
            }
            _ if self.clock.now().since(self.started) > LIFETIME => Outcome::TooLate,
            Err(error) => Outcome::Refused(error),
            Ok(redirect) => Outcome::Came(redirect),
        };
        let waiting = self.waiting.lock();
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner).take();
        let Some(waiting) = waiting else {
            return Offer::Ignored;
        };
        let at = Instant::now();
        // nobody waits for it any more
        let sent = waiting.send(Answer { outcome, at });
        sent.map_or(Offer::Ignored, |()| Offer::Taken)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cli::token::login) fn attempt(
        clock: Clock,
    ) -> (Attempt, oneshot::Receiver<Answer>) {
        let app = App {
            id: "1000000000000001".to_owned(),
            secret: Secret::new("0123456789abcdef0123456789abcdef".to_owned()),
        };
        Attempt::start(app, "http://localhost:8080/".to_owned(), clock).unwrap()
    }

    pub(in crate::cli::token::login) fn good(attempt: &Attempt) -> String {
        let state = attempt.state.expose();
        format!("/?code=AQcanary-code&state={state}")
    }

    #[test]
    fn the_first_answer_counts_and_those_after_it_do_not() {
        let (attempt, mut answered) = attempt(Clock::Real);
        for none in ["/", "/?", "/?x=1", "hello?"] {
            let offer = attempt.offer(none, Caught::Listener);
            assert_eq!(offer, Offer::NoAnswer(RedirectError::NoCode), "{none}");
        }
        assert!(answered.try_recv().is_err());
        let good = good(&attempt);
        assert_eq!(attempt.offer(&good, Caught::Listener), Offer::Taken);
        for again in [good.as_str(), "/?code=other&state=x"] {
            assert_eq!(attempt.offer(again, Caught::Listener), Offer::Ignored);
        }
        let answer = answered.try_recv().unwrap();
        assert!(matches!(answer.outcome, Outcome::Came(Redirect::Code(_))));
        assert!(!format!("{answer:?}").contains("canary"));
    }

    #[test]
    fn what_is_of_another_login_ends_it_without_a_code() {
        for (query, error) in [
            ("/?code=AQx&state=other", RedirectError::OtherState),
            ("/?code=AQx", RedirectError::NoState),
            ("/?code=AQx&code=AQy", RedirectError::Twice),
        ] {
            let (attempt, mut answered) = attempt(Clock::Real);
            assert_eq!(attempt.offer(query, Caught::Listener), Offer::Taken);
            match answered.try_recv().unwrap().outcome {
                Outcome::Refused(told) => assert_eq!(told, error, "{query}"),
                other => panic!("{query}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_answer_is_believed_for_ten_minutes() {
        let clock = Clock::manual(UnixMs(1_800_000_000_000));
        for (minutes, late) in [(10, false), (11, true)] {
            let (attempt, mut answered) = attempt(clock.clone());
            clock.set(clock.now().plus(Duration::from_mins(minutes)));
            let offer = attempt.offer(&good(&attempt), Caught::Paste);
            assert_eq!(offer, Offer::Taken);
            let outcome = answered.try_recv().unwrap().outcome;
            assert_eq!(matches!(outcome, Outcome::TooLate), late, "{minutes}");
        }
    }

    #[test]
    fn each_login_has_a_state_of_its_own_with_256_bits() {
        let (one, other) = (state().unwrap(), state().unwrap());
        assert_eq!(one.expose().len(), 64);
        assert_ne!(one.expose(), other.expose());
        let (attempt, _answered) = attempt(Clock::Real);
        let (stranger, _answer) = super::tests::attempt(Clock::Real);
        let offer = attempt.offer(&good(&stranger), Caught::Listener);
        assert_eq!(offer, Offer::Taken, "it ends the login");
    }
}

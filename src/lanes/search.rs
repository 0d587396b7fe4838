//! Searches a refused batch for its bad events, and delivers the others.
//!
//! The leases are kept while [`Bisect`] says what to send next; each part is settled as soon as
//! its end is known. Every request passes the gate like any batch. A search gives up, and returns
//! what is undecided, when something is held, when it would have to wait long, and at a stop: a
//! fresh search later is no worse.

use std::time::Duration;

use super::bisect::{Bisect, Said};
use super::gate::Passage;
use super::places::Place;
use super::send::{Again, Sender, Sent, Unsent};
use super::settle::{self, Death, NotWritten};
use super::snapshot::HeldBy;
use crate::graph::verdict::UNKNOWN_TRIES;
use crate::graph::{Answer, Split, Transient, Verdict};
use crate::journal::Lease;

/// The longest wait for circuits that a search keeps its leases through.
const PATIENCE: Duration = Duration::from_mins(1);

/// One search.
pub(super) struct Search {
    sender: Sender,
    /// By place in the batch; none when its end is known.
    leases: Vec<Option<Lease>>,
    bisect: Bisect,
    /// Events that fail alone though Graph does not say that they are bad: given up only if
    /// others of the batch were delivered.
    doubtful: Vec<(usize, Death)>,
    any_delivered: bool,
    /// Events whose dead letters could not be written. They do not keep the others from going on.
    unwritten: Vec<Lease>,
    /// It could not be noted that a part is about to be sent.
    unnoted: bool,
    /// The whole batch has had its tries of answers that do not say what is wrong.
    tried: bool,
    /// Such answers to the present part, in a row.
    tries: u32,
    _place: Place,
}

/// A search ends before its time.
struct GiveUp;

impl Search {
    pub(super) fn new(sender: Sender, leases: Vec<Lease>, place: Place) -> Self {
        Self {
            sender,
            bisect: Bisect::new(leases.len()),
            leases: leases.into_iter().map(Some).collect(),
            doubtful: Vec::new(),
            any_delivered: false,
            unwritten: Vec::new(),
            unnoted: false,
            tried: false,
            tries: 0,
            _place: place,
        }
    }

    /// Runs until every event has met its end, or the search gives up. `first` is the answer to
    /// the whole batch.
    pub(super) async fn run(mut self, first: Answer) -> Sent {
        let pixel = self.sender.key.pixel.to_string();
        let metrics = self.sender.shared.tools.metrics.clone();
        metrics.bisections.with_label_values(&[&pixel]).inc();
        let requests = metrics.bisection_requests.with_label_values(&[&pixel]);
        self.tried = matches!(first.verdict, Verdict::Transient(..));
        let mut answer = Some(first);
        while let Some(part) = self.bisect.next().map(<[usize]>::to_vec) {
            let heard = match answer.take() {
                Some(answer) => self.hear(&part, answer).await,
                None => match self.ask(&part).await {
                    Ok(Some(answer)) => {
                        requests.inc();
                        self.hear(&part, answer).await
                    }
                    Ok(None) => Ok(()),
                    Err(GiveUp) => Err(GiveUp),
                },
            };
            if heard.is_err() {
                return self.end();
            }
        }
        self.conclude().await
    }

    /// Sends a part. None when there is no answer: it was not sent, or all of it has expired.
    async fn ask(&mut self, part: &[usize]) -> Result<Option<Answer>, GiveUp> {
        let Some(passage) = self.pass().await else {
            return Err(GiveUp);
        };
        if passage.ticket.is_for_one() && part.len() > 1 {
            return Err(GiveUp);
        }
        let now = self.sender.shared.tools.clock.now();
        let expired = |lease: &Option<Lease>| lease.as_ref().is_some_and(|l| l.expires_at() <= now);
        let expired: Vec<usize> = part
            .iter()
            .copied()
            .filter(|at| self.leases.get(*at).is_some_and(expired))
            .collect();
        self.bury(&expired, Death::expired()).await;
        let events = self.events(part);
        if events.is_empty() {
            self.bisect.answer(Said::Gone);
            return Ok(None);
        }
        let patient = !self.tried && self.tries + 1 < UNKNOWN_TRIES;
        match self.sender.exchange(&events, passage, patient).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Unsent::Circuit) => Ok(None),
            Err(Unsent::Intents) => {
                self.unnoted = true;
                Err(GiveUp)
            }
        }
    }

    async fn pass(&self) -> Option<Passage> {
        tokio::select! {
            biased;
            () = self.sender.shared.stop.cancelled() => None,
            passage = self.sender.gate.pass_within(PATIENCE) => passage.ok().flatten(),
        }
    }

    /// Takes in the answer to a part.
    async fn hear(&mut self, part: &[usize], answer: Answer) -> Result<(), GiveUp> {
        match answer.verdict {
            Verdict::Delivered { received } => {
                let leases = self.take(part);
                let Sender { shared, key, .. } = &self.sender;
                settle::delivered(shared, key, leases, received, &answer).await;
                self.any_delivered = true;
                self.say(Said::Fine);
            }
            Verdict::Split(Split::TooLarge) => {
                let first = self.half_of_bytes(part);
                if let Some(culprit) = self.say(Said::TooLarge { first }) {
                    let death = Death::refused(Split::TooLarge, &answer);
                    self.bury(&[culprit], death).await;
                }
            }
            Verdict::Split(split) => {
                let suspects = self.suspects(part, &answer);
                let said = Said::Refused {
                    suspects: &suspects,
                };
                if let Some(culprit) = self.say(said) {
                    self.bury(&[culprit], Death::refused(split, &answer)).await;
                }
            }
            Verdict::Transient(Transient::Unknown, _) => {
                self.tries += 1;
                if (self.tried || self.tries >= UNKNOWN_TRIES)
                    && let Some(culprit) = self.say(Said::Refused { suspects: &[] })
                {
                    let death = Death::refused(Split::Refused, &answer);
                    self.doubtful.push((culprit, death));
                }
            }
            Verdict::Transient(cause, _) if self.sender.must_not_repeat(cause) => {
                let leases = self.take(part);
                if self.sender.bury_unconfirmed(leases, &answer).await != Sent::Done {
                    return Err(GiveUp);
                }
                self.say(Said::Gone);
            }
            // the gate makes the next try wait
            Verdict::Transient(..) | Verdict::Throttled(_) => {}
            Verdict::Hold(_) => return Err(GiveUp),
        }
        Ok(())
    }

    fn say(&mut self, said: Said<'_>) -> Option<usize> {
        self.tries = 0;
        self.bisect.answer(said)
    }

    /// Whom to look at first: the event that Graph names, or those that break the rule it names.
    fn suspects(&self, part: &[usize], answer: &Answer) -> Vec<usize> {
        let Some(error) = &answer.error else {
            return Vec::new();
        };
        let now = self.sender.shared.tools.clock.now();
        let sent = part
            .iter()
            .filter_map(|at| Some((*at, self.leases.get(*at)?.as_ref()?)));
        if let Some(index) = error.index {
            return sent.skip(index).take(1).map(|(at, _)| at).collect();
        }
        sent.filter(|(_, lease)| lease.event().breaks(error.code, error.subcode, now))
            .map(|(at, _)| at)
            .collect()
    }

    /// How many events of a part make half of its bytes.
    fn half_of_bytes(&self, part: &[usize]) -> usize {
        let size = |lease: &&Lease| lease.event().as_bytes().len();
        let events = self.events(part);
        let half = events.iter().map(size).sum::<usize>() / 2;
        let mut sum = 0;
        let mut first = 0;
        for lease in &events {
            sum += size(lease);
            if sum > half {
                break;
            }
            first += 1;
        }
        first
    }

    fn events(&self, part: &[usize]) -> Vec<&Lease> {
        part.iter()
            .filter_map(|at| self.leases.get(*at)?.as_ref())
            .collect()
    }

    fn take(&mut self, part: &[usize]) -> Vec<Lease> {
        part.iter()
            .filter_map(|at| self.leases.get_mut(*at)?.take())
            .collect()
    }

    async fn bury(&mut self, part: &[usize], death: Death) {
        let leases = self.take(part);
        let (shared, key) = (&self.sender.shared, &self.sender.key);
        if let Err(NotWritten(kept)) = settle::bury_aside(shared, key, leases, death).await {
            self.unwritten.extend(kept);
        }
    }

    /// Every part has its answer; what is left are the doubtful events.
    async fn conclude(mut self) -> Sent {
        let doubtful = std::mem::take(&mut self.doubtful);
        if self.any_delivered {
            for (culprit, death) in doubtful {
                if self.ask_again(culprit, death).await.is_err() {
                    break;
                }
            }
        } else if !doubtful.is_empty() {
            self.sender.shared.circuits.fail(self.sender.key.pixel);
        }
        self.end()
    }

    /// Others of the batch were delivered meanwhile. What fails once more is bad; what does not met
    /// trouble of Graph's own that is over.
    async fn ask_again(&mut self, culprit: usize, death: Death) -> Result<(), GiveUp> {
        let Some(answer) = self.ask(&[culprit]).await? else {
            return Ok(());
        };
        match answer.verdict {
            Verdict::Split(_) | Verdict::Transient(Transient::Unknown, _) => {
                self.bury(&[culprit], death).await;
                Ok(())
            }
            _ => self.hear(&[culprit], answer).await,
        }
    }

    /// Returns what is undecided.
    fn end(mut self) -> Sent {
        let unwritten = !self.unwritten.is_empty();
        let undecided = self.leases.into_iter().flatten();
        self.unwritten.extend(undecided);
        let none = self.unwritten.is_empty();
        settle::give_back(self.unwritten);
        match (unwritten, none) {
            (true, _) => Sent::Stuck(HeldBy::DeadLetters),
            (false, _) if self.unnoted => Sent::Stuck(HeldBy::Intents),
            (false, true) => Sent::Done,
            (false, false) => Sent::Again(Again::default()),
        }
    }
}

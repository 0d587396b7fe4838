//! What goes on beside the callers: sending, telling again, writing down.

use std::time::Duration;

use tokio::time::Instant;

use super::message::Message;
use super::{Alerts, Channel, ChannelError, Settings, email, retry, webhook};

/// How often repeats and what was held back are looked after.
const TICK: Duration = Duration::from_mins(1);
/// How long changes are gathered before what was sent is written down.
const GATHER: Duration = Duration::from_millis(200);

impl Alerts {
    /// Sends what comes for one channel, until the end.
    pub(super) async fn serve(&self, channel: Channel) {
        let queue = self.queue(channel);
        loop {
            let next = self.0.stopping.run_until_cancelled(queue.pop()).await;
            let Some(queued) = next.or_else(|| queue.try_pop()) else {
                return;
            };
            self.send(channel, &queued.message, queued.at).await;
        }
    }

    /// Tries one message until it is sent, refused or too old; at a stop once more, at once.
    async fn send(&self, channel: Channel, message: &Message, queued: Instant) {
        let mut failures = 0;
        loop {
            let settings = self.0.settings.load_full();
            let error = match self.attempt(&settings, channel, message).await {
                // no such channel any more
                None => return,
                Some(Ok(())) => {
                    self.count(channel, "sent");
                    self.board().delivered(message);
                    self.0.changed.notify_one();
                    return;
                }
                Some(Err(error)) => error,
            };
            failures += 1;
            let (waited, draw) = (queued.elapsed(), fastrand::f64());
            let wait = retry::wait(&error, failures, waited, settings.give_up, draw);
            let wait = wait.filter(|_| !self.0.stopping.is_cancelled());
            let Some(wait) = wait else {
                self.count(channel, "failed");
                tracing::error!(alert.key = %message.alert.key, alert.channel = channel.code(), code = error.code(), %error, "an alert was not sent and is given up");
                return;
            };
            if failures == 1 {
                tracing::warn!(alert.key = %message.alert.key, alert.channel = channel.code(), code = error.code(), %error, "an alert was not sent yet and will be tried again");
            }
            let sleep = tokio::time::sleep(wait);
            self.0.stopping.run_until_cancelled(sleep).await;
        }
    }

    /// One try; none if there is no such channel.
    pub(super) async fn attempt(
        &self,
        settings: &Settings,
        channel: Channel,
        message: &Message,
    ) -> Option<Result<(), ChannelError>> {
        let now = self.0.clock.now();
        Some(match channel {
            Channel::Webhook => {
                let webhook = settings.webhook.as_ref()?;
                webhook::send(settings, webhook, message, now).await
            }
            Channel::Email => {
                let email = settings.email.as_ref()?;
                email::send(settings, email, message, now).await
            }
        })
    }

    /// Tells what lasts again, and writes down what was sent.
    pub(super) async fn keep(&self) {
        let mut minutes = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = self.0.stopping.cancelled() => return,
                _ = minutes.tick() => {
                    let limits = self.0.settings.load().limits();
                    let mut board = self.board();
                    for step in board.tick(self.0.clock.now(), limits) {
                        self.act(&mut board, step);
                    }
                }
                () = self.0.changed.notified() => {
                    tokio::time::sleep(GATHER).await;
                    self.write().await;
                }
            }
        }
    }

    pub(super) async fn write(&self) {
        let Some(store) = self.0.store.clone() else {
            return;
        };
        let sent = self.board().sent();
        // errors are logged there; should the task die, the next change tries again
        let _done = tokio::task::spawn_blocking(move || store.write(&sent)).await;
    }
}

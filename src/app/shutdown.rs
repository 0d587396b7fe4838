//! The stages of stopping, in order, each with its budget.

use std::pin::pin;
use std::time::Duration;

use super::admin::Admin;
use super::reload::Trigger;
use super::signals::{Asked, Signals};
use super::{Ended, Running, manager};
use crate::alerts::Alerts;
use crate::journal::{Health, Journal};
use crate::receipts::Receipts;
use crate::redrive::Redrive;

/// How long the last receipts may take to be written.
const RECEIPTS_BUDGET: Duration = Duration::from_secs(2);
/// How long it may take to write down what was noticed about tokens.
const WATCH_BUDGET: Duration = Duration::from_secs(1);
/// How long the last alerts may take to be sent.
const ALERTS_BUDGET: Duration = Duration::from_secs(3);
/// How long changes of the operator that are under way may take to end.
const CHANGES_BUDGET: Duration = Duration::from_secs(5);
/// The same for each of them at the second signal.
const HURRIED_BUDGET: Duration = Duration::from_millis(500);

impl Running {
    /// Runs until `signals` says stop, or the journal is poisoned.
    pub async fn run_until(mut self, mut signals: Signals) -> Ended {
        let (journal, lanes) = (self.journal.clone(), self.lanes.clone());
        let last = self.last();
        let mut poisoned = pin!(journal.poisoned());
        manager::ready(self.reloader.generation());
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop(name) => {
                        tracing::info!(signal = name, "stopping");
                        break;
                    }
                    Asked::Reload => {
                        // beside this loop: a file that cannot be read must not delay a stop
                        let reloader = self.reloader.clone();
                        while self.chores.try_join_next().is_some() {}
                        manager::reloading();
                        self.chores.spawn(async move {
                            // whether it was refused is logged and noted there
                            match reloader.reload(Trigger::Signal).await {
                                Ok(report) => manager::ready(report.generation),
                                Err(error) => manager::kept(error.code()),
                            }
                        });
                    }
                },
                () = poisoned.as_mut() => {
                    tracing::error!("stopping, since the journal takes nothing more; restart the gateway");
                    break;
                }
            }
        }
        manager::stopping();
        tokio::select! {
            ended = self.stop() => ended,
            // everything acknowledged is on disk already; the next start sends what is left
            name = signals.stop() => {
                tracing::warn!(signal = name, "stopping at once, at the second signal");
                lanes.stop_leasing();
                last.end([HURRIED_BUDGET; 3]).await;
                tracing::info!(journal.records = journal.depth().records, "stopped");
                ended(&journal)
            }
        }
    }

    fn last(&self) -> Last {
        Last {
            admin: self.admin.clone(),
            redrive: self.redrive.clone(),
            alerts: self.alerts.clone(),
            receipts: self.receipts.clone(),
            journal: self.journal.clone(),
        }
    }

    /// Stops in order; each stage has its budget. What is not sent stays in the journal.
    pub async fn stop(mut self) -> Ended {
        let budget = self.reloader.now().config.shutdown.clone();
        // 1. the balancer sees it and sends no more; clients are asked to connect anew
        self.admin.stopping();
        self.ingest_serving.leave();
        tokio::time::sleep(budget.grace.get()).await;
        // 2. the door closes, requests in flight are answered
        if !self.ingest_serving.stop(budget.requests.get()).await {
            tracing::warn!("requests were cut short, since shutdown.requests is over");
        }
        // 3. no lease is taken any more, sends in flight are settled
        if !self.lanes.stop(budget.sends.get()).await {
            tracing::warn!(
                journal.leased = self.journal.depth().leased,
                "batches were left unsettled, since shutdown.sends is over; they will be sent again"
            );
        }
        // 4. all that has files ends, the journal last
        self.chores.abort_all();
        let (watch, end) = &mut self.watch;
        end.cancel();
        if tokio::time::timeout(WATCH_BUDGET, watch.join_next())
            .await
            .is_err()
        {
            tracing::warn!("what was noticed about tokens last was not written in time");
        }
        let budgets = [CHANGES_BUDGET, ALERTS_BUDGET, RECEIPTS_BUDGET];
        self.last().end(budgets).await;
        let left = self.journal.depth().records;
        // 5. the admin listener goes last, so that the end can be watched
        self.admin_serving.stop(Duration::from_secs(1)).await;
        tracing::info!(journal.records = left, "stopped");
        ended(&self.journal)
    }
}

/// What a stop ends last.
struct Last {
    admin: Admin,
    redrive: Redrive,
    alerts: Alerts,
    receipts: Receipts,
    journal: Journal,
}

impl Last {
    /// Ends all that writes below the journal's directory, and then the journal: with its lock
    /// another process may have them all. What is not done within its budget is left; receipts
    /// that are noted later are lost, and counted as such.
    async fn end(self, [changes, alerts, receipts]: [Duration; 3]) {
        let end = async {
            self.redrive.stop().await;
            self.admin.end_changes().await;
        };
        if tokio::time::timeout(changes, end).await.is_err() {
            tracing::warn!("a change that was asked for by the admin api is not at its end");
        }
        if !self.alerts.stop(alerts).await {
            tracing::warn!(
                "the last alerts were not sent in time; they are raised again after the start if they still hold"
            );
        }
        let files = self.receipts;
        let close = tokio::task::spawn_blocking(move || files.close(receipts));
        if !close.await.unwrap_or(false) {
            tracing::warn!("the last receipts were not written in time");
        }
        // the last group commit and the settle log
        self.journal.close().await;
    }
}

/// Asked after closing, since the last sync may be the one that fails.
fn ended(journal: &Journal) -> Ended {
    match journal.health() {
        Health::Poisoned => Ended::Poisoned,
        Health::Ok | Health::Full(_) => Ended::Clean,
    }
}

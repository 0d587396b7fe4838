//! The admin API without a gateway: for looking at a journal's directory, and mending it, while
//! nothing else has it open. Nothing is sent.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;

use super::admin::{Admin, Rooms, Settings};
use super::reload::InForce;
use super::{stores, wiring};
use crate::attempts::Attempts;
use crate::config::{AdminKey, Config, Role, Secrets};
use crate::duplicates::Duplicates;
use crate::issues::Issues;
use crate::journal::dead::DeadLetters;
use crate::journal::{self, Journal, OpenError, RealDisk};
use crate::receipts::Receipts;
use crate::redrive::Redrive;
use crate::secret::Secret;
use crate::tail::Tail;
use crate::telemetry::metrics::Metrics;
use crate::test_mode::TestMode;
use crate::time::Clock;
use crate::tokens::Contents;
use crate::traffic::Traffic;

/// A journal's directory that is open in this process.
pub struct Offline {
    journal: Journal,
    redrive: Redrive,
    router: Router,
    key: Secret,
}

impl Offline {
    /// Takes the journal's lock. Blocks.
    pub fn open(config: Config) -> anyhow::Result<Self> {
        let dir = config.journal.dir.clone();
        if !dir.is_dir() {
            anyhow::bail!(
                "there is no journal in {}: name the gateway's configuration with --config",
                dir.display()
            );
        }
        let (clock, metrics, disk) = (Clock::Real, Metrics::new()?, Arc::new(RealDisk));
        let settings = journal::Settings {
            // whoever has it open is told, not waited for
            lock_wait: Duration::ZERO,
            ..wiring::journal(&config)
        };
        let journal = match Journal::open(settings, disk.clone(), clock.clone(), &metrics) {
            Err(OpenError::Locked) => anyhow::bail!(
                "a gateway has the journal in {} open: leave out --offline to ask it, or stop it first",
                dir.display()
            ),
            opened => opened.with_context(|| format!("the journal in {}", dir.display()))?,
        };
        let dead_settings = wiring::dead(&config.journal);
        let dead = DeadLetters::open(dir, dead_settings, disk.clone(), clock.clone(), &metrics)
            .context("the dead letters cannot be opened")?;
        let dead = Arc::new(dead);
        let settings = wiring::duplicates(&config);
        let duplicates = Duplicates::open(settings, disk, clock.clone(), &metrics);
        stores::remember(&journal, &duplicates, &clock, &mut HashSet::new())
            .context("the journal cannot be read through")?;
        let redrive = Redrive::new(
            Arc::clone(&dead),
            journal.clone(),
            duplicates,
            clock.clone(),
            metrics.clone(),
        );
        let key = Secret::new(uuid::Uuid::new_v4().to_string());
        let known = AdminKey {
            name: "offline".to_owned(),
            role: Role::Admin,
            digest: key.digest(),
        };
        let secrets = Secrets {
            admin: vec![known],
            ..Secrets::default()
        };
        let test_mode = TestMode::open(
            &config.journal.dir,
            wiring::test_mode(&config),
            false,
            clock.clone(),
            metrics.clone(),
        );
        let traffic = Traffic::new(config.pixels.keys().copied(), clock.clone());
        let issues = Issues::open(&config.journal.dir, clock.clone());
        let rooms = Rooms {
            settings: Settings::Fixed(Arc::new(InForce {
                config,
                secrets,
                held: super::vault::Held {
                    vault: None,
                    contents: Contents::default(),
                    unread: None,
                },
            })),
            metrics,
            journal: journal.clone(),
            dead,
            redrive: redrive.clone(),
            receipts: Receipts::off(),
            test_mode,
            traffic,
            ingest: None,
            issues,
            tail: Tail::default(),
            attempts: Attempts::default(),
            meta: None,
            clock,
        };
        Ok(Self {
            router: Admin::new(rooms).router(),
            journal,
            redrive,
            key,
        })
    }

    /// The routes of the admin API.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The key that the routes ask for.
    pub fn key(&self) -> Secret {
        self.key.clone()
    }

    /// Makes everything durable and gives the lock back.
    pub async fn close(self) {
        self.redrive.stop().await;
        self.journal.close().await;
    }
}

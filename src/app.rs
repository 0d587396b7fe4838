//! Builds every room from the configuration, starts them, and stops them in order.
//!
//! [`App::build`] opens and binds everything and may fail; [`App::start`] cannot. Port 0 takes a
//! free port, so that tests can run many gateways in one process.

pub mod admin;
pub mod export;
mod keeper;
pub mod letters;
pub mod linting;
pub mod logging;
mod manager;
pub mod offline;
pub mod production;
pub mod reload;
pub mod roster;
mod shutdown;
pub mod signals;
pub mod sockets;
mod stores;
mod vault;
mod watch;
pub(crate) mod wiring;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::alerts::Alerts;
use crate::attempts::Attempts;
use crate::config::{self, Config, ConfigErrors, Layers, Secrets};
use crate::custody::watch::Tools as Watching;
use crate::duplicates::Duplicates;
use crate::graph::GraphClient;
use crate::graph::oauth::OauthClient;
use crate::ingest::listener::{Listener, Serving, Settings, Socket};
use crate::ingest::{self, Ingest};
use crate::issues::Issues;
use crate::journal::Journal;
use crate::journal::dead::DeadLetters;
use crate::journal::segment::disk::{Disk, RealDisk};
use crate::lanes::by_hand::ByHand;
use crate::lanes::{Lanes, Tools};
use crate::receipts::Receipts;
use crate::redrive::Redrive;
use crate::tail::Tail;
use crate::telemetry::metrics::Metrics;
use crate::test_mode::TestMode;
use crate::time::Clock;
use crate::tokens::{Notes, Tokens};
use crate::traffic::Traffic;

use admin::Admin;
use logging::LogFilter;
use reload::{InForce, Reloader};
use sockets::Sockets;
use stores::Stores;

/// What a gateway is built from.
pub struct Plan {
    /// The configuration it starts with.
    pub config: Config,
    /// The secrets that the configuration points to.
    pub secrets: Secrets,
    /// Where both are read again; without it, nothing can be reloaded.
    pub layers: Option<Layers>,
    /// What `telemetry.log_level` moves.
    pub log: Option<LogFilter>,
    /// Sockets that are bound already.
    pub sockets: Sockets,
    /// What time it is.
    pub clock: Clock,
    /// Where the journal is written.
    pub disk: Arc<dyn Disk>,
    /// What it is for.
    pub profile: Profile,
}

/// What a gateway is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Trying out, and all else that is not said.
    #[default]
    Development,
    /// Real events: no test code is taken, whoever sets it.
    Production,
}

/// How long a connection to the admin address may be open before its first request's head is whole;
/// short, since connections that say nothing must not keep a health check out for long.
const ADMIN_HEAD: Duration = Duration::from_secs(5);
/// How long it may be silent after a request.
const ADMIN_IDLE: Duration = Duration::from_secs(10);
/// What was told of alerts, below `journal.dir`.
const ALERTS_FILE: &str = "alerts.json";

/// A gateway that is built but takes nothing yet.
pub struct App {
    reloader: Reloader,
    metrics: Metrics,
    journal: Journal,
    duplicates: Duplicates,
    receipts: Receipts,
    tools: Tools,
    redrive: Redrive,
    alerts: Alerts,
    test_mode: TestMode,
    oauth: OauthClient,
    admin: Admin,
    ingest_listener: Listener<Ingest>,
    admin_listener: Listener<axum::Router>,
}

/// A running gateway.
pub struct Running {
    reloader: Reloader,
    metrics: Metrics,
    journal: Journal,
    duplicates: Duplicates,
    receipts: Receipts,
    lanes: Lanes,
    redrive: Redrive,
    alerts: Alerts,
    /// Ends with this value.
    chores: JoinSet<()>,
    /// The watch over tokens, and what ends it.
    watch: (JoinSet<()>, CancellationToken),
    admin: Admin,
    ingest_serving: Serving,
    admin_serving: Serving,
}

/// How a gateway ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In order. What was not sent is in the journal.
    Clean,
    /// The journal was poisoned by a failed write or sync: the next start finds out what is on
    /// disk.
    Poisoned,
}

impl App {
    /// Reads secrets, recovers the journal, and binds both listeners.
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        Self::build_with(
            config,
            clock,
            &|name| std::env::var(name).ok(),
            Arc::new(RealDisk),
        )
        .await
    }

    /// As [`App::build`], with the environment that secrets are read from, and the disk, given.
    pub async fn build_with(
        config: Config,
        clock: Clock,
        env: &(dyn Fn(&str) -> Option<String> + Sync),
        disk: Arc<dyn Disk>,
    ) -> anyhow::Result<Self> {
        let secrets = config.secrets(env)?;
        Self::build_from(Plan {
            config,
            secrets,
            layers: None,
            log: None,
            sockets: Sockets::default(),
            clock,
            disk,
            profile: Profile::Development,
        })
        .await
    }

    /// Recovers the journal, and binds both listeners.
    pub async fn build_from(plan: Plan) -> anyhow::Result<Self> {
        let Plan {
            config,
            secrets,
            layers,
            log,
            sockets,
            clock,
            disk,
            profile,
        } = plan;
        let files = layers.as_ref().map_or(&[][..], |layers| &layers.files);
        production::look(&config, files, profile, clock.now())?;
        let metrics = Metrics::new()?;
        metrics.expect_pixels(config.pixels.keys().map(ToString::to_string));
        let tls = config.listen.tls.as_ref().map(config::Tls::server_config);
        let tls = tls.transpose().map_err(|faults| ConfigErrors { faults })?;
        let tls = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
        let graph = GraphClient::new(wiring::graph(&config)?, clock.clone())?;
        let held = {
            let (config, secrets) = (config.clone(), secrets.clone());
            let read = move || vault::Held::read_at_start(&config, &secrets);
            tokio::task::spawn_blocking(read).await?
        };
        let credentials = wiring::credentials(&config, &secrets, &held.contents);
        let tokens = Tokens::new(credentials);
        let oauth = OauthClient::new(wiring::oauth(&config)?, clock.clone())?;
        for warning in vault::warnings(&config, &held.contents) {
            tracing::warn!("{warning}");
        }
        let sources = wiring::sources(&config, &secrets);

        let stores = {
            let (config, clock, metrics) = (config.clone(), clock.clone(), metrics.clone());
            let open = move || Stores::open(&config, &disk, &clock, &metrics);
            tokio::task::spawn_blocking(open).await??
        };
        let Stores {
            journal,
            dead,
            intents,
            receipts,
            duplicates,
        } = stores;
        let alerts = {
            let settings = wiring::alerts(&config.alerts, &secrets.alerts);
            // with the journal's lock, no other process has it
            let file = config.journal.dir.join(ALERTS_FILE);
            let (clock, metrics) = (clock.clone(), metrics.clone());
            let open = move || Alerts::new(settings, Some(file), clock, metrics);
            tokio::task::spawn_blocking(open).await?
        };

        let test_mode = {
            let (dir, configured) = (config.journal.dir.clone(), wiring::test_mode(&config));
            let (clock, metrics) = (clock.clone(), metrics.clone());
            let is_production = profile == Profile::Production;
            let open = move || TestMode::open(&dir, configured, is_production, clock, metrics);
            tokio::task::spawn_blocking(open).await?
        };
        let traffic = Traffic::new(config.pixels.keys().copied(), clock.clone());
        let (tail, attempts) = (Tail::default(), Attempts::default());
        let issues = {
            let (dir, clock) = (config.journal.dir.clone(), clock.clone());
            tokio::task::spawn_blocking(move || Issues::open(&dir, clock)).await?
        };
        let by_hand = {
            let (dir, clock) = (config.journal.dir.clone(), clock.clone());
            tokio::task::spawn_blocking(move || ByHand::open(&dir, clock)).await?
        };
        let ingest = Ingest::new(
            wiring::ingest(&config.ingest),
            sources,
            ingest::Tools {
                journal: journal.clone(),
                duplicates: duplicates.clone(),
                receipts: receipts.clone(),
                test_mode: test_mode.clone(),
                traffic: traffic.clone(),
                issues: issues.clone(),
                tail: tail.clone(),
                clock: clock.clone(),
                metrics: metrics.clone(),
            },
        );
        let redrive = Redrive::new(
            Arc::clone(&dead),
            journal.clone(),
            duplicates.clone(),
            clock.clone(),
            metrics.clone(),
        );
        let reloader = Reloader::new(
            InForce {
                config: config.clone(),
                secrets,
                held,
            },
            layers,
            reload::Rooms {
                ingest: ingest.clone(),
                tokens: tokens.clone(),
                alerts: alerts.clone(),
                test_mode: test_mode.clone(),
                traffic: traffic.clone(),
                log,
                clock: clock.clone(),
                metrics: metrics.clone(),
            },
        );
        let admin = Admin::new(admin::Rooms {
            settings: admin::Settings::Live(reloader.clone()),
            metrics: metrics.clone(),
            journal: journal.clone(),
            dead: Arc::clone(&dead),
            redrive: redrive.clone(),
            receipts: receipts.clone(),
            test_mode: test_mode.clone(),
            traffic: traffic.clone(),
            ingest: Some(ingest.clone()),
            issues: issues.clone(),
            tail: tail.clone(),
            attempts: attempts.clone(),
            meta: Some(admin::Meta {
                client: oauth.clone(),
                tokens: tokens.clone(),
            }),
            clock: clock.clone(),
        });
        let listen = &config.listen;
        let open = |handed: Option<std::net::TcpListener>, addr, key| {
            let bind = || Socket::bind(addr, listen.reuse_port);
            let socket = handed.map_or_else(bind, Socket::adopt);
            socket.with_context(|| format!("{key}: {addr} cannot be bound"))
        };
        let ingest_listener = Listener::new(
            open(sockets.ingest, listen.ingest, "listen.ingest")?,
            tls,
            ingest.clone(),
            wiring::listener(&config.ingest),
            metrics.connections.clone(),
        );
        let admin_listener = Listener::new(
            open(sockets.admin, listen.admin, "listen.admin")?,
            None,
            admin.router(),
            Settings {
                max_connections: config.admin.max_connections as usize,
                header_timeout: ADMIN_HEAD,
                idle_timeout: ADMIN_IDLE,
            },
            wiring::uncounted(),
        );
        let tools = Tools {
            journal: journal.clone(),
            dead,
            intents,
            by_hand,
            receipts: receipts.clone(),
            duplicates: duplicates.clone(),
            traffic,
            issues,
            tail,
            attempts,
            graph,
            tokens,
            clock,
            metrics: metrics.clone(),
        };
        Ok(Self {
            reloader,
            metrics,
            journal,
            duplicates,
            receipts,
            tools,
            redrive,
            alerts,
            test_mode,
            oauth,
            admin,
            ingest_listener,
            admin_listener,
        })
    }

    /// Starts lanes first and the front door last, so that nothing is taken before it can go on.
    pub fn start(self) -> anyhow::Result<Running> {
        let dead = Arc::clone(&self.tools.dead);
        let mut chores = JoinSet::new();
        chores.spawn(housekeep(dead));
        chores.spawn(self.test_mode.clone().tell());
        chores.spawn(self.admin.clone().beat());
        chores.spawn(self.admin.clone().survey());
        self.alerts.start();
        let now = self.reloader.now();
        let watch = Watching {
            client: self.oauth,
            tokens: self.tools.tokens.clone(),
            alerts: self.alerts.clone(),
            clock: self.tools.clock.clone(),
            metrics: self.metrics.clone(),
            notes: Notes::path(&now.config.journal.dir),
        };
        let lanes = Lanes::start(wiring::lanes(&now.config.lanes), self.tools);
        let ended = CancellationToken::new();
        let mut watch_task = JoinSet::new();
        watch_task.spawn(keeper::run(
            watch,
            self.reloader.clone(),
            lanes.clone(),
            ended.clone(),
        ));
        self.admin.show_lanes(lanes.clone());
        self.reloader.steer(lanes.clone());
        let admin_serving = self.admin_listener.serve()?;
        let ingest_serving = self.ingest_listener.serve()?;
        if now.config.reload.watch {
            chores.spawn(watch::run(self.reloader.clone()));
        }
        self.admin.ready();
        tracing::info!(
            listen.ingest = %ingest_serving.addr(),
            listen.admin = %admin_serving.addr(),
            graph.url = %now.config.graph.url,
            graph.version = %now.config.graph.version,
            journal.records = self.metrics.journal_recovered.get(),
            "gateway is ready"
        );
        Ok(Running {
            reloader: self.reloader,
            metrics: self.metrics,
            journal: self.journal,
            duplicates: self.duplicates,
            receipts: self.receipts,
            lanes,
            redrive: self.redrive,
            alerts: self.alerts,
            chores,
            watch: (watch_task, ended),
            admin: self.admin,
            ingest_serving,
            admin_serving,
        })
    }
}

impl Running {
    /// Where events are taken.
    pub fn ingest_addr(&self) -> SocketAddr {
        self.ingest_serving.addr()
    }

    /// Where health and metrics are shown.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_serving.addr()
    }

    /// What this gateway counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where its events wait.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Which events it holds for duplicates.
    pub fn duplicates(&self) -> &Duplicates {
        &self.duplicates
    }

    /// What it knows about the end of events.
    pub fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// What puts its dead letters back.
    pub fn redrive(&self) -> &Redrive {
        &self.redrive
    }

    /// What tells people that something needs them.
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// What its lanes do.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Reloads the configuration.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }
}

/// Drops dead letters past their age, and keeps their metrics up to date.
async fn housekeep(dead: Arc<DeadLetters>) {
    let mut minutes = tokio::time::interval(Duration::from_mins(1));
    loop {
        minutes.tick().await;
        let dead = Arc::clone(&dead);
        // it does not panic; should it, the next minute tries again
        let _done = tokio::task::spawn_blocking(move || dead.housekeep()).await;
    }
}

//! From what the operator wrote to what each room asks for.

use std::collections::HashMap;

use anyhow::Context;
use governor::Quota;
use prometheus::IntGauge;

use super::roster;
use crate::config::sources::{EventIdRule, ExternalIdRule, SourceKind};
use crate::config::units::Rate;
use crate::config::{self, Config, Secrets};
use crate::event::policy::{Policy, PolicyRules};
use crate::event::{EventIdPolicy, ExternalId, Rules, subdomain_index};
use crate::ingest::Pages;
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::tokens::{Candidates, Contents, Credential};
use crate::{alerts, duplicates, graph, ingest, journal, lanes, receipts, test_mode};

pub(super) fn graph(config: &Config) -> anyhow::Result<graph::Settings> {
    let graph = &config.graph;
    Ok(graph::Settings {
        url: graph
            .url
            .as_str()
            .parse()
            .context("graph.url is not a URL")?,
        version: graph.version.to_string(),
        timeout: graph.timeout.get(),
        connect_timeout: graph.connect_timeout.get(),
        token_in: match graph.token_in {
            config::graph::TokenIn::Header => graph::TokenIn::Header,
            config::graph::TokenIn::Body => graph::TokenIn::Body,
        },
    })
}

/// How to reach Meta's login and token endpoints.
pub(super) fn oauth(config: &Config) -> anyhow::Result<graph::oauth::OauthSettings> {
    let settings = graph(config)?;
    let dialog_url = config.graph.dialog_url.as_str();
    Ok(graph::oauth::OauthSettings {
        graph_url: settings.url,
        dialog_url: dialog_url
            .parse()
            .context("graph.dialog_url is not a URL")?,
        version: settings.version,
        timeout: settings.timeout,
        connect_timeout: settings.connect_timeout,
    })
}

pub(super) fn journal(config: &Config) -> journal::Settings {
    let journal = &config.journal;
    journal::Settings {
        dir: journal.dir.clone(),
        segment_bytes: journal.segment_bytes.get(),
        max_pending: journal.max_pending.get(),
        max_bytes: journal.max_bytes.get(),
        max_lanes: journal.max_lanes as usize,
        max_lanes_per_pixel: journal.max_lanes_per_pixel as usize,
        settle_sync: journal.settle_sync.get(),
        lock_wait: journal.lock_wait.get(),
        weights: config.lanes.weights.iter().collect(),
    }
}

pub(super) fn receipts(config: &Config) -> Option<receipts::Settings> {
    let receipts = &config.receipts;
    receipts.enabled.then(|| receipts::Settings {
        dir: config.journal.dir.join("receipts"),
        keep: receipts.keep.get(),
        max_bytes: receipts.max_bytes.get(),
        by_keys: receipts.by_keys,
    })
}

pub(super) fn duplicates(config: &Config) -> duplicates::Settings {
    let duplicates = &config.duplicates;
    duplicates::Settings {
        dir: config.journal.dir.join("duplicates"),
        window: duplicates.window.get(),
        covers: match duplicates.events {
            config::duplicates::Covers::Messaging => duplicates::Covers::Messaging,
            config::duplicates::Covers::All => duplicates::Covers::All,
        },
        max_entries: duplicates.max_entries as usize,
    }
}

/// How alerts are sent.
pub(crate) fn alerts(config: &config::Alerts, secrets: &config::AlertSecrets) -> alerts::Settings {
    let host = host_name();
    let url = secrets.webhook_url.clone();
    let webhook = url.map(|url| alerts::webhook::Settings {
        url,
        secret: secrets.webhook_secret.clone(),
    });
    let login = config.email_username.clone();
    let login = login.zip(secrets.email_password.clone());
    let email = || {
        Some(alerts::email::Settings {
            host: config.email_host.clone()?,
            port: config.port(),
            tls: match config.email_tls {
                config::EmailTls::StartTls => alerts::email::Tls::StartTls,
                config::EmailTls::Tls => alerts::email::Tls::Wrapped,
                config::EmailTls::None => alerts::email::Tls::None,
            },
            login,
            from: config.email_from.as_ref()?.mailbox().clone(),
            to: (config.email_to.iter())
                .map(|to| to.mailbox().clone())
                .collect(),
            hello: host.clone(),
        })
    };
    alerts::Settings {
        repeat: config.repeat.get(),
        max_per_hour: config.max_per_hour as usize,
        give_up: config.give_up.get(),
        timeout: config.timeout.get(),
        roots: secrets.roots.clone(),
        webhook,
        email: (!config.email_to.is_empty()).then(email).flatten(),
        instance: (config.instance.clone())
            .or(host)
            .unwrap_or_else(|| "capigate".to_owned()),
    }
}

/// The name of this machine, if it is one that the DNS could know.
fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    let is_name = (1..=253).contains(&name.len()) && name.bytes().all(plain);
    is_name.then_some(name)
}

pub(super) fn dead(journal: &config::Journal) -> journal::dead::Settings {
    journal::dead::Settings {
        max_bytes: journal.dead_max_bytes.get(),
        max_age: journal.dead_max_age.get(),
    }
}

pub(super) fn lanes(lanes: &config::Lanes) -> lanes::Settings {
    lanes::Settings {
        linger: lanes.linger.get(),
        max_events: lanes.max_events as usize,
        max_bytes: lanes.max_bytes.get(),
        max_in_flight_batches: lanes.max_in_flight_batches as usize,
        max_in_flight_batches_per_pixel: lanes.max_in_flight_batches_per_pixel as usize,
        max_bisections_per_pixel: lanes.max_bisections_per_pixel as usize,
        rate: quota(lanes.rate, lanes.rate.each_second().get()),
        rate_per_pixel: quota(
            lanes.rate_per_pixel,
            lanes.rate_per_pixel.each_second().get(),
        ),
        backoff_min: lanes.backoff_min.get(),
        backoff_max: lanes.backoff_max.get(),
        throttle_min: lanes.throttle_min.get(),
        throttle_max: lanes.throttle_max.get(),
        probe_interval: lanes.probe_interval.get(),
        messaging_at_most_once: lanes.messaging == config::lanes::Messaging::AtMostOnce,
        idle: std::time::Duration::from_mins(1),
    }
}

pub(super) fn ingest(ingest: &config::Ingest) -> ingest::Settings {
    ingest::Settings {
        body_timeout: ingest.body_timeout.get(),
        max_body: ingest.max_body.as_usize(),
        max_in_flight: ingest.max_in_flight.as_usize(),
        max_events: ingest.max_events as usize,
        trusted_proxies: (ingest.trusted_proxies.iter())
            .map(|network| network.get())
            .collect(),
    }
}

pub(super) fn listener(ingest: &config::Ingest) -> ingest::listener::Settings {
    ingest::listener::Settings {
        max_connections: ingest.max_connections as usize,
        header_timeout: ingest.header_timeout.get(),
        idle_timeout: ingest.idle_timeout.get(),
    }
}

/// The tokens of each pixel, in the order in which they are tried: the one that the configuration
/// points to, or those of its slots in the vault.
pub(super) fn credentials(
    config: &Config,
    secrets: &Secrets,
    vault: &Contents,
) -> HashMap<PixelId, Candidates> {
    let candidates = |(id, own): (&PixelId, &config::PixelSecrets)| {
        let credential = |token: &Secret, known: Option<&String>| {
            let (app_id, app_secret) = roster::app_and_secret(config, own, vault, *id, known);
            Credential {
                token: token.clone(),
                app_secret,
                app_id: app_id.and_then(|id| id.parse().ok()),
            }
        };
        let candidates = match &own.token {
            Some(token) => vec![credential(token, None)],
            None => (vault.candidates(*id))
                .map(|(_, _, record)| credential(&record.secret, record.facts.app_id.as_ref()))
                .collect(),
        };
        (*id, candidates)
    };
    secrets.pixels.iter().map(candidates).collect()
}

pub(super) fn sources(config: &Config, secrets: &Secrets) -> ingest::Sources {
    let mut sources = Vec::with_capacity(config.sources.len());
    for (name, source) in &config.sources {
        let keys = secrets
            .keys
            .iter()
            .filter(|(_, owner)| *owner == name)
            .map(|(digest, _)| *digest)
            .collect();
        let rules = Rules {
            event_id: match source.event_id {
                EventIdRule::Derive => EventIdPolicy::Derive,
                EventIdRule::Random => EventIdPolicy::Random,
                EventIdRule::Leave => EventIdPolicy::Leave,
            },
            pii_firewall: source.pii_firewall,
            allow_user_data: source.allow_user_data.iter().cloned().collect(),
            default_country: source
                .default_country
                .map(config::sources::Country::letters),
            external_id: match source.external_id {
                ExternalIdRule::Hash => ExternalId::Hash,
                ExternalIdRule::Trim => ExternalId::Trim,
                ExternalIdRule::Raw => ExternalId::Raw,
            },
            subdomain_index: subdomain_index(source.cookie_domain.as_deref()),
            max_event_bytes: config.ingest.max_event_bytes.as_usize(),
        };
        let rate = quota(source.rate, source.burst(config.ingest.max_events));
        let mut own = ingest::Source::new(
            name.clone(),
            keys,
            source.pixels.clone(),
            source.strict,
            rules,
            rate,
        );
        own.policy = policy(&format!("sources.{name}.policy"), &source.policy);
        own.fan_out.clone_from(&source.fan_out);
        if source.kind == SourceKind::Browser {
            let each = source.rate_per_address;
            let each = quota(each, each.count().get());
            own.pages = Some(Pages::new(source.origins.iter().cloned().collect(), each));
        }
        sources.push(own);
    }
    let pixel = |(id, pixel): (&PixelId, &config::Pixel)| {
        let known = ingest::Pixel {
            strict: pixel.strict,
            policy: policy(&format!("pixels.{id}.policy"), &pixel.policy),
        };
        (*id, known)
    };
    ingest::Sources::new(sources, config.pixels.iter().map(pixel).collect())
}

fn policy(section: &str, policy: &config::Policy) -> Policy {
    let policy = policy.clone();
    let rules = PolicyRules {
        allow_events: policy.allow_events,
        block_events: policy.block_events,
        rename_events: policy.rename_events,
        allow_hosts: policy.allow_hosts,
        block_hosts: policy.block_hosts,
        crawlers: policy.crawlers,
        consent: policy.consent,
        limited_data_use: policy.limited_data_use,
        edits: policy.edits,
        sample: policy.sample,
    };
    Policy::new(section, rules)
}

pub(super) fn test_mode(config: &Config) -> test_mode::Configured {
    let code = |code: config::test_code::TestCode| test_mode::Code {
        code: code.code,
        until: code.until,
        mirror: code.mirror,
    };
    let pixels = config.pixels.iter();
    let sources = config.sources.iter().map(|(name, source)| {
        let rule = test_mode::SourceRule {
            pixels: source.pixels.clone(),
            code: source.test_code(name).map(code),
            takes_clients: source.allow_test_event_code,
        };
        (name.clone(), rule)
    });
    test_mode::Configured {
        pixels: pixels
            .map(|(id, pixel)| (*id, pixel.test_code(*id).map(code)))
            .collect(),
        sources: sources.collect(),
    }
}

/// The admin listener's connections are not of interest to anyone.
pub(super) fn uncounted() -> IntGauge {
    #[expect(clippy::expect_used, reason = "the name is a constant that is valid")]
    IntGauge::new("admin_connections", "not registered").expect("a valid name")
}

fn quota(rate: Rate, burst: u32) -> Quota {
    let burst = std::num::NonZeroU32::new(burst).unwrap_or(std::num::NonZeroU32::MIN);
    // the interval of a Rate is never zero, so there is always a quota
    Quota::with_period(rate.interval())
        .unwrap_or(Quota::per_second(rate.count()))
        .allow_burst(burst)
}

//! Ties the watch over tokens to the rest of the gateway.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::reload::Reloader;
use super::roster;
use crate::custody::watch::{Hooks, Roster, Tools, Waiting, Watch};
use crate::lanes::Lanes;
use crate::lanes::snapshot::{BY_HAND, HELD, HoldSnapshot, Seen};

/// What a person holds is told when the first of its events expires before this.
const NEAR_EXPIRY: Duration = Duration::from_hours(48);

/// Watches until `ended`.
pub(super) async fn run(tools: Tools, reloader: Reloader, lanes: Lanes, ended: CancellationToken) {
    let hooks = hooks(reloader, lanes);
    let open = tokio::task::spawn_blocking(move || Watch::new(tools, hooks));
    if let Ok(watch) = open.await {
        watch.run(ended).await;
    } else {
        tracing::error!("tokens are not watched, since their notes could not be read");
    }
}

fn hooks(reloader: Reloader, lanes: Lanes) -> Hooks {
    let now = reloader.clone();
    Hooks {
        roster: Box::new(move || {
            let now = now.now();
            Roster {
                kept: roster::of(&now.config, &now.secrets, &now.held.contents),
                pixels: now.config.pixels.keys().copied().collect(),
                vault: now.held.vault.clone(),
                unread: now.held.unread.clone(),
                policy: roster::policy(&now.config),
            }
        }),
        reload: Box::new(move || {
            let reloader = reloader.clone();
            Box::pin(async move { reloader.reload_vault().await })
        }),
        waiting: Arc::new(move || {
            let holds = lanes.holds().into_iter();
            holds.filter(is_trouble).map(waiting).collect()
        }),
    }
}

/// Who holds a pixel by hand knows, but perhaps not that its events are about to be too old.
fn is_trouble(hold: &HoldSnapshot) -> bool {
    let left = hold.first_expiry.map(Duration::from_secs);
    match hold.state {
        HELD => true,
        BY_HAND => left.is_some_and(|left| left < NEAR_EXPIRY),
        _ => false,
    }
}

fn waiting(hold: HoldSnapshot) -> Waiting {
    Waiting {
        id: hold.id,
        cause: hold.cause,
        advice: hold.advice,
        graph: hold.graph.as_ref().map(Seen::codes),
        pixels: hold.pixels,
        events: hold.waiting,
        lasts: Duration::from_secs(hold.seconds),
        first_expiry: hold.first_expiry.map(Duration::from_secs),
    }
}

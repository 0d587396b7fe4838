//! What goes to an OpenTelemetry collector, where the program was built with that.

#[cfg(feature = "otlp")]
mod otlp;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::config::Telemetry;

/// Traces and logs on their way to a collector, if `telemetry.otlp_url` names one.
#[derive(Debug)]
pub struct Export {
    #[cfg(feature = "otlp")]
    otlp: Option<otlp::Otlp>,
}

#[cfg(feature = "otlp")]
impl Export {
    pub(super) fn new(telemetry: &Telemetry) -> anyhow::Result<Self> {
        let otlp = telemetry.otlp_url.as_ref().map(otlp::Otlp::new);
        Ok(Self {
            otlp: otlp.transpose()?,
        })
    }

    pub(super) fn is_on(&self) -> bool {
        self.otlp.is_some()
    }

    pub(super) fn layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        self.otlp.as_ref().map(otlp::Otlp::layer)
    }

    /// Sends what waits, for a few seconds at most.
    pub async fn end(self) {
        if let Some(otlp) = self.otlp {
            otlp.end().await;
        }
    }
}

#[cfg(not(feature = "otlp"))]
#[allow(
    clippy::unused_self,
    clippy::unused_async,
    reason = "as with the feature"
)]
impl Export {
    pub(super) fn new(telemetry: &Telemetry) -> anyhow::Result<Self> {
        anyhow::ensure!(
            telemetry.otlp_url.is_none(),
            "telemetry.otlp_url is set, and this program was built without OTLP: build it with --features otlp, or take the key out"
        );
        Ok(Self {})
    }

    pub(super) fn is_on(&self) -> bool {
        false
    }

    pub(super) fn layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        None
    }

    /// Nothing waits.
    pub async fn end(self) {}
}

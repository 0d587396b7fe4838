//! OTLP over HTTP: traces from the spans of [`SPANS`], logs from the lines of the log.
//!
//! **Promises.** What is sent has the fields of those spans and lines, and no others. Nothing waits
//! for the collector: at most [`MAX_QUEUED`] spans and as many lines are kept for one that is slow or
//! gone, and newer ones are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{LogExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{self, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::trace::{self, BatchSpanProcessor, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::config::graph::BaseUrl;
use crate::telemetry::SPANS;

/// Spans, and lines, that wait for the collector.
const MAX_QUEUED: usize = 4096;
/// Spans, or lines, that go with one request.
const MAX_BATCH: usize = 512;
/// How often what waits is sent.
const EVERY: Duration = Duration::from_secs(1);
/// Time that the collector has for a request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Time for what waits at the end, of traces and of logs.
const END: Duration = Duration::from_secs(2);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;

/// The two ways to the collector.
#[derive(Debug)]
pub(super) struct Otlp {
    traces: SdkTracerProvider,
    logs: SdkLoggerProvider,
}

impl Otlp {
    pub(super) fn new(url: &BaseUrl) -> anyhow::Result<Self> {
        let client: Arc<dyn HttpClient> = Arc::new(Client::new()?);
        let resource = Resource::builder()
            .with_service_name("capigate")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let spans = SpanExporter::builder()
            .with_http()
            .with_shared_http_client(Arc::clone(&client))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{url}/v1/traces"))
            .with_timeout(TIMEOUT)
            .build()
            .context("telemetry.otlp_url")?;
        let limits = trace::BatchConfigBuilder::default()
            .with_max_queue_size(MAX_QUEUED)
            .with_max_export_batch_size(MAX_BATCH)
            .with_scheduled_delay(EVERY)
            .build();
        let spans = BatchSpanProcessor::builder(spans).with_batch_config(limits);
        let traces = SdkTracerProvider::builder()
            .with_span_processor(spans.build())
            .with_resource(resource.clone());
        let lines = LogExporter::builder()
            .with_http()
            .with_shared_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{url}/v1/logs"))
            .with_timeout(TIMEOUT)
            .build()
            .context("telemetry.otlp_url")?;
        let limits = logs::BatchConfigBuilder::default()
            .with_max_queue_size(MAX_QUEUED)
            .with_max_export_batch_size(MAX_BATCH)
            .with_scheduled_delay(EVERY)
            .build();
        let lines = BatchLogProcessor::builder(lines).with_batch_config(limits);
        let logs = SdkLoggerProvider::builder()
            .with_log_processor(lines.build())
            .with_resource(resource);
        Ok(Self {
            traces: traces.build(),
            logs: logs.build(),
        })
    }

    /// What turns spans and lines into what is sent. Lines of libraries stay here: those of the
    /// client that speaks to the collector would have no end.
    pub(super) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.traces.tracer("capigate"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|seen| seen.is_span() && seen.target() == SPANS));
        let is_ours = |target: &str| target.split("::").next() == Some("capigate");
        let lines =
            OpenTelemetryTracingBridge::new(&self.logs).with_filter(filter_fn(move |seen| {
                seen.is_event() && is_ours(seen.target())
            }));
        spans.and_then(lines).boxed()
    }

    pub(super) async fn end(self) {
        let send = move || {
            // whether it went well is told by the client
            let _ = self.traces.shutdown_with_timeout(END);
            let _ = self.logs.shutdown_with_timeout(END);
        };
        // a panic in there has been told, too
        let _ = tokio::task::spawn_blocking(send).await;
    }
}

/// Speaks to the collector from the runtime, on behalf of the threads that collect.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    has_failed: AtomicBool,
}

impl Client {
    fn new() -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("the client for the collector cannot be made")?;
        Ok(Self {
            http,
            runtime: Handle::try_current()?,
            has_failed: AtomicBool::new(false),
        })
    }

    /// Tells once that it fails, and once that it works again.
    fn tell(&self, trouble: Option<&str>) {
        let had = self.has_failed.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(trouble) if !had => {
                tracing::warn!(
                    trouble,
                    "the collector takes no traces and logs, and what it does not take is dropped; events are not touched. See telemetry.otlp_url"
                );
            }
            None if had => tracing::info!("the collector takes traces and logs again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        let asked = self.runtime.spawn(async move {
            let mut answer = http.execute(request).await?;
            let mut body = Vec::new();
            while let Some(piece) = answer.chunk().await? {
                if body.len() + piece.len() > MAX_ANSWER {
                    break;
                }
                body.extend_from_slice(&piece);
            }
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            Ok::<_, reqwest::Error>(response)
        });
        match asked.await? {
            Ok(response) => {
                let status = response.status();
                let trouble = (!status.is_success()).then(|| format!("status {status}"));
                self.tell(trouble.as_deref());
                Ok(response)
            }
            Err(error) => {
                let error = error.without_url();
                self.tell(Some(&error.to_string()));
                Err(error.into())
            }
        }
    }
}

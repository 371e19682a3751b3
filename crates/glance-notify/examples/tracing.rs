//! Attaches the trace of the current span, from `tracing` and OpenTelemetry, to a notification.
//!
//! ```sh
//! cargo run -p glance-notify --features rabbit --example tracing -- amqp://guest:guest@localhost
//! ```
//!
//! The message has the headers `traceparent` and `glance-notify-request-id`. A consumer that knows
//! OpenTelemetry continues the trace. A real service sends its spans somewhere: add an exporter to the
//! tracer provider.

#![expect(clippy::print_stdout, reason = "the program shows what happens")]

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use glance_notify::codec::Context;
use glance_notify::config::Layers;
use glance_notify::{Event, Payload};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: tracing URL")?;
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("image-service"));
    tracing_subscriber::registry().with(layer).init();

    let config =
        Layers::new().set("strategy=rabbit")?.set(&format!("rabbit.url={url}"))?.build()?;
    let (notifier, worker) = glance_notify::start(&config)?;
    let worker = tokio::spawn(worker.run());

    // A web framework starts this span for each request.
    let request = tracing::info_span!("DELETE /v2/images/{id}");
    let event = Event::ImageDelete(Payload::Warn("deleted by hand".into()));
    let context = request.in_scope(|| current_context("req-1"));
    notifier.send_with(&event, &context).await?;
    println!("delivered in the trace {}", context.traceparent().unwrap_or("none"));

    notifier.shutdown(Duration::from_secs(10)).await;
    worker.await?;
    Ok(())
}

/// Returns the context of the current span and of a request.
fn current_context(request_id: &str) -> Context {
    let mut headers = HashMap::new();
    let span = tracing::Span::current().context();
    TraceContextPropagator::new().inject_context(&span, &mut headers);
    let mut header = |name: &str| headers.remove(name).unwrap_or_default();
    Context::builder()
        .traceparent(header("traceparent"))
        .tracestate(header("tracestate"))
        .request_id(request_id)
        .build_valid()
}

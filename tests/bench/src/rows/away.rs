//! What a broker that does not answer does to the service that emits.

use std::time::{Duration, Instant};

use anyhow::Result;
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::ports::free_port;

use super::Bench;
use super::brokers::{quantile, rabbit_config};
use crate::contenders::ours;
use crate::contest::Contender;
use crate::samples;
use crate::table::{Row, Want};
use crate::task::Task;

impl Bench {
    pub(super) fn away(&mut self) -> Result<()> {
        let queue = format!("queue = {{ max_messages = 1_000_000, max_bytes = {BOUND} }}");
        let config = format!("{}\n{queue}", rabbit_config(free_port()));
        let task = Task { config, ..self.task(1_000_000) };
        let contenders = [Contender::rust("a million while the broker is away", "away", task)];
        let contested = self.contest("a broker that is away", &contenders, || {})?;
        let mebibytes = |bytes: f64| bytes / 1024.0 / 1024.0;
        let grown = contested[0].each(|outcome| mebibytes(outcome.series[0]));
        let bound = vec![mebibytes(f64::from(BOUND)); grown.len()];
        let name = "memory while the broker is away / the queue's bound";
        self.rows.push(Row::beside(name, "MiB", &grown, &bound, Want::RatioAtMost(1.2)));

        let name = "emit while the broker is frozen, p99.99";
        let rounds: Vec<_> = (0..self.rounds).map(|_| self.frozen()).collect();
        self.rows.push(Row::alone(name, "us", &rounds, Want::OursAtMost(250.0)));
        Ok(())
    }

    /// What all but one in ten thousand calls of `emit` take at most, in microseconds. Every one of
    /// them is queued.
    fn frozen(&self) -> f64 {
        let broker = RabbitMq::start();
        let config = format!(
            "{}\nqueue = {{ max_messages = 1_000_000, max_bytes = 1_000_000_000 }}",
            rabbit_config(broker.port())
        );
        let (notifier, worker) = ours::start(&Task { config, ..self.task(0) });
        let worker = worker.spawn_thread().expect("a thread");
        let events = samples::events();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(ours::emit_all(&notifier, &events, 100));
        broker.freeze();
        let mut took = Vec::with_capacity(EMITTED);
        for event in events.iter().cycle().take(EMITTED) {
            let start = Instant::now();
            drop(notifier.emit(event));
            took.push(start.elapsed().as_secs_f64());
        }
        broker.thaw();
        runtime.block_on(notifier.shutdown(Duration::ZERO));
        worker.join().expect("the worker to end");
        quantile(&took, 0.9999)
    }
}

/// How much memory the queue may take, in bytes: its default.
const BOUND: u32 = 64 * 1024 * 1024;
const EMITTED: usize = 200_000;

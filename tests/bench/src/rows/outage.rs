//! The effects of an unreachable and of a frozen broker on the service that emits.

use std::time::{Duration, Instant};

use anyhow::Result;
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::ports::free_port;

use super::BenchRun;
use super::rabbitmq::rabbit_config;
use crate::candidate::Candidate;
use crate::candidates::ours;
use crate::samples;
use crate::statistics::quantile_micros;
use crate::table::{ResultRow, RowGoal};
use crate::task::BenchTask;

impl BenchRun {
    pub(super) fn outage(&mut self) -> Result<()> {
        let queue = format!("queue = {{ max_messages = 1_000_000, max_bytes = {QUEUE_BYTES} }}");
        let config = format!("{}\n{queue}", rabbit_config(free_port()));
        let task = BenchTask { config, ..self.task(1_000_000) };
        let candidates =
            [Candidate::rust("a million while the broker is unreachable", "unreachable", task)];
        let results = self.compare("an unreachable broker", &candidates, || {})?;
        let mebibytes = |bytes: f64| bytes / 1024.0 / 1024.0;
        let growth = results[0].per_round(|measurement| mebibytes(measurement.series[0]));
        let limit = vec![mebibytes(f64::from(QUEUE_BYTES)); growth.len()];
        let name = "memory while the broker is unreachable / the queue's limit";
        let goal = RowGoal::RatioAtMost(1.2);
        self.rows.push(ResultRow::with_peer(name, "MiB", &growth, &limit, goal));

        let name = "emit while the broker is frozen, p99.99";
        let rounds: Vec<_> = (0..self.rounds).map(|_| self.emit_to_a_frozen_broker()).collect();
        self.rows.push(ResultRow::alone(name, "us", &rounds, RowGoal::OursAtMost(250.0)));
        Ok(())
    }

    /// Emits to a frozen broker, into a queue with room for everything. Returns the 99.99th
    /// percentile of the time of one `emit`, in microseconds.
    fn emit_to_a_frozen_broker(&self) -> f64 {
        let broker = RabbitMq::start();
        let config = format!(
            "{}\nqueue = {{ max_messages = 1_000_000, max_bytes = 1_000_000_000 }}",
            rabbit_config(broker.port())
        );
        let (notifier, worker) = ours::start(&BenchTask { config, ..self.task(0) });
        let worker = worker.spawn_thread().expect("the system can start a thread");
        let events = samples::events();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the runtime starts");
        runtime.block_on(ours::emit_all(&notifier, &events, 100));
        broker.freeze();
        let mut times = Vec::with_capacity(FROZEN_EMITS);
        for event in events.iter().cycle().take(FROZEN_EMITS) {
            let start = Instant::now();
            drop(notifier.emit(event));
            times.push(start.elapsed().as_secs_f64());
        }
        broker.unfreeze();
        runtime.block_on(notifier.shutdown(Duration::ZERO));
        worker.join().expect("the worker does not panic");
        quantile_micros(&times, 0.9999)
    }
}

/// The most bytes of the queue: the library's default.
const QUEUE_BYTES: u32 = 64 * 1024 * 1024;
/// The number of notifications for the frozen broker.
const FROZEN_EMITS: usize = 200_000;

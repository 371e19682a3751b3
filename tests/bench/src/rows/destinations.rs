//! One event to three destinations: a log file, RabbitMQ, and a broker over AMQP 1.0 with a filter, which is
//! not required.
//!
//! The peers are the same program while that broker works, with the log file alone, and with RabbitMQ alone.

use std::time::{Duration, Instant};

use anyhow::Result;
use glance_notify::pipeline::DestinationAccount;
use glance_notify::{Config, Event};
use notify_testbed::broker::rabbitmq::RabbitMq;

use super::BenchRun;
use super::rabbitmq::purge_queues;
use crate::samples;
use crate::statistics::quantile_micros;
use crate::table::{ResultRow, RowGoal};
use crate::task::Clock;

/// The destinations of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destinations {
    LogAlone,
    RabbitAlone,
    ThreeHealthy,
    /// Three, of which the broker over AMQP 1.0 is frozen.
    ThreeWithFrozen,
}

/// The measurement of one run.
struct EmitRun {
    /// The 99.99th percentile of one `emit`, in microseconds.
    emit: f64,
    /// The processor time of the emitting thread for each `emit` in bursts, in nanoseconds.
    cpu: f64,
    /// The same for notifications one at a time, each of which wakes the workers.
    cpu_one_by_one: f64,
}

impl BenchRun {
    pub(super) fn destinations(&mut self) -> Result<()> {
        let amqp = RabbitMq::start();
        let amqp1 = RabbitMq::builder().plugin("rabbitmq_amqp1_0").start();
        let cases = [
            Destinations::LogAlone,
            Destinations::RabbitAlone,
            Destinations::ThreeHealthy,
            Destinations::ThreeWithFrozen,
        ];
        let mut runs = [(); 4].map(|()| Vec::new());
        for round in 0..self.rounds {
            // Each round starts with another case.
            for turn in 0..cases.len() {
                let index = (round + turn) % cases.len();
                purge_queues(&amqp);
                purge_queues(&amqp1);
                runs[index].push(self.emit_to(cases[index], &amqp, &amqp1)?);
            }
        }
        let column = |index: usize, of: fn(&EmitRun) -> f64| -> Vec<f64> {
            runs[index].iter().map(of).collect()
        };
        let emit = |run: &EmitRun| run.emit;
        self.rows.push(ResultRow::with_peer(
            "emit to three, one of them frozen / healthy, p99.99",
            "us",
            &column(3, emit),
            &column(2, emit),
            RowGoal::RatioAtMost(2.0),
        ));
        let cpu: fn(&EmitRun) -> f64 = |run| run.cpu;
        let one_by_one: fn(&EmitRun) -> f64 = |run| run.cpu_one_by_one;
        let rows = [
            ("emit to three / to the log alone", 2, 0, cpu),
            ("emit to three / to RabbitMQ alone", 2, 1, cpu),
            ("emit to three, one of them frozen / to RabbitMQ alone", 3, 1, cpu),
            ("one at a time: emit to three / to the log alone", 2, 0, one_by_one),
            ("one at a time: emit to three / to RabbitMQ alone", 2, 1, one_by_one),
        ];
        self.rows.extend(rows.map(|(name, ours, peer, of)| {
            let name = format!("{name}, CPU of the caller");
            let goal = RowGoal::RatioAtMost(1.4);
            ResultRow::with_peer(name, "ns", &column(ours, of), &column(peer, of), goal)
        }));
        Ok(())
    }

    /// Emits at two steady rates, as a busy service and a quiet one do, while the workers deliver.
    fn emit_to(
        &self,
        destinations: Destinations,
        amqp: &RabbitMq,
        amqp1: &RabbitMq,
    ) -> Result<EmitRun> {
        let directory = tempfile::tempdir_in(self.directory.path())?;
        let file = directory.path().join("n.log");
        let common = "publisher_id = 'image.host1'\n\
                      queue = { max_messages = 1_000_000, max_bytes = 4_000_000_000 }\n";
        let log = format!(
            "[[destination]]\nname = 'log'\nstrategy = 'log'\nlog.file = '{}'\n",
            file.display()
        );
        let rabbit = format!(
            "[[destination]]\nname = 'amqp'\nstrategy = 'rabbit'\n\
             rabbit.url = 'amqp://guest:guest@127.0.0.1:{}'\n",
            amqp.port()
        );
        let qpid = format!(
            "[[destination]]\nname = 'amqp1'\nstrategy = 'qpid'\nrequired = false\n\
             priorities = ['error']\nqpid.url = 'amqp://guest:guest@127.0.0.1:{}'\n",
            amqp1.port()
        );
        let destinations_text = match destinations {
            Destinations::LogAlone => log,
            Destinations::RabbitAlone => rabbit,
            Destinations::ThreeHealthy | Destinations::ThreeWithFrozen => log + &rabbit + &qpid,
        };
        let config: Config = format!("{common}{destinations_text}").parse()?;
        let (notifier, worker) = glance_notify::start(&config)?;
        let worker = worker.spawn_thread()?;
        let events = samples::events();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Every destination is connected, and its queue declared.
        for event in &events {
            drop(notifier.emit(event));
        }
        runtime.block_on(notifier.flush(TIMEOUT))?;
        while notifier.destinations().iter().any(|account| account.stats.pending.messages > 0) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let frozen = destinations == Destinations::ThreeWithFrozen;
        if frozen {
            amqp1.freeze();
        }
        let mut times = Vec::with_capacity(EMITS + EMITS_ONE_BY_ONE);
        let mut emit = |count: usize, burst: usize, pause: Duration| {
            let emits: Vec<&Event> = events.iter().cycle().take(count).collect();
            let mut cpu = 0.0;
            for burst in emits.chunks(burst) {
                let clock = Clock::start();
                for event in burst {
                    let start = Instant::now();
                    drop(notifier.emit(event));
                    times.push(start.elapsed().as_secs_f64());
                }
                cpu += clock.stop(burst.len()).emitter_cpu;
                std::thread::sleep(pause);
            }
            cpu / count as f64 * 1e9
        };
        let cpu = emit(EMITS, BURST, PAUSE);
        let cpu_one_by_one = emit(EMITS_ONE_BY_ONE, 1, PAUSE_BETWEEN_TWO);
        if frozen {
            amqp1.unfreeze();
        }
        runtime.block_on(notifier.shutdown(TIMEOUT));
        worker.join().expect("the worker does not panic");
        let accounts = notifier.destinations();
        let has_all = |it: &DestinationAccount| it.stats.delivered == it.stats.emitted;
        anyhow::ensure!(accounts.iter().all(has_all), "{destinations:?}: {accounts:?}");
        times.truncate(EMITS);
        Ok(EmitRun { emit: quantile_micros(&times, 0.9999), cpu, cpu_one_by_one })
    }
}

/// The number of notifications of one run.
const EMITS: usize = 100_000;
/// The notifications between two pauses.
const BURST: usize = 100;
/// The pause between two bursts: a rate of at most 10 000 notifications per second, which all brokers keep
/// up with.
const PAUSE: Duration = Duration::from_millis(10);
/// The number of notifications that come one at a time.
const EMITS_ONE_BY_ONE: usize = 2_000;
/// The pause after each of them, in which the workers become idle.
const PAUSE_BETWEEN_TWO: Duration = Duration::from_millis(2);
/// The longest wait for the destinations.
const TIMEOUT: Duration = Duration::from_secs(120);

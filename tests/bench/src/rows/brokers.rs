//! Confirmed delivery to a broker: rate, processor time, and the latency of one notification.
//!
//! The speed of a broker varies more than the speed of the candidates, so comparisons with a broker
//! run twice as many rounds.

use anyhow::Result;
use notify_testbed::broker::rabbitmq::RabbitMq;

use super::BenchRun;
use super::rabbitmq::{purge_queues, rabbit_config};
use crate::candidate::Candidate;
use crate::comparison::compare;
use crate::statistics::quantile_micros;
use crate::table::{ResultRow, RowGoal};
use crate::task::{BenchTask, Measurement};

impl BenchRun {
    pub(super) fn rabbit(&mut self) -> Result<()> {
        let broker = RabbitMq::start();
        let task = |messages| BenchTask { port: broker.port(), ..self.task(messages) };
        let ours = |messages| BenchTask { config: rabbit_config(broker.port()), ..task(messages) };
        // The strategy declares the queues for all candidates.
        Candidate::rust("declaring", "deliver", ours(320)).prepare()?;
        let candidates = [
            Candidate::rust("notifier to rabbit", "deliver", ours(RABBIT_MESSAGES)),
            Candidate::rust(
                "lapin, in bursts",
                "lapin-bursts",
                BenchTask { burst: 64, window: 1024, ..task(RABBIT_MESSAGES) },
            ),
            Candidate::rust(
                "lapin, rolling window",
                "lapin-rolling",
                BenchTask { window: 4096, ..task(RABBIT_MESSAGES) },
            ),
            Candidate::librabbitmq(
                "C on librabbitmq",
                self.directory.path(),
                BenchTask { window: 1024, ..task(RABBIT_MESSAGES) },
            )?,
            Candidate::oslo("oslo.messaging, durable", "messagingv2", task(1_000)),
            Candidate::rust(
                "notifier to spool to rabbit",
                "deliver",
                self.with_spool(ours(RABBIT_MESSAGES)),
            ),
        ];
        let title = "notifier to rabbit: durable, confirmed, routed";
        let results = compare(self.rounds * 2, title, &candidates, || purge_queues(&broker))?;
        let [rate, bursts, rolling, c, oslo, spooled] =
            [0, 1, 2, 3, 4, 5].map(|index: usize| results[index].per_round(Measurement::rate));
        let [cpu, bursts_cpu, rolling_cpu] = [0, 1, 2].map(|index: usize| {
            results[index].per_round(|measurement| measurement.cpu_per_message() / 1000.0)
        });
        let rates = |name, peer: &[f64], least| {
            ResultRow::with_peer(name, "msg/s", &rate, peer, RowGoal::RatioAtLeast(least))
        };
        let cpus = |name, peer: &[f64], most| {
            ResultRow::with_peer(name, "us CPU", &cpu, peer, RowGoal::RatioAtMost(most))
        };
        let rows = [
            rates("notifier to rabbit / lapin in bursts", &bursts, 0.95),
            cpus("notifier to rabbit / lapin in bursts, CPU", &bursts_cpu, 1.2),
            rates("notifier to rabbit / lapin, rolling window", &rolling, 1.05),
            cpus("notifier to rabbit / lapin, rolling window, CPU", &rolling_cpu, 0.5),
            rates("notifier to rabbit / C on librabbitmq", &c, 0.85),
            rates("notifier to rabbit / oslo.messaging", &oslo, 10.0),
            ResultRow::with_peer(
                "notifier to spool to rabbit / without spool",
                "msg/s",
                &spooled,
                &rate,
                RowGoal::RatioAtLeast(0.5),
            ),
        ];
        self.rows.extend(rows);
        self.latency(&broker)
    }

    /// Returns the same task with a spool in front of the broker.
    fn with_spool(&self, task: BenchTask) -> BenchTask {
        let directory = self.directory.path().join("spool");
        let config = format!("{}\nspool.dir = \"{}\"", task.config, directory.display());
        BenchTask { config, ..task }
    }

    /// Measures the latency of one notification on an idle broker.
    fn latency(&mut self, broker: &RabbitMq) -> Result<()> {
        let task = BenchTask { port: broker.port(), window: 1, ..self.task(4_000) };
        let ours = BenchTask { config: rabbit_config(broker.port()), ..task.clone() };
        let candidates = [
            Candidate::rust("send().await", "send", ours),
            Candidate::rust("lapin: publish, then confirm", "lapin-one", task),
        ];
        let results = self.compare("one notification", &candidates, || purge_queues(broker))?;
        let [median, median_raw] = [0, 1].map(|index: usize| {
            results[index].per_round(|measurement| quantile_micros(&measurement.series, 0.5))
        });
        let [p99, p99_raw] = [0, 1].map(|index: usize| {
            let rounds = results[index].measurements.iter();
            let all: Vec<f64> = rounds.flat_map(|measurement| measurement.series.clone()).collect();
            [quantile_micros(&all, 0.99)]
        });
        let row = |name, ours: &[f64], peer: &[f64], most| {
            ResultRow::with_peer(name, "us", ours, peer, RowGoal::RatioAtMost(most))
        };
        self.rows.extend([
            row("send().await / lapin alone, median", &median, &median_raw, 1.05),
            row("send().await / lapin alone, p99 of all rounds", &p99, &p99_raw, 1.2),
        ]);
        Ok(())
    }

    pub(super) fn qpid(&mut self) -> Result<()> {
        let broker = RabbitMq::builder().plugin("rabbitmq_amqp1_0").start();
        let task = |messages| BenchTask { port: broker.port(), window: 256, ..self.task(messages) };
        let rabbit = BenchTask { config: rabbit_config(broker.port()), ..task(320) };
        // The strategy `rabbit` declares the queues for all candidates.
        Candidate::rust("declaring", "deliver", rabbit).prepare()?;
        let config = format!(
            "strategy = \"qpid\"\npublisher_id = \"image.host1\"\n\
             qpid.url = \"amqp://guest:guest@127.0.0.1:{}\"",
            broker.port()
        );
        let ours = BenchTask { config, ..task(QPID_MESSAGES) };
        let candidates = [
            Candidate::rust("notifier to qpid", "deliver", ours),
            Candidate::rust("fe2o3-amqp, pipelined", "fe2o3", task(QPID_MESSAGES)),
            Candidate::proton("Proton's Python sender, pipelined", task(QPID_MESSAGES)),
        ];
        let title = "notifier to qpid: settled, RabbitMQ's AMQP 1.0";
        let results = compare(self.rounds * 2, title, &candidates, || purge_queues(&broker))?;
        let rates: Vec<_> =
            results.iter().map(|results| results.per_round(Measurement::rate)).collect();
        let row = |name, peer: &[f64], least| {
            ResultRow::with_peer(name, "msg/s", &rates[0], peer, RowGoal::RatioAtLeast(least))
        };
        self.rows.extend([
            row("notifier to qpid / fe2o3-amqp, pipelined", &rates[1], 0.95),
            row("notifier to qpid / Proton's Python sender", &rates[2], 1.5),
        ]);
        Ok(())
    }
}

/// The number of messages of each candidate on RabbitMQ.
const RABBIT_MESSAGES: usize = 20_000;
/// The number of messages of each candidate on AMQP 1.0.
const QPID_MESSAGES: usize = 20_000;

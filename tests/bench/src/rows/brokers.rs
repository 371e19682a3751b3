//! Confirmed delivery to a broker: rate, processor time, and how long one notification takes.

use anyhow::Result;
use notify_testbed::broker::rabbitmq::RabbitMq;

use super::Bench;
use crate::contest::{Contender, Contested, contest};
use crate::table::{Row, Want};
use crate::task::{Outcome, Task};

/// A broker's own pace varies more than what is compared, so there are twice as many rounds.
impl Bench {
    pub(super) fn rabbit(&mut self) -> Result<()> {
        let broker = RabbitMq::start();
        let task = |messages| Task { port: broker.port(), ..self.task(messages) };
        let ours = |messages| Task { config: rabbit_config(broker.port()), ..task(messages) };
        // It declares what all publish to.
        Contender::rust("declaring", "deliver", ours(320)).prepare()?;
        let contenders = [
            Contender::rust("notifier to rabbit", "deliver", ours(RABBIT)),
            Contender::rust(
                "lapin, in bursts",
                "lapin-bursts",
                Task { burst: 64, window: 1024, ..task(RABBIT) },
            ),
            Contender::rust(
                "lapin, rolling window",
                "lapin-rolling",
                Task { window: 4096, ..task(RABBIT) },
            ),
            Contender::librabbitmq(
                "C on librabbitmq",
                self.directory.path(),
                Task { window: 1024, ..task(RABBIT) },
            )?,
            Contender::oslo("oslo.messaging, durable", "messagingv2", task(1_000)),
            Contender::rust("notifier to spool to rabbit", "deliver", self.spooled(ours(RABBIT))),
        ];
        let title = "notifier to rabbit: durable, confirmed, routed";
        let contested = contest(self.rounds * 2, title, &contenders, || purge(&broker))?;
        let [rate, bursts, rolling, c, oslo, spooled] = [0, 1, 2, 3, 4, 5].map(|at| {
            let contested: &Contested = &contested[at];
            contested.each(Outcome::rate)
        });
        let [cpu, bursts_cpu, rolling_cpu] =
            [0, 1, 2].map(|at| contested[at].each(|outcome| outcome.cpu_each() / 1000.0));
        let rates = |name, peer: &[f64], least| {
            Row::beside(name, "msg/s", &rate, peer, Want::RatioAtLeast(least))
        };
        let cpus = |name, peer: &[f64], most| {
            Row::beside(name, "us CPU", &cpu, peer, Want::RatioAtMost(most))
        };
        let rows = [
            rates("notifier to rabbit / lapin in bursts", &bursts, 0.95),
            cpus("notifier to rabbit / lapin in bursts, CPU", &bursts_cpu, 1.2),
            rates("notifier to rabbit / lapin, rolling window", &rolling, 1.05),
            cpus("notifier to rabbit / lapin, rolling window, CPU", &rolling_cpu, 0.5),
            rates("notifier to rabbit / C on librabbitmq", &c, 0.85),
            rates("notifier to rabbit / oslo.messaging", &oslo, 10.0),
            Row::beside(
                "notifier to spool to rabbit / without spool",
                "msg/s",
                &spooled,
                &rate,
                Want::RatioAtLeast(0.5),
            ),
        ];
        self.rows.extend(rows);
        self.latency(&broker)
    }

    /// The same task, by way of the disk.
    fn spooled(&self, task: Task) -> Task {
        let directory = self.directory.path().join("spool");
        let config = format!("{}\nspool.dir = \"{}\"", task.config, directory.display());
        Task { config, ..task }
    }

    /// How long one notification takes on a broker that has nothing else to do.
    fn latency(&mut self, broker: &RabbitMq) -> Result<()> {
        let task = Task { port: broker.port(), window: 1, ..self.task(4_000) };
        let ours = Task { config: rabbit_config(broker.port()), ..task.clone() };
        let contenders = [
            Contender::rust("send().await", "send", ours),
            Contender::rust("lapin: publish, then confirm", "lapin-one", task),
        ];
        let contested = self.contest("one notification", &contenders, || purge(broker))?;
        let [median, median_raw] =
            [0, 1].map(|at| contested[at].each(|outcome| quantile(&outcome.series, 0.5)));
        let [p99, p99_raw] = [0, 1].map(|at| {
            let rounds = contested[at].outcomes.iter();
            let all: Vec<f64> = rounds.flat_map(|outcome| outcome.series.clone()).collect();
            [quantile(&all, 0.99)]
        });
        let beside = |name, ours: &[f64], peer: &[f64], most| {
            Row::beside(name, "us", ours, peer, Want::RatioAtMost(most))
        };
        self.rows.extend([
            beside("send().await / lapin alone, median", &median, &median_raw, 1.05),
            beside("send().await / lapin alone, p99 of all rounds", &p99, &p99_raw, 1.2),
        ]);
        Ok(())
    }

    pub(super) fn qpid(&mut self) -> Result<()> {
        let broker = RabbitMq::builder().plugin("rabbitmq_amqp1_0").start();
        let task = |messages| Task { port: broker.port(), window: 256, ..self.task(messages) };
        let rabbit = Task { config: rabbit_config(broker.port()), ..task(320) };
        // The queues that all send to.
        Contender::rust("declaring", "deliver", rabbit).prepare()?;
        let config = format!(
            "strategy = \"qpid\"\npublisher_id = \"image.host1\"\n\
             qpid.url = \"amqp://guest:guest@127.0.0.1:{}\"",
            broker.port()
        );
        let contenders = [
            Contender::rust("notifier to qpid", "deliver", Task { config, ..task(QPID) }),
            Contender::rust("fe2o3-amqp, pipelined", "fe2o3", task(QPID)),
            Contender::proton("Proton's Python sender, pipelined", task(5_000)),
        ];
        let title = "notifier to qpid: settled, RabbitMQ's AMQP 1.0";
        let contested = contest(self.rounds * 2, title, &contenders, || purge(&broker))?;
        let rates: Vec<_> = contested.iter().map(|c| c.each(Outcome::rate)).collect();
        let beside = |name, peer: &[f64], least| {
            Row::beside(name, "msg/s", &rates[0], peer, Want::RatioAtLeast(least))
        };
        self.rows.extend([
            beside("notifier to qpid / fe2o3-amqp, pipelined", &rates[1], 0.95),
            beside("notifier to qpid / Proton's Python sender", &rates[2], 1.5),
        ]);
        Ok(())
    }
}

/// The strategy rabbit, to a node of ours.
pub(crate) fn rabbit_config(port: u16) -> String {
    format!(
        "strategy = \"rabbit\"\npublisher_id = \"image.host1\"\n\
         rabbit.url = \"amqp://guest:guest@127.0.0.1:{port}\""
    )
}

/// Empties every queue: what one contender left shall not slow the next one down.
pub(crate) fn purge(broker: &RabbitMq) {
    broker.eval("length([rabbit_amqqueue:purge(Q) || Q <- rabbit_amqqueue:list(<<\"/\">>)])");
}

/// Of numbers in any order, in microseconds.
pub(super) fn quantile(seconds: &[f64], part: f64) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a length is an index"
    )]
    let at = (sorted.len() as f64 * part) as usize;
    sorted[at.min(sorted.len() - 1)] * 1e6
}

const RABBIT: usize = 20_000;
const QPID: usize = 40_000;

//! The plots of `docs/performance.md`: the memory during a flood, and the effect of the sizes of
//! bursts, windows and batches.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use glance_notify::codec::serde_json::json;
use notify_testbed::broker::rabbitmq::RabbitMq;

use crate::candidate::Candidate;
use crate::rows::BenchRun;
use crate::rows::rabbitmq::{purge_queues, rabbit_config};
use crate::svg::Plot;
use crate::task::{BenchTask, Measurement};

impl BenchRun {
    /// Draws all plots into `directory`. The flood has `messages` messages.
    pub(crate) fn plots(&self, directory: &Path, messages: usize) -> Result<()> {
        fs::create_dir_all(directory)?;
        let draw = |name: &str, plot: &Plot<'_>| {
            let path = directory.join(name);
            fs::write(&path, plot.draw())
                .with_context(|| format!("cannot write {}", path.display()))
        };
        let broker = RabbitMq::start();
        Candidate::rust("declaring", "deliver", self.rabbit_task(&broker, 320)).prepare()?;

        let bursts = [1, 4, 16, 64, 256].map(|burst| {
            let task = BenchTask { port: broker.port(), burst, window: 1024, ..self.task(10_000) };
            (burst, Candidate::rust("lapin, in bursts", "lapin-bursts", task))
        });
        let title = "publishing with lapin in bursts";
        let before = || purge_queues(&broker);
        draw("burst.svg", &self.compare_sizes(title, "messages in a burst", bursts, before)?)?;

        let windows = [16, 64, 256, 1024, 4096].map(|window| {
            let mut task = self.rabbit_task(&broker, 10_000);
            let sizes = format!("rabbit.window = {window}\nqueue.batch_messages = 4096");
            task.config = format!("{}\n{sizes}", task.config);
            (window, Candidate::rust("notifier to rabbit", "deliver", task))
        });
        let title = "notifier to rabbit";
        draw("window.svg", &self.compare_sizes(title, "rabbit.window", windows, before)?)?;

        for (name, sync, count) in [("batch.svg", false, 300_000), ("batch-sync.svg", true, 20_000)]
        {
            let batches = [16, 64, 256, 1024, 4096].map(|batch| {
                let log = self.log_config(sync);
                let config = format!("{log}\nqueue.batch_messages = {batch}");
                let task = BenchTask { config, ..self.task(count) };
                (batch, Candidate::rust("notifier to log", "deliver", task))
            });
            let title = format!("notifier to log, sync = {sync}");
            let plot = self.compare_sizes(&title, "queue.batch_messages", batches, || {})?;
            draw(name, &plot)?;
        }

        let limit = json!({"max-length": 10_000});
        broker.root().set_policy("flood", ".*", &limit);
        let flood = [
            ("noop", "strategy = \"noop\"".to_owned()),
            ("log", self.log_config(false)),
            ("rabbit", rabbit_config(broker.port())),
        ];
        let mut lines = Vec::new();
        for (strategy, config) in flood {
            eprintln!("a flood of {messages} messages through {strategy}");
            let task = BenchTask { config, ..self.task(messages) };
            let flood = Candidate::rust("flood", "flood", task).with_long_timeout().run()?;
            lines.push((strategy, flood.series.iter().map(|bytes| bytes / MEBIBYTE).collect()));
        }
        let millions = messages as f64 / 1e6;
        let flood = Plot {
            title: "resident memory during a flood",
            x: "millions of messages",
            y: "MiB",
            marks: (0..=5).map(|part| format!("{:.1}", millions * f64::from(part) / 5.0)).collect(),
            lines,
        };
        draw("memory.svg", &flood)
    }

    fn rabbit_task(&self, broker: &RabbitMq, messages: usize) -> BenchTask {
        let config = rabbit_config(broker.port());
        BenchTask { port: broker.port(), config, ..self.task(messages) }
    }

    /// Compares several sizes. The plot shows the rate and the processor time at each size, in
    /// percent of their maximum.
    fn compare_sizes<'a>(
        &self,
        title: &'a str,
        x: &'a str,
        sizes: [(usize, Candidate); 5],
        before: impl Fn(),
    ) -> Result<Plot<'a>> {
        let marks = sizes.iter().map(|(size, _)| size.to_string()).collect();
        let candidates = sizes.map(|(_, candidate)| candidate);
        let results = self.compare(&format!("{title}: {x}"), &candidates, before)?;
        let percentages = |number: fn(&Measurement) -> f64| {
            let medians = results.iter().map(|results| {
                let mut numbers = results.per_round(number);
                numbers.sort_by(f64::total_cmp);
                numbers[numbers.len() / 2]
            });
            let medians: Vec<f64> = medians.collect();
            let maximum = medians.iter().copied().fold(0.0, f64::max);
            medians.into_iter().map(|median| median / maximum * 100.0).collect()
        };
        Ok(Plot {
            title,
            x,
            y: "% of the maximum",
            marks,
            lines: vec![
                ("messages per second", percentages(Measurement::rate)),
                ("CPU per message", percentages(Measurement::cpu_per_message)),
            ],
        })
    }
}

const MEBIBYTE: f64 = 1024.0 * 1024.0;

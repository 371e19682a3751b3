//! The plots of `docs/performance.md`: memory during a flood, and what bursts, windows and batches
//! are worth.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use glance_notify::codec::serde_json::json;
use notify_testbed::broker::rabbitmq::RabbitMq;

use crate::contest::{Contender, Contested};
use crate::rows::{Bench, purge, rabbit_config};
use crate::svg::Plot;
use crate::task::{Outcome, Task};

impl Bench {
    /// Draws all of them into `directory`; the flood is of so many messages.
    pub(crate) fn plots(&self, directory: &Path, messages: usize) -> Result<()> {
        fs::create_dir_all(directory)?;
        let draw = |name: &str, plot: &Plot<'_>| {
            let path = directory.join(name);
            fs::write(&path, plot.draw())
                .with_context(|| format!("cannot write {}", path.display()))
        };
        let broker = RabbitMq::start();
        Contender::rust("declaring", "deliver", self.rabbit_task(&broker, 320)).prepare()?;

        let bursts = [1, 4, 16, 64, 256].map(|burst| {
            let task = Task { port: broker.port(), burst, window: 1024, ..self.task(10_000) };
            (burst, Contender::rust("lapin, in bursts", "lapin-bursts", task))
        });
        let title = "publishing with lapin in bursts";
        draw("burst.svg", &self.compare(title, "messages in a burst", bursts, || purge(&broker))?)?;

        let windows = [16, 64, 256, 1024, 4096].map(|window| {
            let mut task = self.rabbit_task(&broker, 10_000);
            let sizes = format!("rabbit.window = {window}\nqueue.batch_messages = 4096");
            task.config = format!("{}\n{sizes}", task.config);
            (window, Contender::rust("notifier to rabbit", "deliver", task))
        });
        let title = "notifier to rabbit";
        draw("window.svg", &self.compare(title, "rabbit.window", windows, || purge(&broker))?)?;

        for (name, sync, count) in [("batch.svg", false, 300_000), ("batch-sync.svg", true, 20_000)]
        {
            let batches = [16, 64, 256, 1024, 4096].map(|batch| {
                let log = self.log_config(sync);
                let config = format!("{log}\nqueue.batch_messages = {batch}");
                let task = Task { config, ..self.task(count) };
                (batch, Contender::rust("notifier to log", "deliver", task))
            });
            let title = format!("notifier to log, sync = {sync}");
            draw(name, &self.compare(&title, "queue.batch_messages", batches, || {})?)?;
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
            eprintln!("a flood of {messages} through {strategy}");
            let task = Task { config, ..self.task(messages) };
            let outcome = Contender::rust("flood", "flood", task).patient().run()?;
            lines.push((strategy, outcome.series.iter().map(|bytes| bytes / MEBIBYTE).collect()));
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

    fn rabbit_task(&self, broker: &RabbitMq, messages: usize) -> Task {
        let config = rabbit_config(broker.port());
        Task { port: broker.port(), config, ..self.task(messages) }
    }

    /// Rate and processor time at each size, each in percent of what it is at its most.
    fn compare<'a>(
        &self,
        title: &'a str,
        x: &'a str,
        sizes: [(usize, Contender); 5],
        before: impl Fn(),
    ) -> Result<Plot<'a>> {
        let marks = sizes.iter().map(|(size, _)| size.to_string()).collect();
        let contenders = sizes.map(|(_, contender)| contender);
        let contested = self.contest(&format!("{title}: {x}"), &contenders, before)?;
        let relative = |number: fn(&Outcome) -> f64| {
            let medians = contested.iter().map(|contested: &Contested| {
                let mut numbers = contested.each(number);
                numbers.sort_by(f64::total_cmp);
                numbers[numbers.len() / 2]
            });
            let medians: Vec<f64> = medians.collect();
            let most = medians.iter().copied().fold(0.0, f64::max);
            medians.into_iter().map(|median| median / most * 100.0).collect()
        };
        Ok(Plot {
            title,
            x,
            y: "% of the most",
            marks,
            lines: vec![
                ("messages per second", relative(Outcome::rate)),
                ("CPU per message", relative(Outcome::cpu_each)),
            ],
        })
    }
}

const MEBIBYTE: f64 = 1024.0 * 1024.0;

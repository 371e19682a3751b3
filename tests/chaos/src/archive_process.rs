//! The archive as a process of its own: this program in another role, in the namespaces of the run.
//!
//! It fills an archive from a durable tap until its standard input ends, or reads one and prints it.

use std::io::{Read as _, Write as _};
use std::path::Path;

use glance_notify::codec::serde_json::{self, Value, json};
use glance_notify::listen::{
    DeadLetters, Listener, ListenerConfig, RabbitSource, RabbitSourceConfig,
};
use notify_archive::question::EventFilter;
use notify_archive::service::{ArchiveService, ServiceOptions};
use notify_archive::store::{ReadScope, RecordDetail};
use notify_archive::{Archive, ArchiveWriter};
use notify_core::config::DriverOptions;

/// The name of the role that fills an archive. Its arguments are the URL of the broker and the directory.
pub(crate) const FILL_ROLE: &str = "fill-archive";
/// The name of the role that prints an archive. Its argument is the directory.
pub(crate) const READ_ROLE: &str = "read-archive";
/// The name of the durable tap.
pub(crate) const TAP: &str = "chaos";

/// Fills the archive until standard input ends.
pub(crate) fn fill(url: &str, directory: &Path) {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = tokio::runtime::Runtime::new().expect("the system has threads");
    runtime.block_on(async {
        let table = json!({"url": url, "queue": TAP, "heartbeat": 5});
        let options = table.as_object().expect("an object").clone();
        let config = RabbitSourceConfig::from_options(DriverOptions::new("source", options))
            .expect("the options are valid");
        let source = RabbitSource::new(config).expect("the configuration is valid");
        let mut bounds = ListenerConfig::default();
        bounds.deliver_unreadable = true;
        bounds.prefetch = 1000;
        bounds.wait = true;
        let listener = Listener::builder(source, DeadLetters::Discard).config(bounds).start();
        let writer = ArchiveWriter::open(directory).expect("the directory is writable");
        let listener = listener.expect("the runtime runs");
        let service = ArchiveService::new(listener, writer, ServiceOptions::default());
        let stop = async {
            let input = || drop(std::io::stdin().read_to_end(&mut Vec::new()));
            drop(tokio::task::spawn_blocking(input).await);
        };
        let stats = service.expect("the system has threads").run(stop).await;
        eprintln!("{:?}", stats.map(|stats| stats.total));
    });
    runtime.shutdown_background();
}

/// Prints the archive: a line for each problem and each record, as JSON.
pub(crate) fn read(directory: &Path) {
    let archive = Archive::open(directory).expect("the service has made the archive");
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let mut print = |value: &Value| writeln!(out, "{value}").expect("the run reads everything");
    let report = archive.verify().expect("the archive is readable");
    for problem in report.problems {
        print(&json!({"problem": format!("{}: {}", problem.file, problem.finding)}));
    }
    if report.unreadable + report.reused > 0 {
        let odd = format!("{} unreadable, {} reused ids", report.unreadable, report.reused);
        print(&json!({"problem": odd}));
    }
    let scope = ReadScope { detail: RecordDetail::Bodies, undated: true, ..ReadScope::default() };
    let read = archive.read(&EventFilter::default(), scope, |record| {
        let body: Value = serde_json::from_slice(&record.body).expect("a body is JSON");
        print(&json!({"payload": body["payload"], "priority": record.priority.as_str()}));
    });
    read.expect("the archive is readable");
}

//! The task of a candidate and its measurement, the same for programs in Rust, Python and C.
//!
//! A candidate is a process of its own, so that its processor time and its memory are its own. It
//! gets the task as its argument and prints the measurement as one line of JSON. It does not
//! measure setting up, connecting and warming up.

use std::path::PathBuf;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The task of a candidate. Each candidate reads the fields that concern it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BenchTask {
    /// The number of messages to measure.
    pub(crate) messages: usize,
    /// The number of tasks that emit them.
    pub(crate) emitters: usize,
    /// The file of notifications for programs in other languages: one line each of event type,
    /// priority and payload, separated by tabs.
    pub(crate) samples: PathBuf,
    /// The file that the candidate writes.
    pub(crate) file: PathBuf,
    /// The broker's port on 127.0.0.1.
    pub(crate) port: u16,
    /// The configuration of the library, in TOML. oslo.messaging gets its driver here.
    pub(crate) config: String,
    /// The number of publishes that the candidate polls before it waits for the first.
    pub(crate) burst: usize,
    /// The most unconfirmed messages.
    pub(crate) window: usize,
}

/// The measurement of a candidate.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) messages: f64,
    pub(crate) seconds: f64,
    /// The processor time of all threads, user and system, in seconds.
    pub(crate) cpu: f64,
    /// The processor time of the emitting thread, in seconds; 0 if the candidate did not measure
    /// it.
    #[serde(default)]
    pub(crate) emitter_cpu: f64,
    /// The peak of the resident memory since the start of the process, in bytes.
    pub(crate) peak: f64,
    /// The time of each message in seconds, or another series, if the candidate measures one.
    #[serde(default)]
    pub(crate) series: Vec<f64>,
}

impl Measurement {
    /// Returns the messages per second.
    pub(crate) fn rate(&self) -> f64 {
        self.messages / self.seconds
    }

    /// Returns the processor time per message, in nanoseconds.
    pub(crate) fn cpu_per_message(&self) -> f64 {
        self.cpu / self.messages * 1e9
    }

    /// Returns the processor time of the emitting thread per message, in nanoseconds.
    pub(crate) fn emitter_cpu_per_message(&self) -> f64 {
        self.emitter_cpu / self.messages * 1e9
    }
}

/// A clock that measures from its start to its stop, on one thread.
pub(crate) struct Clock {
    start: Instant,
    cpu: f64,
    thread: f64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let cpu = seconds(ClockId::ProcessCPUTime);
        let thread = seconds(ClockId::ThreadCPUTime);
        Self { start: Instant::now(), cpu, thread }
    }

    pub(crate) fn stop(&self, messages: usize) -> Measurement {
        Measurement {
            seconds: self.start.elapsed().as_secs_f64(),
            cpu: seconds(ClockId::ProcessCPUTime) - self.cpu,
            emitter_cpu: seconds(ClockId::ThreadCPUTime) - self.thread,
            messages: messages as f64,
            peak: memory_status("VmHWM"),
            series: Vec::new(),
        }
    }
}

/// Returns a line of `/proc/self/status` in bytes. `VmRSS` is the resident memory, and `VmHWM` its
/// peak.
pub(crate) fn memory_status(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has this file");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: f64 = number.expect("the status has the key").parse().expect("its value is a number");
    kib * 1024.0
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

//! What a contender is told and what it answers: the same for programs in Rust, Python and C.
//!
//! A contender is a process of its own, so that its processor time and its memory are its own. It gets
//! a task as its argument and prints one line of JSON. Setting up, connecting and warming up are not
//! measured.

use std::path::PathBuf;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What a contender is to do. Each takes what concerns it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Task {
    /// How many messages to measure.
    pub(crate) messages: usize,
    /// How many tasks emit them.
    pub(crate) emitters: usize,
    /// The notifications for programs that are not in Rust: a line each of event type, priority and
    /// payload, with tabs in between.
    pub(crate) samples: PathBuf,
    /// What to write to.
    pub(crate) file: PathBuf,
    /// Where the broker listens on 127.0.0.1.
    pub(crate) port: u16,
    /// Further configuration of ours, in TOML.
    pub(crate) config: String,
    /// How many publishes are polled before the first is waited for.
    pub(crate) burst: usize,
    /// How many messages may be unconfirmed.
    pub(crate) window: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) messages: f64,
    pub(crate) seconds: f64,
    /// Processor time of all threads, user and system, in seconds.
    pub(crate) cpu: f64,
    /// Of it, that of the thread that emits; where it was measured.
    #[serde(default)]
    pub(crate) emitter_cpu: f64,
    /// The most that was resident since the process began, in bytes.
    pub(crate) peak: f64,
    /// What each message took, in seconds, where that is asked for; or another series.
    #[serde(default)]
    pub(crate) series: Vec<f64>,
}

impl Outcome {
    /// Messages per second.
    pub(crate) fn rate(&self) -> f64 {
        self.messages / self.seconds
    }

    /// Processor time per message, in nanoseconds.
    pub(crate) fn cpu_each(&self) -> f64 {
        self.cpu / self.messages * 1e9
    }

    /// Processor time of the emitting thread per message, in nanoseconds.
    pub(crate) fn emitter_cpu_each(&self) -> f64 {
        self.emitter_cpu / self.messages * 1e9
    }
}

/// Measures from its start to its stop, on one thread.
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

    pub(crate) fn stop(&self, messages: usize) -> Outcome {
        Outcome {
            seconds: self.start.elapsed().as_secs_f64(),
            cpu: seconds(ClockId::ProcessCPUTime) - self.cpu,
            emitter_cpu: seconds(ClockId::ThreadCPUTime) - self.thread,
            messages: messages as f64,
            peak: resident("VmHWM"),
            series: Vec::new(),
        }
    }
}

/// A line of `/proc/self/status` in bytes: `VmRSS` is what is resident now, `VmHWM` the most so far.
pub(crate) fn resident(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().nth(1)).expect("a number");
    number.parse::<f64>().expect("a number") * 1024.0
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

//! What a process holds: threads, descriptors, memory.

use std::{fmt, fs};

use serde_json::{Value, json};

use crate::plan::Spool;

/// What this process holds now.
pub(crate) fn measure() -> Value {
    let count = |directory| fs::read_dir(directory).map_or(0, Iterator::count);
    // One descriptor is the directory that is being read.
    json!({
        "threads": count("/proc/self/task"),
        "descriptors": count("/proc/self/fd") - 1,
        "kib": resident_kib(),
    })
}

/// What a process held at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resources {
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
    /// Resident memory.
    pub(crate) kib: u64,
}

impl Resources {
    /// As [`measure`] says it.
    pub(crate) fn read(measured: &Value) -> Self {
        let number = |key: &str| measured[key].as_u64().expect("a number");
        Self { threads: number("threads"), descriptors: number("descriptors"), kib: number("kib") }
    }

    /// What is more than it was at the `baseline`. Memory that was given back to the allocator stays
    /// with the process in part, so there is a margin; a spool's database has a cache besides.
    pub(crate) fn above(&self, baseline: &Self, spool: Spool) -> Option<String> {
        let mut more = Vec::new();
        let mut compare = |name: &str, now: u64, before: u64, margin: u64| {
            if now > before + margin {
                more.push(format!("{now} {name}, {before} before"));
            }
        };
        compare("threads", self.threads, baseline.threads, 0);
        compare("descriptors", self.descriptors, baseline.descriptors, 0);
        let margin_kib = match spool {
            Spool::None => MARGIN_KIB,
            Spool::OnDisk | Spool::OnSmallDisk => MARGIN_KIB + CACHE_KIB,
        };
        compare("KiB resident", self.kib, baseline.kib, margin_kib);
        (!more.is_empty()).then(|| more.join("; "))
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { threads, descriptors, kib } = self;
        write!(f, "{threads} threads, {descriptors} descriptors, {kib} KiB")
    }
}

/// More than the queue of a notifier holds at most in these runs, and less than what a leak of a
/// connection's buffers makes of a few dozen faults.
const MARGIN_KIB: u64 = 16 * 1024;

/// What the database of a spool may cache, and does not before an outage has filled the spool.
const CACHE_KIB: u64 = 16 * 1024;

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

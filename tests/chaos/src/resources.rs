//! The threads, descriptors and memory of a process.

use std::{fmt, fs};

use serde_json::{Value, json};

use crate::setup::SpoolPlacement;

/// Measures the resources of the current process, as [`ProcessResources::read`] reads them.
pub(crate) fn measure() -> Value {
    let count = |directory| fs::read_dir(directory).map_or(0, Iterator::count);
    // Reading the directory takes a descriptor, which does not count.
    json!({
        "threads": count("/proc/self/task"),
        "descriptors": count("/proc/self/fd") - 1,
        "kib": resident_kib(),
    })
}

/// The resources of a process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessResources {
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
    /// The resident memory in KiB.
    pub(crate) kib: u64,
}

impl ProcessResources {
    /// Reads the result of [`measure`].
    pub(crate) fn read(measurement: &Value) -> Self {
        let number = |key: &str| measurement[key].as_u64().expect("`measure` returns numbers");
        Self { threads: number("threads"), descriptors: number("descriptors"), kib: number("kib") }
    }

    /// Describes the resources that exceed the `baseline`; `None` if none does.
    ///
    /// A process keeps a part of the memory that it returned to the allocator, so memory has a
    /// margin. A setup with a spool has another margin for the cache of the spool's database.
    pub(crate) fn excess(&self, baseline: &Self, spool: SpoolPlacement) -> Option<String> {
        let mut excess = Vec::new();
        let mut compare = |name: &str, now: u64, before: u64, margin: u64| {
            if now > before + margin {
                excess.push(format!("{now} {name}, {before} before"));
            }
        };
        compare("threads", self.threads, baseline.threads, 0);
        compare("descriptors", self.descriptors, baseline.descriptors, MARGIN_DESCRIPTORS);
        let margin_kib = match spool {
            SpoolPlacement::None => MARGIN_KIB,
            SpoolPlacement::OnDisk | SpoolPlacement::OnSmallDisk => MARGIN_KIB + CACHE_KIB,
        };
        compare("KiB resident", self.kib, baseline.kib, margin_kib);
        (!excess.is_empty()).then(|| excess.join("; "))
    }
}

impl fmt::Display for ProcessResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { threads, descriptors, kib } = self;
        write!(f, "{threads} threads, {descriptors} descriptors, {kib} KiB")
    }
}

/// The margin for resident memory. It exceeds the largest queue of a notifier in these runs, and a
/// The margin for descriptors. An idle producer with a spool was seen with 18 and with 19. A leak in each round exceeds
/// the margin in the second.
const MARGIN_DESCRIPTORS: u64 = 1;
/// leak of connection buffers exceeds it after a few dozen faults.
const MARGIN_KIB: u64 = 16 * 1024;

/// The most memory of the spool's database cache. The cache fills when an outage first fills the
/// spool.
const CACHE_KIB: u64 = 16 * 1024;

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has /proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.expect("the status has VmRSS").trim().trim_end_matches(" kB").parse();
    kib.expect("VmRSS is a number")
}

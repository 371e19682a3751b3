//! The threads, descriptors and memory of a process.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fmt, fs};

use serde_json::{Value, json};

use crate::setup::SpoolPlacement;

/// Measures the resources of the current process, as [`ProcessResources::read`] reads them.
pub(crate) fn measure() -> Value {
    json!({
        "threads": fs::read_dir("/proc/self/task").map_or(0, Iterator::count),
        "descriptors": open_files(),
        "kib": resident_kib(),
    })
}

/// The resources of a process at one moment.
#[derive(Clone, Debug)]
pub(crate) struct ProcessResources {
    pub(crate) threads: u64,
    /// The number of descriptors of each target.
    pub(crate) descriptors: BTreeMap<String, u64>,
    /// The resident memory in KiB.
    pub(crate) kib: u64,
}

impl ProcessResources {
    /// Reads the result of [`measure`].
    pub(crate) fn read(measurement: &Value) -> Self {
        let number = |value: &Value| value.as_u64().expect("`measure` returns numbers");
        let descriptors = measurement["descriptors"].as_object().expect("`measure` lists files");
        Self {
            threads: number(&measurement["threads"]),
            descriptors: descriptors
                .iter()
                .map(|(file, count)| (file.clone(), number(count)))
                .collect(),
            kib: number(&measurement["kib"]),
        }
    }

    /// Describes the resources that exceed the `baseline`; `None` if none does.
    ///
    /// A process keeps a part of the memory that it returned to the allocator, so memory has a
    /// margin. A setup with a spool has another margin for the cache of the spool's database. The spool closes
    /// the large database of a slot that becomes empty, until the next message; so a closed one may be open later.
    pub(crate) fn excess(&self, baseline: &Self, spool: SpoolPlacement) -> Option<String> {
        let mut excess = Vec::new();
        let mut compare = |name: &str, now: u64, before: u64, margin: u64| {
            if now > before + margin {
                excess.push(format!("{now} {name}, {before} before"));
            }
        };
        compare("threads", self.threads, baseline.threads, 0);
        for (file, &now) in &self.descriptors {
            let is_database = Path::new(file).extension().is_some_and(|it| it == "redb");
            let reopened = u64::from(is_database);
            let before = baseline.descriptors.get(file).copied().unwrap_or(reopened);
            compare(&format!("descriptors of {file}"), now, before, 0);
        }
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
        let descriptors: u64 = descriptors.values().sum();
        write!(f, "{threads} threads, {descriptors} descriptors, {kib} KiB")
    }
}

/// The margin for resident memory. It exceeds the largest queue of a notifier in these runs, and a
/// leak of connection buffers exceeds it after a few dozen faults.
const MARGIN_KIB: u64 = 16 * 1024;

/// The most memory of the spool's database cache. The cache fills when an outage first fills the
/// spool.
const CACHE_KIB: u64 = 16 * 1024;

/// Counts the open descriptors of each target: a path, or a kind such as `socket` and `pipe`.
fn open_files() -> BTreeMap<String, u64> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        // A descriptor that closed meanwhile has no target.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.display().to_string();
        // Reading the directory takes a descriptor, which does not count.
        if target.ends_with("/fd") {
            continue;
        }
        let file = target.split(":[").next().unwrap_or(&target).to_owned();
        *files.entry(file).or_insert(0) += 1;
    }
    files
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has /proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.expect("the status has VmRSS").trim().trim_end_matches(" kB").parse();
    kib.expect("VmRSS is a number")
}

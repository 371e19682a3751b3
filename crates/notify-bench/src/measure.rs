//! What is measured: rounds in rotated order, medians, resident memory.

use std::time::Instant;

/// One thing to measure: does it once and says how many messages it took.
pub(crate) type Contestant<'a> = (&'static str, Box<dyn FnMut() -> usize + 'a>);

/// Messages per second of one contestant, a number for each round.
#[derive(Debug)]
pub(crate) struct Rates {
    pub(crate) name: &'static str,
    rates: Vec<f64>,
}

impl Rates {
    pub(crate) fn median(&self) -> f64 {
        self.rates[self.rates.len() / 2]
    }

    /// `median (lowest to highest)`, in thousands.
    pub(crate) fn shown(&self) -> String {
        let thousands = |rate: f64| format!("{:.0}", rate / 1000.0);
        let [first, .., last] = self.rates[..] else { return thousands(self.median()) };
        format!("{} ({} to {})", thousands(self.median()), thousands(first), thousands(last))
    }
}

/// Lets every contestant run once in each round, another one first each time: what a machine does
/// beside us then hits all alike.
pub(crate) fn compare(rounds: usize, mut contestants: Vec<Contestant<'_>>) -> Vec<Rates> {
    let mut all: Vec<_> =
        contestants.iter().map(|&(name, _)| Rates { name, rates: Vec::new() }).collect();
    let count = contestants.len();
    for round in 0..rounds {
        for turn in 0..count {
            let contestant = (round + turn) % count;
            let start = Instant::now();
            let messages = contestants[contestant].1();
            all[contestant].rates.push(per_second(messages, start));
        }
    }
    for Rates { rates, .. } in &mut all {
        rates.sort_by(f64::total_cmp);
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per_second(messages: usize, start: Instant) -> f64 {
    messages as f64 / start.elapsed().as_secs_f64()
}

/// A line of `/proc/self/status` in KiB: `VmRSS` is what is resident now, `VmHWM` the most so far.
pub(crate) fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().nth(1)).expect("a number");
    number.parse().expect("a number")
}

//! What is measured: rounds in rotated order, medians, processor time, resident memory.

use std::fs;
use std::time::Instant;

/// One thing to measure: does it once and says how many messages it took.
pub(crate) type Contestant<'a> = (&'static str, Box<dyn FnMut() -> usize + 'a>);

/// What came of one contestant, a number for each round.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    /// Messages per second.
    pub(crate) rate: Series,
    /// Processor time per message, all threads, user and system, in microseconds.
    pub(crate) cpu: Series,
}

/// Numbers in ascending order.
#[derive(Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    fn add(&mut self, number: f64) {
        let place = self.0.partition_point(|&other| other < number);
        self.0.insert(place, number);
    }

    pub(crate) fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    pub(crate) fn lowest(&self) -> f64 {
        self.0[0]
    }

    pub(crate) fn highest(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

/// Lets every contestant run once in each round, another one first each time: what a machine does
/// beside us then hits all alike.
pub(crate) fn compare(rounds: usize, mut contestants: Vec<Contestant<'_>>) -> Vec<Measured> {
    let measured = |&(name, _): &Contestant<'_>| Measured {
        name,
        rate: Series::default(),
        cpu: Series::default(),
    };
    let mut all: Vec<_> = contestants.iter().map(measured).collect();
    let count = contestants.len();
    for round in 0..rounds {
        for turn in 0..count {
            let contestant = (round + turn) % count;
            let (start, cpu) = (Instant::now(), processor_seconds());
            let messages = contestants[contestant].1() as f64;
            all[contestant].rate.add(messages / start.elapsed().as_secs_f64());
            all[contestant].cpu.add((processor_seconds() - cpu) / messages * 1e6);
        }
    }
    all
}

/// What this process has used of all processors so far.
fn processor_seconds() -> f64 {
    /// `USER_HZ`, in which Linux counts for programs on every machine.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    // Behind the program's name, which may hold anything: utime and stime are fields 14 and 15.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
    ticks.sum::<u64>() as f64 / TICKS_PER_SECOND
}

/// A line of `/proc/self/status` in MiB: `VmRSS` is what is resident now, `VmHWM` the most so far.
pub(crate) fn mebibytes(key: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().nth(1)).expect("a number");
    number.parse::<u64>().expect("a number") as f64 / 1024.0
}

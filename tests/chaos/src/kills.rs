//! The kill test: it kills a producer with a spool again and again, and the broker now and then.
//! Every notification that a producer accepted before its death must arrive in the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::environment::{RunEnvironment, TrialEnvironment};
use crate::journal::DeliveryTotals;
use crate::producer_handle::ProducerHandle;
use crate::report::{ChaosReport, ReportRow};
use crate::setup::{BrokerStrategy, ProducerSetup, SpoolPlacement};

/// Kills `tries` producers, one after the other.
pub(crate) fn run(run: &RunEnvironment, seed: u64, tries: u32, report: &mut ChaosReport) {
    let setup = ProducerSetup { strategy: BrokerStrategy::Rabbit, spool: SpoolPlacement::OnDisk };
    let environment = run.trial(setup, "kills");
    let over = AtomicBool::new(false);
    let (broker_kills, mut problems) = thread::scope(|scope| {
        let broker = scope.spawn(|| kill_broker(run, &mut Rng::with_seed(!seed), &over));
        let problem = kill_producers(&environment, tries, &mut Rng::with_seed(seed));
        over.store(true, Ordering::Relaxed);
        (broker.join().expect("killing the broker does not panic"), Vec::from_iter(problem))
    });

    // Read the longest pause now: the time until the last producer starts must not count as one.
    problems.extend(environment.compare());
    let pause = environment.audit(|audit| audit.totals().longest_pause);
    let mut survivor = ProducerHandle::start(&run.host, &environment.files);
    let ended = survivor.emit_one().and_then(|()| survivor.settle()).and_then(|_| survivor.end());
    if let Err(problem) = ended {
        problems.push(format!("the last producer: {problem}"));
    }
    environment.drain();
    problems.extend(environment.compare());
    let (totals, lost) = environment.audit(|audit| (audit.totals(), audit.lost()));
    if let Some(first) = lost.first() {
        problems.push(format!("lost {} accepted notifications, among them {first}", lost.len()));
    }
    println!("kills: {tries} of the producer, {broker_kills} of the broker");
    let row =
        ReportRow::between(DeliveryTotals::default(), totals, tries.into(), lost.len() as u64);
    let row = ReportRow { longest_pause: pause, ..row };
    report.add_row(&format!("{tries} kills, {setup}"), row);
    report.add_problems("kills", problems);
}

/// Starts a producer, lets it emit for a moment, and kills it, `tries` times. Stops with a problem
/// if a producer does not answer.
fn kill_producers(environment: &TrialEnvironment<'_>, tries: u32, rng: &mut Rng) -> Option<String> {
    let start = Instant::now();
    for number in 1..=tries {
        let mut producer = ProducerHandle::start(&environment.run.host, &environment.files);
        if let Err(problem) = producer.emit_at_rate(RATE) {
            return Some(format!("producer {number}: {problem}"));
        }
        sleep(Duration::from_millis(rng.u64(1..600)));
        producer.kill();
        if number % 100 == 0 {
            println!("kills: {number} after {:.0} s", start.elapsed().as_secs_f64());
        }
    }
    None
}

/// Kills and restarts the broker until `over` is set. Returns the number of kills.
fn kill_broker(run: &RunEnvironment, rng: &mut Rng, over: &AtomicBool) -> u64 {
    let mut kills = 0;
    while !over.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(rng.u64(100..4_000)));
        run.broker.kill();
        sleep(Duration::from_millis(rng.u64(0..1_000)));
        run.broker.restart();
        kills += 1;
    }
    kills
}

/// The notifications per second of each producer.
const RATE: u64 = 2_000;

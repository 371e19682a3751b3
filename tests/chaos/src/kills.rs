//! A process that emits is killed again and again, and the broker now and then: what was accepted before
//! any of the kills is there in the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::ledger::Totals;
use crate::plan::{Setup, Spool, Strategy};
use crate::process::Producer;
use crate::report::{Report, Row};
use crate::world::{Stage, World};

/// Kills a producer so many times.
pub(crate) fn run(world: &World, seed: u64, tries: u32, report: &mut Report) {
    let setup = Setup { strategy: Strategy::Rabbit, spool: Spool::OnDisk };
    let stage = world.stage(setup, "kills");
    let over = AtomicBool::new(false);
    let (killed, mut problems) = thread::scope(|scope| {
        let torment = scope.spawn(|| torment(&stage, &mut Rng::with_seed(!seed), &over));
        let problems = kill(&stage, tries, &mut Rng::with_seed(seed));
        over.store(true, Ordering::Relaxed);
        (torment.join().expect("it says why"), Vec::from_iter(problems))
    });

    // Until here, producers ran one after the other.
    let pause = stage.books(|books| {
        problems.extend(books.compare().expect("the ledger is there"));
        books.totals().longest_pause
    });
    let mut survivor = Producer::start(&world.place, &stage.files);
    let ended = survivor.fresh().and_then(|()| survivor.settle()).and_then(|_| survivor.end());
    if let Err(problem) = ended {
        problems.push(format!("the last producer: {problem}"));
    }
    stage.drain();
    let (sums, lost) = stage.books(|books| {
        problems.extend(books.compare().expect("the ledger is there"));
        (books.totals(), books.lost())
    });
    if let Some(first) = lost.first() {
        problems.push(format!("{} accepted notifications are lost: {first}", lost.len()));
    }
    println!("kills: {tries} of a producer, {killed} of the broker");
    let row = Row::between(Totals::default(), sums, tries.into(), lost.len() as u64);
    let row = Row { longest_pause: pause, ..row };
    report.row(&format!("{tries} kills, {setup}"), row);
    report.problems("kills", problems);
}

/// Starts a producer, lets it emit for a moment, and kills it; so many times, or until one does not do
/// what it is told.
fn kill(stage: &Stage<'_>, tries: u32, rng: &mut Rng) -> Option<String> {
    let start = Instant::now();
    for number in 1..=tries {
        let mut producer = Producer::start(&stage.world.place, &stage.files);
        if let Err(problem) = producer.go(RATE) {
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

/// Kills and starts the broker until it is over. Returns how often.
fn torment(stage: &Stage<'_>, rng: &mut Rng, over: &AtomicBool) -> u64 {
    let mut kills = 0;
    while !over.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(rng.u64(100..4_000)));
        stage.world.broker.kill();
        sleep(Duration::from_millis(rng.u64(0..1_000)));
        stage.world.broker.restart();
        kills += 1;
    }
    kills
}

/// Notifications a second.
const RATE: u64 = 2_000;

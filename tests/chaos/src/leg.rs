//! A leg of a run: one producer, one round of faults after the other, and after each round, when all is
//! healed, the question whether everything is as it was promised.

use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use notify_testbed::proxy::Direction;

use crate::fault::{Area, Fault};
use crate::inject::{inject, inject_on_producer};
use crate::plan::{Round, Setup};
use crate::process::{Measured, Producer};
use crate::report::{Report, Row};
use crate::resources::Resources;
use crate::world::{Stage, World};

/// Runs rounds for as long as it is not yet `end`.
pub(crate) fn run(
    world: &World,
    name: &str,
    setup: Setup,
    rounds: &[Round],
    end: Instant,
    report: &mut Report,
) {
    let stage = world.stage(setup, name);
    let mut leg =
        Leg { producer: Producer::start(&world.place, &stage.files), baseline: None, stage };
    let place = format!("{name} {setup}");
    for round in rounds {
        if Instant::now() >= end {
            break;
        }
        let (row, held, problems) = leg.round(round);
        let hopeless = !problems.is_empty();
        report.round(&place, round, row, held);
        report.problems(&place, problems);
        if hopeless {
            // What follows would only say it again.
            return;
        }
    }
    let problems = leg.end();
    report.problems(&place, problems);
}

struct Leg<'w> {
    stage: Stage<'w>,
    producer: Producer,
    /// What the producer held when it had been busy and was idle; none since it was killed.
    baseline: Option<Resources>,
}

impl Leg<'_> {
    fn round(&mut self, round: &Round) -> (Row, Option<Resources>, Vec<String>) {
        let mut problems = Vec::new();
        if self.baseline.is_none()
            && let Err(problem) = self.warm_up()
        {
            return (Row::default(), None, vec![format!("while all is well: {problem}")]);
        }
        problems.extend(self.settle());
        let before = self.stage.books(|books| {
            books.begin();
            books.totals()
        });

        problems.extend(self.producer.go(round.rate).err());
        let tries = self.inject(round);
        sleep(Duration::from_millis(300));
        if let Err(problem) = self.producer.pause() {
            problems.push(format!("something stays undecided: {problem}"));
        }
        if let Err(problem) = self.producer.fresh() {
            problems.push(format!("a fresh notification is not accepted: {problem}"));
        }
        problems.extend(self.settle());
        let (held, above) = self.resources();
        problems.extend(above);
        let lost = self.stage.books(|books| books.lost().len() as u64);
        let after = self.stage.books(|books| books.totals());
        let undelivered = after.refused + after.unknown - before.refused - before.unknown;
        if undelivered > 0 {
            // Nothing here is ever to be refused or given up.
            problems.push(format!("{undelivered} notifications were refused or given up"));
        }
        (Row::between(before, after, tries, lost), held, problems)
    }

    /// Does everything that is planned for a round, at once. Returns how often it was done.
    fn inject(&mut self, round: &Round) -> u64 {
        let killed = round.faults.iter().any(|planned| planned.fault == Fault::ProducerKill);
        let Self { stage, producer, .. } = self;
        let (stage, rate) = (&*stage, round.rate);
        let (mine, other): (Vec<_>, Vec<_>) =
            round.faults.iter().partition(|p| p.fault.areas() == [Area::Producer]);
        let tries = thread::scope(|scope| {
            let threads: Vec<_> =
                other.iter().map(|planned| scope.spawn(|| inject(planned, stage))).collect();
            let mine =
                mine.iter().map(|planned| inject_on_producer(planned, rate, stage, producer));
            let mine: u64 = mine.sum();
            let other = threads.into_iter().map(|thread| thread.join().expect("it says why"));
            mine + other.sum::<u64>()
        });
        if killed {
            self.baseline = None;
        }
        tries
    }

    /// Fills the queue once while nothing gets through, and lets it go: what a process holds after that
    /// is what it is to come back to.
    fn warm_up(&mut self) -> Result<(), String> {
        self.stage.world.relay.stall(Direction::ToServer);
        // More than it holds.
        self.producer.emit(self.stage.world.queue + 1_000)?;
        sleep(Duration::from_secs(1));
        self.stage.world.relay.heal();
        self.producer.pause()?;
        self.producer.fresh()?;
        self.baseline = Some(self.producer.settle()?.resources);
        Ok(())
    }

    /// Waits until everything has arrived, reads it, and says what is wrong with it and with the accounts.
    fn settle(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        match self.producer.settle() {
            Ok(measured) => problems.extend(account(&measured)),
            Err(problem) => problems.push(problem),
        }
        self.stage.drain();
        problems.extend(self.stage.books(|books| books.compare().expect("the ledger is there")));
        let lost = self.stage.books(|books| books.lost());
        if let Some(first) = lost.first() {
            problems.push(format!("{} accepted notifications are lost: {first}", lost.len()));
        }
        problems
    }

    /// Waits until the producer holds no more than it did before; returns what it holds, and how much
    /// more that is where it goes on.
    fn resources(&mut self) -> (Option<Resources>, Option<String>) {
        let start = Instant::now();
        loop {
            let held = match self.producer.measure() {
                Ok(measured) => measured.resources,
                Err(problem) => return (None, Some(problem)),
            };
            let above =
                self.baseline.and_then(|baseline| held.above(&baseline, self.stage.setup.spool));
            if above.is_none() || start.elapsed() > RELEASE {
                return (Some(held), above);
            }
            sleep(Duration::from_millis(100));
        }
    }

    fn end(self) -> Vec<String> {
        let Self { stage, producer, .. } = self;
        let mut problems = Vec::new();
        match producer.end() {
            Ok(last) => {
                problems.extend(account(&last));
                if last.pending.iter().any(|&pending| pending > 0) {
                    problems.push(format!("{:?} are pending at the end", last.pending));
                }
            }
            Err(problem) => problems.push(problem),
        }
        stage.drain();
        problems.extend(stage.books(|books| books.compare().expect("the ledger is there")));
        problems
    }
}

fn account(measured: &Measured) -> Option<String> {
    if let Some(stage) = &measured.unbalanced {
        return Some(format!("the account does not balance: {stage}"));
    }
    // Nothing here is ever to be refused by the broker for good.
    let refused = measured.refused_later;
    (refused > 0).then(|| format!("{refused} accepted notifications became dead letters"))
}

/// How long a process may take to give back what it does not need.
const RELEASE: Duration = Duration::from_secs(30);

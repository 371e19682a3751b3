//! A trial: one producer and several rounds of faults. After each round, when everything works
//! again, the trial checks every promise.

use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use notify_testbed::proxy::Direction;

use crate::environment::{RunEnvironment, TrialEnvironment};
use crate::fault::{ChaosFault, FaultTarget};
use crate::inject::{inject, inject_on_producer};
use crate::plan::FaultRound;
use crate::producer_handle::{ProducerHandle, ProducerMeasurement};
use crate::report::{ChaosReport, ReportRow};
use crate::resources::ProcessResources;
use crate::setup::ProducerSetup;

/// Runs the rounds that start before `end`.
pub(crate) fn run(
    run: &RunEnvironment,
    name: &str,
    setup: ProducerSetup,
    rounds: &[FaultRound],
    end: Instant,
    report: &mut ChaosReport,
) {
    let environment = run.trial(setup, name);
    let producer = ProducerHandle::start(&run.host, &environment.files);
    let mut trial = Trial { producer, baseline: None, environment };
    let label = format!("{name} {setup}");
    for round in rounds {
        if Instant::now() >= end {
            break;
        }
        let (row, resources, problems) = trial.run_round(round);
        let failed = !problems.is_empty();
        report.add_round(&label, round, row, resources);
        report.add_problems(&label, problems);
        if failed {
            // Further rounds would only repeat the problem.
            return;
        }
    }
    let problems = trial.end();
    report.add_problems(&label, problems);
}

/// A trial in progress.
struct Trial<'r> {
    environment: TrialEnvironment<'r>,
    producer: ProducerHandle,
    /// The resources of the idle producer after a burst; `None` after a kill.
    baseline: Option<ProcessResources>,
}

impl Trial<'_> {
    /// Runs one round. Returns its row, the producer's resources, and the problems.
    fn run_round(
        &mut self,
        round: &FaultRound,
    ) -> (ReportRow, Option<ProcessResources>, Vec<String>) {
        let mut problems = Vec::new();
        if self.baseline.is_none()
            && let Err(problem) = self.warm_up()
        {
            let problem = format!("before any fault: {problem}");
            return (ReportRow::default(), None, vec![problem]);
        }
        problems.extend(self.settle());
        let before = self.environment.audit(|audit| {
            audit.begin_round();
            audit.totals()
        });

        problems.extend(self.producer.emit_at_rate(round.rate).err());
        let tries = self.inject(round);
        sleep(Duration::from_millis(300));
        if let Err(problem) = self.producer.pause() {
            problems.push(format!("a notification has no outcome: {problem}"));
        }
        if let Err(problem) = self.producer.emit_one() {
            problems.push(format!("a notification after the faults is not accepted: {problem}"));
        }
        problems.extend(self.settle());
        let (resources, excess) = self.check_resources();
        problems.extend(excess);
        let lost = self.environment.audit(|audit| audit.lost().len() as u64);
        let after = self.environment.audit(|audit| audit.totals());
        let undelivered = after.refused + after.unknown - before.refused - before.unknown;
        if undelivered > 0 {
            // No fault of this program justifies a refusal or an unknown outcome.
            problems.push(format!("{undelivered} notifications were refused or given up"));
        }
        (ReportRow::between(before, after, tries, lost), resources, problems)
    }

    /// Injects all faults of a round at once. Returns how often they occurred.
    fn inject(&mut self, round: &FaultRound) -> u64 {
        let killed = round.faults.iter().any(|planned| planned.fault == ChaosFault::ProducerKill);
        let Self { environment, producer, .. } = self;
        let (environment, rate) = (&*environment, round.rate);
        let (on_producer, others): (Vec<_>, Vec<_>) = round
            .faults
            .iter()
            .partition(|planned| planned.fault.targets() == [FaultTarget::Producer]);
        let tries = thread::scope(|scope| {
            let threads: Vec<_> =
                others.iter().map(|planned| scope.spawn(|| inject(planned, environment))).collect();
            let on_producer = on_producer
                .iter()
                .map(|planned| inject_on_producer(planned, rate, environment, producer));
            let on_producer: u64 = on_producer.sum();
            let others = threads.into_iter().map(|thread| thread.join().expect("no fault panics"));
            on_producer + others.sum::<u64>()
        });
        if killed {
            self.baseline = None;
        }
        tries
    }

    /// Fills the producer's queue once while the link is stalled, lets it drain, and takes the
    /// resources of the idle producer as the baseline.
    fn warm_up(&mut self) -> Result<(), String> {
        let run = self.environment.run;
        run.proxy.stall(Direction::ToServer);
        // This overfills the queue.
        self.producer.emit_burst(run.queue + 1_000)?;
        sleep(Duration::from_secs(1));
        run.proxy.heal();
        self.producer.pause()?;
        self.producer.emit_one()?;
        self.baseline = Some(self.producer.settle()?.resources);
        Ok(())
    }

    /// Waits until the producer has no pending messages, and reads the queues. Returns the problems
    /// of the account and of the audit.
    fn settle(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        match self.producer.settle() {
            Ok(measurement) => problems.extend(account_problem(&measurement)),
            Err(problem) => problems.push(problem),
        }
        self.environment.drain();
        problems.extend(self.environment.compare());
        let lost = self.environment.audit(|audit| audit.lost());
        if let Some(first) = lost.first() {
            problems
                .push(format!("lost {} accepted notifications, among them {first}", lost.len()));
        }
        problems
    }

    /// Waits until the producer's resources fall to the baseline. Returns the resources, and a
    /// description of the excess if they stay higher.
    fn check_resources(&mut self) -> (Option<ProcessResources>, Option<String>) {
        let start = Instant::now();
        loop {
            let resources = match self.producer.measure() {
                Ok(measurement) => measurement.resources,
                Err(problem) => return (None, Some(problem)),
            };
            let spool = self.environment.setup.spool;
            let excess =
                self.baseline.as_ref().and_then(|baseline| resources.excess(baseline, spool));
            if excess.is_none() || start.elapsed() > RELEASE_TIMEOUT {
                return (Some(resources), excess);
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// Shuts the producer down. Returns the problems.
    fn end(self) -> Vec<String> {
        let Self { environment, producer, .. } = self;
        let mut problems = Vec::new();
        match producer.end() {
            Ok(last) => {
                problems.extend(account_problem(&last));
                if last.pending.iter().any(|&pending| pending > 0) {
                    problems.push(format!("pending messages at the end: {:?}", last.pending));
                }
            }
            Err(problem) => problems.push(problem),
        }
        environment.drain();
        problems.extend(environment.compare());
        problems
    }
}

/// Describes the problem of an account, if it has one.
fn account_problem(measurement: &ProducerMeasurement) -> Option<String> {
    if let Some(stage) = &measurement.unbalanced {
        return Some(format!("the account does not balance: {stage}"));
    }
    // No fault of this program justifies a dead letter.
    let refused = measurement.refused_later;
    (refused > 0).then(|| format!("{refused} accepted notifications became dead letters"))
}

/// The time that a producer has to release its resources.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(30);

//! The plan of a run: the faults, their moments and their lengths. Everything in it follows from
//! the seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use crate::fault::ChaosFault;
use crate::setup::{ProducerSetup, SpoolPlacement};

/// The faults of one round: one fault, or several at once.
#[derive(Clone, Debug)]
pub(crate) struct FaultRound {
    pub(crate) faults: Vec<PlannedFault>,
    /// The number of notifications per second.
    pub(crate) rate: u64,
}

/// One fault of a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedFault {
    pub(crate) fault: ChaosFault,
    /// The time from the start of the round to the start of the fault.
    pub(crate) start: Duration,
    pub(crate) length: Duration,
    /// The seed for every other choice of the fault.
    pub(crate) seed: u64,
}

impl fmt::Display for FaultRound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(|planned| {
                let PlannedFault { fault, start, length, .. } = planned;
                let (start, length) = (start.as_secs_f64(), length.as_secs_f64());
                format!("{} at {start:.2} s for {length:.2} s", fault.name())
            })
            .collect();
        write!(f, "{}; {}/s", faults.join(", "), self.rate)
    }
}

/// The plan of a run.
#[derive(Clone, Debug)]
pub(crate) struct ChaosPlan {
    pub(crate) seed: u64,
    /// Whether each fault lasts one second and occurs alone in one setup only.
    pub(crate) short: bool,
    pub(crate) faults: Vec<ChaosFault>,
    pub(crate) setups: Vec<ProducerSetup>,
}

impl ChaosPlan {
    /// Returns the setup and the rounds of one trial.
    ///
    /// A short plan has one trial for each setup, and `None` for higher numbers. Other plans never
    /// end: each trial continues its setup's [order of faults](Self::fault_order) after the
    /// previous trial of that setup.
    pub(crate) fn trial(&self, number: usize) -> Option<(ProducerSetup, Vec<FaultRound>)> {
        let turn = number / self.setups.len();
        if self.short && turn > 0 {
            return None;
        }
        let index = number % self.setups.len();
        let setup = self.setups[index];
        let order = self.fault_order(index);
        let (alone, combined) =
            if self.short { (order.len(), 1) } else { (ALONE.min(2 * order.len()), COMBINED) };
        let mut rng = Rng::with_seed(self.seed ^ (number as u64 + 1));
        let next = order.iter().cycle().skip(turn * alone).take(alone);
        let mut rounds: Vec<_> = next.map(|&fault| self.round(&mut rng, setup, &[fault])).collect();
        if self.faults.len() > 1 {
            rounds.extend((0..combined).map(|_| {
                let faults = self.combined_faults(&mut rng, setup);
                self.round(&mut rng, setup, &faults)
            }));
        }
        Some((setup, rounds))
    }

    /// Returns the faults that a setup gets alone, in order.
    ///
    /// In a short plan, each fault occurs in one setup only. In other plans, the setups start at
    /// different faults, so that every fault occurs early in the run.
    fn fault_order(&self, index: usize) -> Vec<ChaosFault> {
        let setup = self.setups[index];
        let mut order = self.faults.clone();
        Rng::with_seed(self.seed).shuffle(&mut order);
        let first = index * ALONE % order.len();
        order.rotate_left(first);
        let is_assigned = |fault: ChaosFault| {
            let mut rng = Rng::with_seed(self.seed ^ fault as u64);
            let setups = self.setups.iter().filter(|setup| fault.applies_alone_to(**setup));
            rng.choice(setups.collect::<Vec<_>>()).is_some_and(|chosen| *chosen == setup)
        };
        order.retain(|&fault| fault.applies_alone_to(setup) && (!self.short || is_assigned(fault)));
        order
    }

    /// Chooses two or three faults without a common target.
    fn combined_faults(&self, rng: &mut Rng, setup: ProducerSetup) -> Vec<ChaosFault> {
        let mut candidates: Vec<_> =
            self.faults.iter().copied().filter(|fault| fault.applies_to(setup)).collect();
        rng.shuffle(&mut candidates);
        if setup.spool == SpoolPlacement::OnSmallDisk {
            candidates.sort_by_key(|&fault| fault != ChaosFault::DiskFull);
        }
        let count = rng.usize(2..=3);
        let mut chosen: Vec<ChaosFault> = Vec::new();
        for fault in candidates {
            if chosen.len() < count && !chosen.iter().any(|other| other.conflicts_with(fault)) {
                chosen.push(fault);
            }
        }
        chosen
    }

    /// Chooses the moments, the lengths and the rate of a round.
    fn round(&self, rng: &mut Rng, setup: ProducerSetup, faults: &[ChaosFault]) -> FaultRound {
        let faults = faults.iter().map(|&fault| {
            let (latest_start, seconds) = if self.short {
                (0.5, fault.short_seconds())
            } else {
                (3.0, fault.max_seconds(setup))
            };
            let length = if self.short { seconds } else { 0.5 + rng.f64() * (seconds - 0.5) };
            PlannedFault {
                fault,
                start: Duration::from_secs_f64(rng.f64() * latest_start),
                length: Duration::from_secs_f64(length),
                seed: rng.u64(..),
            }
        });
        let faults = faults.collect();
        let rates: &[u64] = if self.short { &[200, 500] } else { &[200, 1_000, 3_000] };
        FaultRound { faults, rate: rng.choice(rates).copied().unwrap_or(200) }
    }
}

/// The number of rounds with one fault in each trial.
const ALONE: usize = 5;
/// The number of rounds with several faults in each trial.
const COMBINED: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64, short: bool) -> ChaosPlan {
        let faults = ChaosFault::ALL.map(|(fault, _)| fault).to_vec();
        ChaosPlan { seed, short, faults, setups: ProducerSetup::ALL.to_vec() }
    }

    fn trials(plan: &ChaosPlan, count: usize) -> String {
        format!("{:?}", (0..count).map(|number| plan.trial(number)).collect::<Vec<_>>())
    }

    /// `--seed` repeats a plan.
    #[test]
    fn the_plan_follows_from_the_seed() {
        assert_eq!(trials(&plan(7, false), 9), trials(&plan(7, false), 9));
        assert_ne!(trials(&plan(7, false), 9), trials(&plan(8, false), 9));
    }

    /// `--short` covers every fault.
    #[test]
    fn a_short_plan_has_every_fault_alone() {
        for seed in 0..50 {
            let plan = plan(seed, true);
            let trials: Vec<_> = (0..).map_while(|number| plan.trial(number)).collect();
            let rounds = trials.iter().flat_map(|(_, rounds)| rounds);
            let alone = rounds.filter(|round| round.faults.len() == 1);
            let faults: Vec<_> = alone.map(|round| round.faults[0].fault).collect();
            for (fault, name) in ChaosFault::ALL {
                assert!(faults.contains(&fault), "the plan of seed {seed} has no {name}");
            }
        }
    }

    /// A long run covers every fault in every setup.
    #[test]
    fn a_long_plan_has_every_fault_alone_in_every_setup() {
        let plan = plan(3, false);
        for (index, setup) in ProducerSetup::ALL.into_iter().enumerate() {
            let trials =
                (0..4).filter_map(|turn| plan.trial(turn * ProducerSetup::ALL.len() + index));
            let rounds: Vec<_> = trials.flat_map(|(_, rounds)| rounds).collect();
            let faults = ChaosFault::ALL.into_iter();
            for (fault, name) in faults.filter(|(fault, _)| fault.applies_alone_to(setup)) {
                let alone =
                    |round: &FaultRound| round.faults.len() == 1 && round.faults[0].fault == fault;
                assert!(rounds.iter().any(alone), "{setup} has no round with {name} alone");
            }
        }
    }

    /// Faults of one round do not disturb each other, and the setup can have each of them.
    #[test]
    fn faults_of_one_round_share_no_target() {
        let plan = plan(1, false);
        for (setup, rounds) in (0..50).filter_map(|number| plan.trial(number)) {
            for round in rounds {
                let targets = round.faults.iter().flat_map(|planned| planned.fault.targets());
                let targets: Vec<_> = targets.collect();
                for (index, target) in targets.iter().enumerate() {
                    assert!(!targets[..index].contains(target), "{round}");
                }
                assert!(round.faults.iter().all(|planned| planned.fault.applies_to(setup)));
            }
        }
    }
}

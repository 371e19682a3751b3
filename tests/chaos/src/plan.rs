//! What goes wrong, when and for how long: everything in it follows from the seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use crate::fault::Fault;

/// How a producer is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) strategy: Strategy,
    pub(crate) spool: Spool,
}

/// Which of the library's strategies delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    Rabbit,
    Qpid,
}

/// Whether there is a spool before it, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spool {
    None,
    OnDisk,
    /// On a file system of 4 MiB.
    OnSmallDisk,
}

impl Setup {
    pub(crate) const ALL: [Self; 5] = [
        Self { strategy: Strategy::Rabbit, spool: Spool::None },
        Self { strategy: Strategy::Rabbit, spool: Spool::OnDisk },
        Self { strategy: Strategy::Qpid, spool: Spool::None },
        Self { strategy: Strategy::Qpid, spool: Spool::OnDisk },
        Self { strategy: Strategy::Rabbit, spool: Spool::OnSmallDisk },
    ];
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.strategy {
            Strategy::Rabbit => "rabbit",
            Strategy::Qpid => "qpid",
        })?;
        f.write_str(match self.spool {
            Spool::None => "",
            Spool::OnDisk => " + spool",
            Spool::OnSmallDisk => " + spool on 4 MiB",
        })
    }
}

/// What goes wrong in one round: one fault, or several at once.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) faults: Vec<Planned>,
    /// Notifications a second.
    pub(crate) rate: u64,
}

/// One fault of a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub(crate) fault: Fault,
    /// From the round's beginning.
    pub(crate) start: Duration,
    pub(crate) length: Duration,
    /// Decides what else is left open.
    pub(crate) seed: u64,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(|planned| {
                let Planned { fault, start, length, .. } = planned;
                let (start, length) = (start.as_secs_f64(), length.as_secs_f64());
                format!("{} at {start:.2} s for {length:.2} s", fault.name())
            })
            .collect();
        write!(f, "{}; {}/s", faults.join(", "), self.rate)
    }
}

/// The plan of a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// A second for each fault, and each in one setup only.
    pub(crate) short: bool,
    pub(crate) faults: Vec<Fault>,
    pub(crate) setups: Vec<Setup>,
}

impl Plan {
    /// The rounds of one leg: a producer of one setup, and what happens to it. In a short plan there is
    /// one leg for each setup; otherwise they go on for ever, and each goes on in its setup's deck where
    /// the last one stopped.
    pub(crate) fn leg(&self, number: usize) -> Option<(Setup, Vec<Round>)> {
        let turn = number / self.setups.len();
        if self.short && turn > 0 {
            return None;
        }
        let index = number % self.setups.len();
        let setup = self.setups[index];
        let deck = self.deck(index);
        let (alone, together) =
            if self.short { (deck.len(), 1) } else { (ALONE.min(2 * deck.len()), TOGETHER) };
        let mut rng = Rng::with_seed(self.seed ^ (number as u64 + 1));
        let dealt = deck.iter().cycle().skip(turn * alone).take(alone);
        let mut rounds: Vec<_> = dealt.map(|&fault| self.round(&mut rng, &[fault])).collect();
        if self.faults.len() > 1 {
            rounds.extend((0..together).map(|_| {
                let faults = self.together(&mut rng, setup);
                self.round(&mut rng, &faults)
            }));
        }
        Some((setup, rounds))
    }

    /// The faults that are done to a setup by themselves, in the order in which they are. In a short plan
    /// each is done to one setup only; otherwise setups begin at different places, so that all faults
    /// have their turn early.
    fn deck(&self, index: usize) -> Vec<Fault> {
        let setup = self.setups[index];
        let mut deck = self.faults.clone();
        Rng::with_seed(self.seed).shuffle(&mut deck);
        let first = index * ALONE % deck.len();
        deck.rotate_left(first);
        let chosen = |fault: Fault| {
            let mut rng = Rng::with_seed(self.seed ^ fault as u64);
            let fitting = self.setups.iter().filter(|setup| fault.fits_alone(**setup));
            rng.choice(fitting.collect::<Vec<_>>()).is_some_and(|chosen| *chosen == setup)
        };
        deck.retain(|&fault| fault.fits_alone(setup) && (!self.short || chosen(fault)));
        deck
    }

    /// Two or three faults of different areas.
    fn together(&self, rng: &mut Rng, setup: Setup) -> Vec<Fault> {
        let mut deck: Vec<_> = self.faults.iter().copied().filter(|f| f.fits(setup)).collect();
        rng.shuffle(&mut deck);
        if setup.spool == Spool::OnSmallDisk {
            deck.sort_by_key(|&fault| fault != Fault::DiskFull);
        }
        let wanted = rng.usize(2..=3);
        let mut chosen: Vec<Fault> = Vec::new();
        for fault in deck {
            if chosen.len() < wanted && !chosen.iter().any(|other| other.collides(fault)) {
                chosen.push(fault);
            }
        }
        chosen
    }

    fn round(&self, rng: &mut Rng, faults: &[Fault]) -> Round {
        let faults = faults.iter().map(|&fault| {
            let (most, seconds) = if self.short { (0.5, 1.0) } else { (3.0, fault.seconds()) };
            let length = if self.short { seconds } else { 0.5 + rng.f64() * (seconds - 0.5) };
            Planned {
                fault,
                start: Duration::from_secs_f64(rng.f64() * most),
                length: Duration::from_secs_f64(length),
                seed: rng.u64(..),
            }
        });
        let faults = faults.collect();
        let rates: &[u64] = if self.short { &[200, 500] } else { &[200, 1_000, 3_000] };
        Round { faults, rate: rng.choice(rates).copied().unwrap_or(200) }
    }
}

/// Rounds of a leg with one fault, and with several.
const ALONE: usize = 5;
const TOGETHER: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64, short: bool) -> Plan {
        let faults = Fault::ALL.map(|(fault, _)| fault).to_vec();
        Plan { seed, short, faults, setups: Setup::ALL.to_vec() }
    }

    fn legs(plan: &Plan, count: usize) -> String {
        format!("{:?}", (0..count).map(|number| plan.leg(number)).collect::<Vec<_>>())
    }

    #[test]
    fn a_seed_gives_the_same_plan_and_another_gives_another() {
        assert_eq!(legs(&plan(7, false), 9), legs(&plan(7, false), 9));
        assert_ne!(legs(&plan(7, false), 9), legs(&plan(8, false), 9));
    }

    #[test]
    fn a_short_plan_has_every_fault_alone() {
        for seed in 0..50 {
            let plan = plan(seed, true);
            let legs: Vec<_> = (0..).map_while(|number| plan.leg(number)).collect();
            let rounds = legs.iter().flat_map(|(_, rounds)| rounds);
            let alone = rounds.filter(|round| round.faults.len() == 1);
            let faults: Vec<_> = alone.map(|round| round.faults[0].fault).collect();
            for (fault, name) in Fault::ALL {
                assert!(faults.contains(&fault), "seed {seed} leaves out {name}");
            }
        }
    }

    #[test]
    fn a_long_plan_has_every_fault_alone_in_every_setup_that_it_fits() {
        let plan = plan(3, false);
        for (index, setup) in Setup::ALL.into_iter().enumerate() {
            let legs = (0..4).filter_map(|turn| plan.leg(turn * Setup::ALL.len() + index));
            let rounds: Vec<_> = legs.flat_map(|(_, rounds)| rounds).collect();
            for (fault, name) in Fault::ALL.into_iter().filter(|(fault, _)| fault.fits_alone(setup))
            {
                let alone =
                    |round: &Round| round.faults.len() == 1 && round.faults[0].fault == fault;
                assert!(rounds.iter().any(alone), "{setup} is without {name}");
            }
        }
    }

    #[test]
    fn faults_of_one_area_are_never_together() {
        let plan = plan(1, false);
        for (setup, rounds) in (0..50).filter_map(|number| plan.leg(number)) {
            for round in rounds {
                let areas = round.faults.iter().flat_map(|planned| planned.fault.areas());
                let areas: Vec<_> = areas.collect();
                for (index, area) in areas.iter().enumerate() {
                    assert!(!areas[..index].contains(area), "{round}");
                }
                assert!(round.faults.iter().all(|planned| planned.fault.fits(setup)));
            }
        }
    }
}

//! What goes wrong, when and for how long: everything in it follows from the seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

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

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Connections end after so many bytes, by reset or orderly, again and again.
    Cut,
    /// Nothing gets through, one way or both.
    Stall,
    /// One byte at a time.
    Slice,
    /// Every piece is late.
    Delay,
    /// One way is closed, the other is not.
    HalfClose,
    /// Nobody listens.
    Refuse,
    /// The network takes everything and says nothing.
    BlackHole,
    /// Connections end, and the broker's name leads nowhere or to where nobody listens.
    Dns,
    /// `kill -9` and start.
    BrokerKill,
    /// SIGSTOP and SIGCONT.
    BrokerFreeze,
    /// SIGTERM and start.
    BrokerRestart,
    /// `rabbitmqctl stop_app` and `start_app`.
    BrokerStopApp,
    /// `connection.blocked`.
    Alarm,
    /// `kill -9` while it blocks, and start.
    AlarmKill,
    /// A queue is deleted between two deliveries.
    QueueDeleted,
    /// Queues lose their bindings.
    QueueUnbound,
    /// `kill -9` and start, again and again.
    ProducerKill,
    /// SIGSTOP and SIGCONT.
    ProducerFreeze,
    /// Another program fills the spool's disk, and nothing gets away from it.
    DiskFull,
}

/// What a fault happens to. Two faults of one area would be in each other's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    Link,
    Broker,
    Producer,
    Disk,
}

impl Fault {
    pub(crate) const ALL: [(Self, &'static str); 19] = [
        (Self::Cut, "cut"),
        (Self::Stall, "stall"),
        (Self::Slice, "slice"),
        (Self::Delay, "delay"),
        (Self::HalfClose, "half-close"),
        (Self::Refuse, "refuse"),
        (Self::BlackHole, "black-hole"),
        (Self::Dns, "dns"),
        (Self::BrokerKill, "broker-kill"),
        (Self::BrokerFreeze, "broker-freeze"),
        (Self::BrokerRestart, "broker-restart"),
        (Self::BrokerStopApp, "broker-stop-app"),
        (Self::Alarm, "alarm"),
        (Self::AlarmKill, "alarm-kill"),
        (Self::QueueDeleted, "queue-deleted"),
        (Self::QueueUnbound, "queue-unbound"),
        (Self::ProducerKill, "producer-kill"),
        (Self::ProducerFreeze, "producer-freeze"),
        (Self::DiskFull, "disk-full"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(fault, _)| *fault == self).map_or("", |(_, name)| name)
    }

    pub(crate) fn areas(self) -> &'static [Area] {
        match self {
            Self::Cut
            | Self::Stall
            | Self::Slice
            | Self::Delay
            | Self::HalfClose
            | Self::Refuse
            | Self::BlackHole
            | Self::Dns => &[Area::Link],
            Self::BrokerKill
            | Self::BrokerFreeze
            | Self::BrokerRestart
            | Self::BrokerStopApp
            | Self::Alarm
            | Self::AlarmKill
            | Self::QueueUnbound => &[Area::Broker],
            // These let nothing through meanwhile.
            Self::QueueDeleted => &[Area::Link, Area::Broker],
            Self::DiskFull => &[Area::Link, Area::Disk],
            Self::ProducerKill | Self::ProducerFreeze => &[Area::Producer],
        }
    }

    fn collides(self, other: Self) -> bool {
        self.areas().iter().any(|area| other.areas().contains(area))
    }

    /// Whether it can be done to this setup. RabbitMQ 3 goes on accepting over AMQP 1.0 for a queue
    /// that is gone, which is no fault of ours.
    pub(crate) fn fits(self, setup: Setup) -> bool {
        match self {
            Self::QueueDeleted | Self::QueueUnbound => setup.strategy == Strategy::Rabbit,
            Self::DiskFull => setup.spool == Spool::OnSmallDisk,
            _ => true,
        }
    }

    /// Whether it is to be done to this setup by itself: a small disk is there for what befalls disks.
    fn fits_alone(self, setup: Setup) -> bool {
        self.fits(setup) && (setup.spool != Spool::OnSmallDisk || self == Self::DiskFull)
    }

    /// Whether it takes [namespaces](crate::place) of our own.
    pub(crate) fn is_isolated(self) -> bool {
        matches!(self, Self::BlackHole | Self::Dns | Self::DiskFull)
    }

    /// How many seconds it may last.
    fn seconds(self) -> f64 {
        match self {
            Self::Stall | Self::BlackHole | Self::BrokerFreeze | Self::ProducerFreeze => 25.0,
            _ => 10.0,
        }
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
    /// The rounds of one leg: a producer of one setup, and what happens to it. Legs go on for ever; in
    /// a short plan, once round the setups.
    pub(crate) fn leg(&self, number: usize) -> Option<(Setup, Vec<Round>)> {
        if self.short && number >= self.setups.len() {
            return None;
        }
        let setup = self.setups[number % self.setups.len()];
        let mut rng = Rng::with_seed(self.seed.wrapping_add(number as u64 + 1));
        let mut deck = self.deck(setup);
        rng.shuffle(&mut deck);
        let mut rounds: Vec<_> = deck.iter().map(|&fault| self.round(&mut rng, &[fault])).collect();
        if self.faults.len() > 1 {
            let together = if self.short { 1 } else { rounds.len() };
            rounds.extend((0..together).map(|_| {
                let faults = self.together(&mut rng, setup);
                self.round(&mut rng, &faults)
            }));
        }
        Some((setup, rounds))
    }

    /// The faults that are done to a setup by themselves; in a short plan, each to one setup only.
    fn deck(&self, setup: Setup) -> Vec<Fault> {
        let chosen = |fault: Fault| {
            let mut rng = Rng::with_seed(self.seed ^ fault as u64);
            let fitting = self.setups.iter().filter(|setup| fault.fits_alone(**setup));
            rng.choice(fitting.collect::<Vec<_>>()).is_some_and(|chosen| *chosen == setup)
        };
        let here = |fault: &Fault| fault.fits_alone(setup) && (!self.short || chosen(*fault));
        self.faults.iter().copied().filter(here).collect()
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

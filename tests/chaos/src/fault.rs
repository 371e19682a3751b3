//! What can go wrong, by name; and which of it can go wrong together, and to whom.

use crate::plan::{Setup, Spool, Strategy};

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

    pub(crate) fn collides(self, other: Self) -> bool {
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
    pub(crate) fn fits_alone(self, setup: Setup) -> bool {
        self.fits(setup) && (setup.spool != Spool::OnSmallDisk || self == Self::DiskFull)
    }

    /// Whether it takes [namespaces](crate::place) of our own.
    pub(crate) fn is_isolated(self) -> bool {
        matches!(self, Self::BlackHole | Self::Dns | Self::DiskFull)
    }

    /// How many seconds it lasts at most.
    pub(crate) fn seconds(self) -> f64 {
        match self {
            Self::Stall | Self::BlackHole | Self::BrokerFreeze | Self::ProducerFreeze => 25.0,
            _ => 10.0,
        }
    }
}

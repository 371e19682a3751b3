//! The faults by name, the parts of the environment that they hit, and the setups that they apply
//! to.

use crate::setup::{BrokerStrategy, ProducerSetup, SpoolPlacement};

/// A fault of the broker, the network, the disk or the producer.
///
/// The order of the variants is part of every plan: a seed gives the same plan only while it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChaosFault {
    /// The proxy cuts connections after a number of bytes, by RST or FIN, again and again.
    Cut,
    /// The proxy forwards nothing, in one direction or both.
    Stall,
    /// The proxy forwards one byte at a time.
    Slice,
    /// The proxy delays every piece.
    Delay,
    /// The proxy closes one direction of each connection.
    HalfClose,
    /// The proxy closes its port.
    Refuse,
    /// The network drops every packet without an error.
    BlackHole,
    /// Connections end, and the broker's name resolves to no address or to one without a listener.
    Dns,
    /// The broker gets `kill -9` and starts again.
    BrokerKill,
    /// The broker gets SIGSTOP, then SIGCONT.
    BrokerFreeze,
    /// The broker gets SIGTERM and starts again.
    BrokerRestart,
    /// The broker gets `rabbitmqctl stop_app`, then `start_app`.
    BrokerStopApp,
    /// The broker sends `connection.blocked`.
    Alarm,
    /// The broker gets `kill -9` while it blocks connections, and starts again.
    AlarmKill,
    /// An operator deletes a queue between two deliveries.
    QueueDeleted,
    /// Queues lose their bindings.
    QueueUnbound,
    /// The producer gets `kill -9` and starts again, again and again.
    ProducerKill,
    /// The producer gets SIGSTOP, then SIGCONT.
    ProducerFreeze,
    /// Another program fills the spool's disk while the spool cannot forward.
    DiskFull,
    /// One queue refuses every message, because it is full.
    LaneFull,
    /// The process of one queue is suspended, so that the broker answers no message for it.
    LaneSilent,
    /// The file system of the spool is frozen: every write to it blocks.
    DiskHung,
}

/// A part of the environment that a fault hits. Two faults of one round never share a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultTarget {
    Link,
    Broker,
    Producer,
    Disk,
}

impl ChaosFault {
    /// Every fault with its name.
    pub(crate) const ALL: [(Self, &'static str); 22] = [
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
        (Self::LaneFull, "lane-full"),
        (Self::LaneSilent, "lane-silent"),
        (Self::DiskHung, "disk-hung"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(fault, _)| *fault == self).map_or("", |(_, name)| name)
    }

    /// Returns the parts of the environment that the fault hits.
    pub(crate) fn targets(self) -> &'static [FaultTarget] {
        match self {
            Self::Cut
            | Self::Stall
            | Self::Slice
            | Self::Delay
            | Self::HalfClose
            | Self::Refuse
            | Self::BlackHole
            | Self::Dns => &[FaultTarget::Link],
            Self::BrokerKill
            | Self::BrokerFreeze
            | Self::BrokerRestart
            | Self::BrokerStopApp
            | Self::Alarm
            | Self::AlarmKill
            | Self::QueueUnbound
            | Self::LaneFull
            | Self::LaneSilent => &[FaultTarget::Broker],
            // These two faults stall the link too.
            Self::QueueDeleted => &[FaultTarget::Link, FaultTarget::Broker],
            Self::DiskFull => &[FaultTarget::Link, FaultTarget::Disk],
            Self::DiskHung => &[FaultTarget::Disk],
            Self::ProducerKill | Self::ProducerFreeze => &[FaultTarget::Producer],
        }
    }

    /// Returns whether the two faults share a target.
    pub(crate) fn conflicts_with(self, other: Self) -> bool {
        self.targets().iter().any(|target| other.targets().contains(target))
    }

    /// Returns whether this setup can have the fault. RabbitMQ 3 keeps accepting messages over AMQP
    /// 1.0 for a queue that it has deleted, and no client can prevent that loss.
    pub(crate) fn applies_to(self, setup: ProducerSetup) -> bool {
        match self {
            Self::QueueDeleted | Self::QueueUnbound => setup.strategy == BrokerStrategy::Rabbit,
            Self::DiskFull | Self::DiskHung => setup.spool == SpoolPlacement::OnSmallDisk,
            _ => true,
        }
    }

    /// Returns whether this setup gets rounds with this fault alone. The setup with a small disk
    /// gets faults of the disk only.
    pub(crate) fn applies_alone_to(self, setup: ProducerSetup) -> bool {
        self.applies_to(setup)
            && (setup.spool != SpoolPlacement::OnSmallDisk
                || self.targets().contains(&FaultTarget::Disk))
    }

    /// Returns whether the producer needs [namespaces](crate::producer_host) of its own.
    pub(crate) fn needs_namespaces(self) -> bool {
        matches!(self, Self::BlackHole | Self::Dns | Self::DiskFull | Self::DiskHung)
    }

    /// Returns the longest time that the fault lasts in a setup, in seconds.
    pub(crate) fn max_seconds(self, setup: ProducerSetup) -> f64 {
        match self {
            Self::Stall | Self::BlackHole | Self::BrokerFreeze | Self::ProducerFreeze => 25.0,
            // Longer than the spool waits for its disk.
            Self::DiskHung => 45.0,
            // The producer waits until its queue has room for the lane.
            Self::LaneFull | Self::LaneSilent if setup.spool == SpoolPlacement::None => 60.0,
            // A full queue is a fault of minutes.
            Self::LaneFull | Self::LaneSilent => 150.0,
            _ => 10.0,
        }
    }

    /// Returns the time that the fault lasts in a short run, in seconds.
    pub(crate) fn short_seconds(self) -> f64 {
        match self {
            // Longer than `confirm_timeout`, so that the lane is attempted by itself.
            Self::LaneSilent => CONFIRM_TIMEOUT_SECONDS + 5.0,
            Self::LaneFull | Self::DiskHung => 3.0,
            _ => 1.0,
        }
    }
}

/// The producer's `confirm_timeout` in seconds: the time until a lane without answers counts as silent. As
/// with the defaults, it is longer than two heartbeats, which notice a broker that is silent as a whole.
pub(crate) const CONFIRM_TIMEOUT_SECONDS: f64 = 12.0;

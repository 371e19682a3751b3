//! The setups in which a producer runs: the strategy and the spool.

use std::fmt;

/// The configuration of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerSetup {
    pub(crate) strategy: BrokerStrategy,
    pub(crate) spool: SpoolPlacement,
}

/// The strategy that delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokerStrategy {
    Rabbit,
    Qpid,
}

/// The place of the spool in front of the strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpoolPlacement {
    /// No spool.
    None,
    /// On the disk of this machine.
    OnDisk,
    /// On a file system of 4 MiB, which can fill up and freeze.
    OnSmallDisk,
}

impl ProducerSetup {
    pub(crate) const ALL: [Self; 5] = [
        Self { strategy: BrokerStrategy::Rabbit, spool: SpoolPlacement::None },
        Self { strategy: BrokerStrategy::Rabbit, spool: SpoolPlacement::OnDisk },
        Self { strategy: BrokerStrategy::Qpid, spool: SpoolPlacement::None },
        Self { strategy: BrokerStrategy::Qpid, spool: SpoolPlacement::OnDisk },
        Self { strategy: BrokerStrategy::Rabbit, spool: SpoolPlacement::OnSmallDisk },
    ];
}

impl fmt::Display for ProducerSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.strategy {
            BrokerStrategy::Rabbit => "rabbit",
            BrokerStrategy::Qpid => "qpid",
        })?;
        f.write_str(match self.spool {
            SpoolPlacement::None => "",
            SpoolPlacement::OnDisk => " + spool",
            SpoolPlacement::OnSmallDisk => " + spool on 4 MiB",
        })
    }
}

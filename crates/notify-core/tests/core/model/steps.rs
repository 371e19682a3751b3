//! The steps of the program, of the destination and of time, and the setup of a case.

use std::time::Duration;

use notify_core::Priority;
use proptest::prelude::*;

use super::destination::{ConnectionFault, LaneFault};

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum PipelineStep {
    /// Emits some notifications of a priority at once, and keeps their receipts or drops them.
    Emit(Priority, SampleSize, usize, bool),
    /// Spawns a task that enqueues one notification.
    Enqueue(Priority),
    /// Spawns a task that flushes.
    Flush,
    /// Starts the worker, if it did not start yet.
    Start,
    Connection(ConnectionFault),
    Lane(Priority, Option<LaneFault>),
    /// Breaks the connection once, after this many messages of an attempt.
    BreakAfter(usize),
    /// Lets this many milliseconds pass.
    Wait(u64),
    Close,
    /// Drops the worker.
    DropWorker,
}

/// The size of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleSize {
    Small,
    /// About 2 kB.
    Large,
    /// Beyond the size limits, so that encoding fails.
    TooLarge,
}

/// The configuration of one case, and the fault that never heals.
#[derive(Clone, Debug)]
pub(crate) struct PipelineSetup {
    pub(crate) seed: u64,
    pub(crate) max_messages: usize,
    pub(crate) batch_messages: usize,
    /// The bounds in bytes of the queue and of a batch; `None` where they do not bind.
    pub(crate) bytes: Option<(usize, usize)>,
    pub(crate) drop_oldest: bool,
    pub(crate) max_age: Option<Duration>,
    pub(crate) incurable: Option<IncurableFault>,
}

/// A fault that never heals.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IncurableFault {
    Lane(Priority, LaneFault),
    /// The host is a black hole, is down or hangs.
    Connection(ConnectionFault),
}

/// Generates the setup of a case.
pub(crate) fn setup() -> impl Strategy<Value = PipelineSetup> {
    let bytes = prop::option::of((SMALLEST_QUEUE..20_000_usize, 1..8000_usize));
    let incurable = prop_oneof![
        2 => Just(None),
        6 => (priority(), fault()).prop_map(|(p, f)| Some(IncurableFault::Lane(p, f))),
        2 => connection().prop_map(|fault| Some(IncurableFault::Connection(fault))),
    ];
    let max_age = prop::option::weighted(0.3, (1..200_u64).prop_map(Duration::from_secs));
    (any::<u64>(), 1..40_usize, 1..12_usize, bytes, any::<bool>(), max_age, incurable).prop_map(
        |(seed, max_messages, batch_messages, bytes, drop_oldest, max_age, incurable)| {
            PipelineSetup {
                seed,
                max_messages,
                batch_messages,
                bytes,
                drop_oldest,
                max_age,
                incurable,
            }
        },
    )
}

/// Generates one step.
pub(crate) fn step() -> impl Strategy<Value = PipelineStep> {
    let size = prop_oneof![
        6 => Just(SampleSize::Small),
        2 => Just(SampleSize::Large),
        1 => Just(SampleSize::TooLarge),
    ];
    prop_oneof![
        12 => (priority(), size, 1..8_usize, any::<bool>())
            .prop_map(|(priority, size, count, keep)| PipelineStep::Emit(priority, size, count, keep)),
        4 => priority().prop_map(PipelineStep::Enqueue),
        2 => Just(PipelineStep::Flush),
        6 => Just(PipelineStep::Start),
        2 => connection().prop_map(PipelineStep::Connection),
        6 => (priority(), prop::option::weighted(0.7, fault()))
            .prop_map(|(priority, fault)| PipelineStep::Lane(priority, fault)),
        2 => (0..10_usize).prop_map(PipelineStep::BreakAfter),
        10 => prop_oneof![0..20_u64, 0..1_000_u64, 0..90_000_u64].prop_map(PipelineStep::Wait),
        1 => Just(PipelineStep::Close),
        1 => prop::bool::weighted(0.3).prop_map(|drop| {
            if drop { PipelineStep::DropWorker } else { PipelineStep::Wait(1) }
        }),
    ]
}

/// Generates a priority: each has a lane of its own.
fn priority() -> impl Strategy<Value = Priority> {
    prop::sample::select(Priority::DOCUMENTED)
}

/// Generates the fault of a lane.
fn fault() -> impl Strategy<Value = LaneFault> {
    prop::sample::select(&[
        LaneFault::Full,
        LaneFault::Picky,
        LaneFault::Silent,
        LaneFault::Withholding,
        LaneFault::Rejecting,
    ])
}

/// Generates the condition of the connection.
fn connection() -> impl Strategy<Value = ConnectionFault> {
    prop::sample::select(&[
        ConnectionFault::None,
        ConnectionFault::Down,
        ConnectionFault::Denied,
        ConnectionFault::BlackHole,
        ConnectionFault::Hangs,
    ])
}

/// The size limit of a message in bytes.
pub(crate) const LIMIT: usize = 4096;
/// The smallest valid `max_bytes`.
const SMALLEST_QUEUE: usize = LIMIT + 256;

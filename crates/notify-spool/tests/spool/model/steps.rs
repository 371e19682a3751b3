//! The steps of a model case, and how often each occurs.

use notify_testbed::disk::{DiskFailure, DiskFault, DiskOperation};
use proptest::prelude::*;

use super::environment::{DestinationAction, LANES, LaneFault, SendEnd};

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum ModelStep {
    /// The process emits this number of messages.
    Emit(u64),
    /// From now on, the destination takes these actions in turn and ends its attempts in this way.
    Destination(Vec<DestinationAction>, SendEnd),
    /// From now on, a lane of the destination has this fault.
    Lane(usize, Option<LaneFault>),
    /// Another process stores this number of messages and ends. Its slot becomes an orphan.
    LeaveOrphan(u64),
    /// All tasks and threads run for this number of turns, and the clock moves by this number of
    /// milliseconds.
    Proceed(u32, u64),
    /// The disk fails.
    Fail(DiskFault),
    /// The disk has this many KiB of room left.
    LimitRoom(u64),
    /// The disk hangs.
    Hang,
    /// The faults of the disk end.
    Heal,
    /// `kill -9` ends the process.
    Kill,
    /// `kill -9` ends the process, and then a byte of its slot's file changes, at this offset in KiB.
    Damage(u64),
    /// A power cut ends the process and loses or tears unsynced writes.
    CutPower,
    /// The process shuts down and gets this number of milliseconds for the drain.
    ShutDown(u64),
}

/// The settings of a case, constant over its steps.
///
/// The expectation is the same in every state and needs no reference model: see
/// `SpoolMachine::check_invariants` and `SpoolMachine::check_recovery`.
#[derive(Clone, Debug)]
pub(crate) struct ModelSettings {
    /// The seed of the simulated disk.
    pub(crate) seed: u64,
    /// The value of `spool.max_messages`.
    pub(crate) max_messages: u64,
    /// Whether `spool.when_full` is `refuse`.
    pub(crate) refuses_when_full: bool,
    /// The largest batch in front of the spool.
    pub(crate) store_batch: usize,
    /// The largest batch to the destination.
    pub(crate) forward_batch: usize,
}

/// Returns random settings.
pub(crate) fn settings() -> impl Strategy<Value = ModelSettings> {
    (any::<u64>(), prop_oneof![1..30_u64, Just(1000)], any::<bool>(), 1..20_usize, 1..20_usize)
        .prop_map(|(seed, max_messages, refuses_when_full, store_batch, forward_batch)| {
            ModelSettings { seed, max_messages, refuses_when_full, store_batch, forward_batch }
        })
}

/// Returns a random step.
pub(crate) fn step() -> impl Strategy<Value = ModelStep> {
    let action = prop_oneof![
        5 => Just(DestinationAction::Accept),
        1 => Just(DestinationAction::Retry),
        1 => Just(DestinationAction::Refuse),
        1 => Just(DestinationAction::StoreUnsettled),
        1 => Just(DestinationAction::LeaveUnsettled),
    ];
    let end = prop_oneof![
        2 => Just(SendEnd::Ok),
        1 => Just(SendEnd::Fails),
        1 => Just(SendEnd::Stalls),
    ];
    prop_oneof![
        6 => (1..20_u64).prop_map(ModelStep::Emit),
        3 => (prop::collection::vec(action, 0..5), end)
            .prop_map(|(actions, end)| ModelStep::Destination(actions, end)),
        2 => (0..LANES, lane_fault()).prop_map(|(lane, fault)| ModelStep::Lane(lane, fault)),
        1 => (1..6_u64).prop_map(ModelStep::LeaveOrphan),
        6 => (1..40_u32, 0..3000_u64)
            .prop_map(|(turns, milliseconds)| ModelStep::Proceed(turns, milliseconds)),
        3 => fault().prop_map(ModelStep::Fail),
        1 => (0..64_u64).prop_map(ModelStep::LimitRoom),
        1 => Just(ModelStep::Hang),
        2 => Just(ModelStep::Heal),
        1 => Just(ModelStep::Kill),
        1 => (0..64_u64).prop_map(ModelStep::Damage),
        2 => Just(ModelStep::CutPower),
        1 => (0..2000_u64).prop_map(ModelStep::ShutDown),
    ]
}

/// Returns a random fault of a lane, or none.
fn lane_fault() -> impl Strategy<Value = Option<LaneFault>> {
    prop_oneof![Just(None), Just(Some(LaneFault::Declines)), Just(Some(LaneFault::Silent)),]
}

/// Returns a random fault of the disk. Syncs fail most often, because their failures are the hardest to survive.
fn fault() -> impl Strategy<Value = DiskFault> {
    let on = prop_oneof![
        1 => Just(DiskOperation::Any),
        1 => Just(DiskOperation::Read),
        1 => Just(DiskOperation::Write),
        1 => Just(DiskOperation::SetLength),
        3 => Just(DiskOperation::Sync),
    ];
    let failure = prop_oneof![
        2 => Just(DiskFailure::Io),
        1 => Just(DiskFailure::Full),
        1 => Just(DiskFailure::Kill),
        1 => Just(DiskFailure::PowerCut),
    ];
    let after = prop_oneof![0..8_u64, 0..80_u64];
    (on, after, failure, any::<bool>()).prop_map(|(on, after, failure, lasting)| DiskFault {
        on,
        after,
        failure,
        lasting,
    })
}

//! What can happen to a spool, and how often.

use notify_testbed::disk::{DiskFailure, DiskFault, DiskOperation};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::world::{Act, End};

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// So many are emitted.
    Emit(u64),
    /// The destination does this with what comes, in turn, and ends its attempts so.
    Destination(Vec<Act>, End),
    /// Everybody goes on for a while: so many turns, and milliseconds.
    GoOn(u32, u64),
    /// The disk fails.
    Fail(DiskFault),
    /// The disk has no more room than this, in KiB, beside what is taken.
    Fill(u64),
    Heal,
    /// The process is killed.
    Kill,
    CutPower,
    /// The process ends as it should, within so many milliseconds.
    End(u64),
}

/// What does not change in a case. What is expected is the same in every case, and needs no model:
/// see `Machine::is_sound` and `Machine::recovers`.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) seed: u64,
    pub(crate) max_messages: u64,
    pub(crate) refuses_when_full: bool,
    pub(crate) front_batch: usize,
    pub(crate) batch: usize,
}

impl ReferenceStateMachine for Setting {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        (any::<u64>(), prop_oneof![1..30_u64, Just(1000)], any::<bool>(), 1..20_usize, 1..20_usize)
            .prop_map(|(seed, max_messages, refuses_when_full, front_batch, batch)| Self {
                seed,
                max_messages,
                refuses_when_full,
                front_batch,
                batch,
            })
            .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        let act = prop_oneof![
            5 => Just(Act::Accept),
            1 => Just(Act::Retry),
            1 => Just(Act::Refuse),
            1 => Just(Act::Swallow),
            1 => Just(Act::Leave),
        ];
        let end = prop_oneof![2 => Just(End::Ok), 1 => Just(End::Fails), 1 => Just(End::Stalls)];
        prop_oneof![
            6 => (1..20_u64).prop_map(Step::Emit),
            3 => (prop::collection::vec(act, 0..5), end)
                .prop_map(|(acts, end)| Step::Destination(acts, end)),
            6 => (1..40_u32, 0..3000_u64).prop_map(|(turns, time)| Step::GoOn(turns, time)),
            3 => fault().prop_map(Step::Fail),
            1 => (0..64_u64).prop_map(Step::Fill),
            2 => Just(Step::Heal),
            1 => Just(Step::Kill),
            2 => Just(Step::CutPower),
            1 => (0..2000_u64).prop_map(Step::End),
        ]
        .boxed()
    }

    fn apply(setting: Self, _: &Step) -> Self {
        setting
    }
}

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

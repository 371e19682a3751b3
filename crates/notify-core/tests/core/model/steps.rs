//! What can happen to the pipeline, and how often.

use proptest::prelude::*;
use proptest::strategy::Union;

use super::puppet::{Act, End, Order};
use super::reference::Worker;

/// What happens to the pipeline. After each of these it comes to rest.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// These are emitted in one go; the receipts are held, or dropped at once.
    Emit(Vec<Sort>, bool),
    /// One is emitted as soon as there is room.
    Enqueue,
    Flush,
    /// The worker begins to run.
    Start,
    /// The transport does something.
    Order(Order),
    /// The attempt takes too long.
    TimeOut,
    /// The wait after a failure passes.
    Wait,
    /// An hour passes in one moment: whatever is pending has become old.
    Age,
    Close,
    /// Shuts down with this much patience, in seconds.
    ShutDown(u64),
    DropWorker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Small,
    Large,
    /// Larger than the limits allow.
    TooLarge,
    /// Of a type that is disabled.
    Disabled,
}

#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_messages: usize,
    pub(crate) batch_messages: usize,
    /// `max_bytes` and `batch_bytes`, where they bind.
    pub(crate) bytes: Option<(usize, usize)>,
    pub(crate) drop_oldest: bool,
    /// Whether what is an hour old is given up.
    pub(crate) ages: bool,
}

impl Bounds {
    /// Whether it is known who gets room, and when: where all need the same, and room is made by
    /// nothing but verdicts.
    pub(crate) fn lines_up(&self) -> bool {
        self.bytes.is_none() && !self.ages
    }
}

pub(crate) fn bounds() -> impl Strategy<Value = Bounds> {
    let bytes = prop::option::of((super::MIN_BYTES..10_000_usize, 1..8000_usize));
    (1..12_usize, 1..6_usize, bytes, any::<bool>(), any::<bool>()).prop_map(
        |(max_messages, batch_messages, bytes, drop_oldest, ages)| Bounds {
            max_messages,
            batch_messages,
            bytes,
            drop_oldest,
            ages,
        },
    )
}

/// A step that fits what the worker does: in an attempt, with a batch of so many `places`.
pub(crate) fn step(
    bounds: &Bounds,
    worker: Worker,
    places: usize,
    emitted: usize,
) -> impl Strategy<Value = Step> + use<> {
    let sort = prop_oneof![
        6 => Just(Sort::Small),
        3 => Just(Sort::Large),
        1 => Just(Sort::TooLarge),
        1 => Just(Sort::Disabled),
    ];
    let act = prop_oneof![
        3 => Just(Act::Accept),
        2 => Just(Act::Retry),
        1 => Just(Act::Refuse),
        1 => Just(Act::Swallow),
    ];
    let end = prop_oneof![Just(End::Ok), Just(End::Transient), Just(End::Permanent)];
    let order = prop_oneof![
        3 => (0..places.max(1), act.clone()).prop_map(|(at, act)| Order::Do(at, act)),
        1 => act.prop_map(Order::DoRest),
        3 => end.prop_map(Order::End),
    ];
    let mut steps = vec![
        (
            12,
            (prop::collection::vec(sort, 1..6), any::<bool>())
                .prop_map(|(sorts, held)| Step::Emit(sorts, held))
                .boxed(),
        ),
        (2, Just(Step::Flush).boxed()),
        (1, Just(Step::Age).boxed()),
        (1, Just(Step::Close).boxed()),
    ];
    if bounds.lines_up() {
        steps.push((4, Just(Step::Enqueue).boxed()));
    }
    match worker {
        Worker::NotStarted => steps.push((20, Just(Step::Start).boxed())),
        Worker::Attempting => {
            steps.push((30, order.prop_map(Step::Order).boxed()));
            steps.push((3, Just(Step::TimeOut).boxed()));
        }
        Worker::Waiting => steps.push((20, Just(Step::Wait).boxed())),
        Worker::Idle | Worker::Gone => {}
    }
    if emitted > 10 {
        steps.push((1, (0..8_u64).prop_map(Step::ShutDown).boxed()));
        steps.push((1, Just(Step::DropWorker).boxed()));
    }
    Union::new_weighted(steps)
}

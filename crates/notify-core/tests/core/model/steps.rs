//! The steps of the state machine, and how often each of them comes.

use proptest::prelude::*;
use proptest::strategy::Union;

use super::manual_transport::{AttemptEnd, Command, MessageAction};
use super::reference::WorkerPhase;

/// One step. After each step, the pipeline runs until it waits for the next one.
#[derive(Clone, Debug)]
pub(crate) enum PipelineStep {
    /// Emits these notifications at once, and keeps their receipts or drops them.
    Emit(Vec<SampleKind>, bool),
    /// Spawns a task that enqueues one notification.
    Enqueue,
    /// Spawns a task that flushes.
    Flush,
    /// Starts the worker.
    Start,
    /// Sends a command to the attempt in flight.
    Command(Command),
    /// Lets the attempt time out.
    TimeOut,
    /// Lets the wait after a failure pass.
    Wait,
    /// Lets an hour pass, so that every pending message expires.
    Age,
    /// Closes the notifier.
    Close,
    /// Shuts the notifier down with this drain time in seconds.
    ShutDown(u64),
    /// Drops the worker.
    DropWorker,
}

/// The kind of a notification that a step emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleKind {
    Small,
    Large,
    /// Beyond the size limits, so that encoding fails.
    TooLarge,
    /// Of a disabled type.
    Disabled,
}

/// The queue's configuration in one case.
#[derive(Clone, Debug)]
pub(crate) struct QueueBounds {
    pub(crate) max_messages: usize,
    pub(crate) batch_messages: usize,
    /// `max_bytes` and `batch_bytes`; `None` where they do not bind.
    pub(crate) bytes: Option<(usize, usize)>,
    pub(crate) drop_oldest: bool,
    /// Whether messages expire after an hour.
    pub(crate) ages: bool,
}

impl QueueBounds {
    /// Returns whether the model can predict the caller that gets room.
    ///
    /// It can where all callers need the same room, and only verdicts make room.
    pub(crate) fn has_predictable_room(&self) -> bool {
        self.bytes.is_none() && !self.ages
    }
}

/// Generates the queue's configuration.
pub(crate) fn bounds() -> impl Strategy<Value = QueueBounds> {
    let bytes = prop::option::of((super::MIN_BYTES..10_000_usize, 1..8000_usize));
    (1..12_usize, 1..6_usize, bytes, any::<bool>(), any::<bool>()).prop_map(
        |(max_messages, batch_messages, bytes, drop_oldest, ages)| QueueBounds {
            max_messages,
            batch_messages,
            bytes,
            drop_oldest,
            ages,
        },
    )
}

/// Generates a step that suits the worker's phase.
///
/// `batch_len` is the size of the batch in flight, and `emitted` the number of notifications so far.
pub(crate) fn step(
    bounds: &QueueBounds,
    worker: WorkerPhase,
    batch_len: usize,
    emitted: usize,
) -> impl Strategy<Value = PipelineStep> + use<> {
    let kind = prop_oneof![
        6 => Just(SampleKind::Small),
        3 => Just(SampleKind::Large),
        1 => Just(SampleKind::TooLarge),
        1 => Just(SampleKind::Disabled),
    ];
    let action = prop_oneof![
        3 => Just(MessageAction::Accept),
        2 => Just(MessageAction::Retry),
        1 => Just(MessageAction::Refuse),
        1 => Just(MessageAction::StoreUnsettled),
    ];
    let end =
        prop_oneof![Just(AttemptEnd::Ok), Just(AttemptEnd::Transient), Just(AttemptEnd::Permanent)];
    let command = prop_oneof![
        3 => (0..batch_len.max(1), action.clone())
            .prop_map(|(index, action)| Command::Act(index, action)),
        1 => action.prop_map(Command::ActOnRest),
        3 => end.prop_map(Command::Return),
    ];
    let mut steps = vec![
        (
            12,
            (prop::collection::vec(kind, 1..6), any::<bool>())
                .prop_map(|(kinds, keep)| PipelineStep::Emit(kinds, keep))
                .boxed(),
        ),
        (2, Just(PipelineStep::Flush).boxed()),
        (1, Just(PipelineStep::Age).boxed()),
        (1, Just(PipelineStep::Close).boxed()),
    ];
    if bounds.has_predictable_room() {
        steps.push((4, Just(PipelineStep::Enqueue).boxed()));
    }
    match worker {
        WorkerPhase::NotStarted => steps.push((20, Just(PipelineStep::Start).boxed())),
        WorkerPhase::Attempting => {
            steps.push((30, command.prop_map(PipelineStep::Command).boxed()));
            steps.push((3, Just(PipelineStep::TimeOut).boxed()));
        }
        WorkerPhase::Waiting => steps.push((20, Just(PipelineStep::Wait).boxed())),
        WorkerPhase::Idle | WorkerPhase::Gone => {}
    }
    if emitted > 10 {
        steps.push((1, (0..8_u64).prop_map(PipelineStep::ShutDown).boxed()));
        steps.push((1, Just(PipelineStep::DropWorker).boxed()));
    }
    Union::new_weighted(steps)
}

//! The payloads of task events: [`Task`], [`TaskSuccess`] and [`TaskFailure`].
//!
//! A task is asynchronous work inside Glance, such as an import. Its input may hold credentials. The
//! forms on the wire are in [`task_wire`](super::task_wire).

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::words::words;
use crate::codec::json_writer::debug_as_redacted_json;

/// A task, as `task.run` and `task.processing` carry it.
///
/// `Debug` shows the task as it leaves the process: without secrets. `Serialize` writes everything.
///
/// # Examples
///
/// ```
/// use notify_core::Event;
/// use notify_core::event::{Task, TaskStatus};
/// use time::OffsetDateTime;
/// use uuid::Uuid;
///
/// let mut task =
///     Task::new(Uuid::from_u128(1), "import", TaskStatus::Pending, OffsetDateTime::now_utc());
/// task.owner = Some("6838eb7b6ded434a882cb344c77fe8df".into());
/// let event = Event::TaskRun(task.into());
/// # drop(event);
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Task {
    /// The task id.
    pub task_id: Uuid,
    /// The id of the project that owns the task, from Keystone.
    pub owner: Option<String>,
    /// The kind of work: `import`.
    pub task_type: String,
    /// The status of the task in its life cycle.
    pub status: TaskStatus,
    /// The request. It may hold credentials, which [`Redact`](crate::redact::Redact) removes from
    /// the encoded notification.
    pub task_input: Option<Map<String, Value>>,
    /// The time from which Glance may delete the record. On the wire: UTC, whole seconds.
    pub expires_at: Option<OffsetDateTime>,
    /// The creation time. On the wire: UTC, whole seconds.
    pub created_at: OffsetDateTime,
    /// The time of the last change. On the wire: UTC, whole seconds.
    pub updated_at: OffsetDateTime,
}

impl Task {
    /// Creates a task without optional facts, last changed when it was created.
    pub fn new(
        task_id: Uuid,
        task_type: impl Into<String>,
        status: TaskStatus,
        created_at: OffsetDateTime,
    ) -> Self {
        Self {
            task_id,
            owner: None,
            task_type: task_type.into(),
            status,
            task_input: None,
            expires_at: None,
            created_at,
            updated_at: created_at,
        }
    }
}

words! {
    /// The status of a task.
    pub enum TaskStatus as "task status" {
        /// The executor has not started the task.
        Pending = "pending",
        /// The executor works on the task.
        Processing = "processing",
        /// The task has succeeded.
        Success = "success",
        /// The task has failed.
        Failure = "failure",
    }
}

/// The payload of `task.success`: a task with its result.
///
/// # Examples
///
/// ```
/// use notify_core::Event;
/// use notify_core::codec::serde_json::{Map, Value};
/// use notify_core::event::{Task, TaskStatus, TaskSuccess};
/// # use time::OffsetDateTime;
/// # use uuid::Uuid;
///
/// # let now = OffsetDateTime::UNIX_EPOCH;
/// let task = Task::new(Uuid::from_u128(1), "import", TaskStatus::Success, now);
/// let result: Map<String, Value> =
///     [("image_id".to_owned(), Uuid::from_u128(2).to_string().into())].into_iter().collect();
/// let event = Event::TaskSuccess(TaskSuccess::new(task, result).into());
/// # drop(event);
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskSuccess {
    /// The task.
    pub task: Task,
    /// The result: for an import, the id of the image.
    pub result: Map<String, Value>,
}

impl TaskSuccess {
    /// Creates the payload from the task and its result.
    pub fn new(task: Task, result: Map<String, Value>) -> Self {
        Self { task, result }
    }
}

/// The payload of `task.failure`: a task with the reason of its failure.
///
/// # Examples
///
/// ```
/// use notify_core::Event;
/// use notify_core::event::{Task, TaskFailure, TaskStatus};
/// # use time::OffsetDateTime;
/// # use uuid::Uuid;
///
/// # let now = OffsetDateTime::UNIX_EPOCH;
/// let task = Task::new(Uuid::from_u128(1), "import", TaskStatus::Failure, now);
/// let event = Event::TaskFailure(TaskFailure::new(task, "checksum mismatch").into());
/// # drop(event);
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskFailure {
    /// The task.
    pub task: Task,
    /// The reason of the failure.
    pub message: String,
}

impl TaskFailure {
    /// Creates the payload from the task and the reason of its failure.
    pub fn new(task: Task, message: impl Into<String>) -> Self {
        Self { task, message: message.into() }
    }
}

debug_as_redacted_json!(Task, TaskSuccess, TaskFailure);

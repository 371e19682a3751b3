//! The payloads of task events: [`Task`], [`TaskSuccess`] and [`TaskFailure`].
//!
//! A task is asynchronous work inside Glance, such as an import. Its input may hold credentials.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::words::words;
use crate::codec::fields::{Absence, Fields};
use crate::codec::json_tree::JsonTree;
use crate::codec::json_writer::{JsonWriter, WriteJson};
use crate::codec::payload_style::PayloadStyle;
use crate::codec::payload_time::PayloadTime;
use crate::codec::wire_object::{debug_as_redacted_json, wire};

/// A task, as `task.run` and `task.processing` carry it.
///
/// `Debug` shows the task as it leaves the process: without secrets.
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

    /// Reads a task of `task.run` or `task.processing`, whose `result` and `message` are null.
    ///
    /// Returns `None` if the payload has a problem or another shape; `fields` reports which.
    pub(crate) fn read(mut fields: Fields<'_, '_>) -> Option<Self> {
        fields.expect_null("result");
        fields.expect_null("message");
        Self::read_common(fields)
    }

    /// Reads the keys that all four task events share.
    fn read_common(mut fields: Fields<'_, '_>) -> Option<Self> {
        let task_id = fields.uuid("task_id");
        let owner = fields.nullable("owner", Fields::optional_text);
        let task_type = fields.text("task_type");
        let status = fields.word("status", TaskStatus::ALL);
        let task_input = fields.nullable("task_input", Fields::optional_map);
        let expires_at = fields.optional_time("expires_at", Absence::Invalid);
        let created_at = fields.time("created_at", Absence::Invalid);
        let updated_at = fields.time("updated_at", Absence::Invalid);
        fields.mark_foreign_if_keys_remain();
        Some(Self {
            task_id: task_id?,
            owner,
            task_type: task_type?,
            status: status?,
            task_input,
            expires_at,
            created_at: created_at?,
            updated_at: updated_at?,
        })
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

    /// Reads the payload; see [`Task::read`] for the result.
    pub(crate) fn read(mut fields: Fields<'_, '_>) -> Option<Self> {
        let result = fields.map("result");
        fields.expect_null("message");
        let task = Task::read_common(fields);
        Some(Self { task: task?, result: result? })
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

    /// Reads the payload; see [`Task::read`] for the result.
    pub(crate) fn read(mut fields: Fields<'_, '_>) -> Option<Self> {
        fields.expect_null("result");
        let message = fields.text("message");
        let task = Task::read_common(fields);
        Some(Self { task: task?, message: message? })
    }
}

wire! {
    /// A task on the wire, as the specification defines it.
    struct TaskWire<'a> as "Task" {
        task_id: Uuid,
        owner: Option<&'a str>,
        task_type: &'a str,
        status: TaskStatus,
        task_input: Option<JsonTree<'a>>,
        result: Option<JsonTree<'a>>,
        message: Option<&'a str>,
        expires_at: Option<PayloadTime>,
        created_at: PayloadTime,
        updated_at: PayloadTime,
    }
}

wire! {
    /// A task on the wire, as Glance's code sends it: without input, with null result and message.
    struct GlanceTaskWire<'a> as "GlanceTask" {
        id: Uuid,
        task_type = "type": &'a str,
        status: TaskStatus,
        result: (),
        owner: Option<&'a str>,
        message: (),
        expires_at: Option<PayloadTime>,
        created_at: PayloadTime,
        updated_at: PayloadTime,
        deleted: bool,
        deleted_at: (),
    }
}

impl Task {
    /// Writes the task in the payload style of `w`. Glance's style has no result and no message.
    fn write_with(
        &self,
        result: Option<&Map<String, Value>>,
        message: Option<&str>,
        w: &mut JsonWriter,
    ) {
        match w.payloads {
            PayloadStyle::Documented => TaskWire {
                task_id: self.task_id,
                owner: self.owner.as_deref(),
                task_type: &self.task_type,
                status: self.status,
                task_input: self.task_input.as_ref().map(JsonTree::task_input),
                result: result.map(JsonTree::map),
                message,
                expires_at: self.expires_at.map(PayloadTime),
                created_at: PayloadTime(self.created_at),
                updated_at: PayloadTime(self.updated_at),
            }
            .write(w),
            PayloadStyle::Glance => GlanceTaskWire {
                id: self.task_id,
                task_type: &self.task_type,
                status: self.status,
                result: (),
                owner: self.owner.as_deref(),
                message: (),
                expires_at: self.expires_at.map(PayloadTime),
                created_at: PayloadTime(self.created_at),
                updated_at: PayloadTime(self.updated_at),
                deleted: false,
                deleted_at: (),
            }
            .write(w),
        }
    }
}

impl WriteJson for Task {
    fn write(&self, w: &mut JsonWriter) {
        self.write_with(None, None, w);
    }
}

impl WriteJson for TaskSuccess {
    fn write(&self, w: &mut JsonWriter) {
        self.task.write_with(Some(&self.result), None, w);
    }
}

impl WriteJson for TaskFailure {
    fn write(&self, w: &mut JsonWriter) {
        self.task.write_with(None, Some(&self.message), w);
    }
}

debug_as_redacted_json!(Task, TaskSuccess, TaskFailure);

//! Tasks: what they are, and what a finished one adds.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::read::{Absent, Fields};
use super::words::words;
use crate::encode::{Seconds, View};
use crate::redacted::{Text, Tree};

/// A task, as the events about a running one carry it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Task {
    /// The task's id.
    pub task_id: Uuid,
    /// The project that owns it, by Keystone's id.
    pub owner: Option<String>,
    /// What kind of work it is: `import`.
    pub task_type: String,
    /// Where it is in its life.
    pub status: TaskStatus,
    /// What it was asked to do. May hold credentials, which [`Redact`](crate::Redact) keeps in.
    pub task_input: Option<Map<String, Value>>,
    /// When its record may be deleted; written in UTC and whole seconds.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was created; written in UTC and whole seconds.
    pub created_at: OffsetDateTime,
    /// When it last changed; written in UTC and whole seconds.
    pub updated_at: OffsetDateTime,
}

impl Task {
    /// A task of `task_type` that was created at `created_at` and has not changed since.
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

    /// Reads a task that is neither done nor failed: its result and message are null.
    pub(crate) fn read(mut fields: Fields<'_, '_>) -> Option<Self> {
        fields.null("result");
        fields.null("message");
        Self::read_common(fields)
    }

    fn read_common(mut fields: Fields<'_, '_>) -> Option<Self> {
        let task_id = fields.uuid("task_id");
        let owner = fields.nullable("owner", Fields::optional_text);
        let task_type = fields.text("task_type");
        let status = fields.word("status", TaskStatus::ALL);
        let task_input = fields.nullable("task_input", Fields::optional_map);
        let expires_at = fields.optional_time("expires_at", Absent::Invalid);
        let created_at = fields.time("created_at", Absent::Invalid);
        let updated_at = fields.time("updated_at", Absent::Invalid);
        fields.no_rest();
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
    /// Where a task is in its life.
    pub enum TaskStatus {
        /// Nobody has begun it.
        Pending = "pending",
        /// It is being done.
        Processing = "processing",
        /// It is done.
        Success = "success",
        /// It failed.
        Failure = "failure",
    }
}

/// A task that succeeded, with its result.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskSuccess {
    /// The task.
    pub task: Task,
    /// What came of it.
    pub result: Map<String, Value>,
}

impl TaskSuccess {
    /// `task` succeeded with `result`.
    pub fn new(task: Task, result: Map<String, Value>) -> Self {
        Self { task, result }
    }

    pub(crate) fn read(mut fields: Fields<'_, '_>) -> Option<Self> {
        let result = fields.map("result");
        fields.null("message");
        let task = Task::read_common(fields);
        Some(Self { task: task?, result: result? })
    }
}

/// A task that failed, with the reason.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskFailure {
    /// The task.
    pub task: Task,
    /// Why it failed.
    pub message: String,
}

impl TaskFailure {
    /// `task` failed because of `message`.
    pub fn new(task: Task, message: impl Into<String>) -> Self {
        Self { task, message: message.into() }
    }

    pub(crate) fn read(mut fields: Fields<'_, '_>) -> Option<Self> {
        fields.null("result");
        let message = fields.text("message");
        let task = Task::read_common(fields);
        Some(Self { task: task?, message: message? })
    }
}

/// A task on the wire as the specification has it.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Task"))]
pub(crate) struct TaskWire<'a> {
    task_id: Uuid,
    owner: Option<Text<'a>>,
    task_type: Text<'a>,
    status: TaskStatus,
    task_input: Option<Tree<'a>>,
    result: Option<Tree<'a>>,
    message: Option<Text<'a>>,
    expires_at: Option<Seconds>,
    created_at: Seconds,
    updated_at: Seconds,
}

/// A task on the wire as Glance's code has it: no input, and neither result nor message ever.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "GlanceTask"))]
pub(crate) struct GlanceTaskWire<'a> {
    id: Uuid,
    r#type: Text<'a>,
    status: TaskStatus,
    result: (),
    owner: Option<Text<'a>>,
    message: (),
    expires_at: Option<Seconds>,
    created_at: Seconds,
    updated_at: Seconds,
    deleted: bool,
    deleted_at: (),
}

impl View<'_, Task> {
    fn serialize_with<S: Serializer>(
        &self,
        serializer: S,
        result: Option<&Map<String, Value>>,
        message: Option<&str>,
    ) -> Result<S::Ok, S::Error> {
        let task = self.value;
        let redact = self.encoding.redact;
        if self.encoding.payloads.is_glance() {
            return GlanceTaskWire {
                id: task.task_id,
                r#type: Text(&task.task_type, redact),
                status: task.status,
                result: (),
                owner: Text::optional(&task.owner, redact),
                message: (),
                expires_at: task.expires_at.map(Seconds),
                created_at: Seconds(task.created_at),
                updated_at: Seconds(task.updated_at),
                deleted: false,
                deleted_at: (),
            }
            .serialize(serializer);
        }
        TaskWire {
            task_id: task.task_id,
            owner: Text::optional(&task.owner, redact),
            task_type: Text(&task.task_type, redact),
            status: task.status,
            task_input: task.task_input.as_ref().map(|map| Tree::task_input(map, redact)),
            result: result.map(|map| Tree::map(map, redact)),
            message: message.map(|text| Text(text, redact)),
            expires_at: task.expires_at.map(Seconds),
            created_at: Seconds(task.created_at),
            updated_at: Seconds(task.updated_at),
        }
        .serialize(serializer)
    }
}

impl Serialize for View<'_, Task> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize_with(serializer, None, None)
    }
}

impl Serialize for View<'_, TaskSuccess> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let done = self.value;
        self.encoding.view(&done.task).serialize_with(serializer, Some(&done.result), None)
    }
}

impl Serialize for View<'_, TaskFailure> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let failed = self.value;
        self.encoding.view(&failed.task).serialize_with(serializer, None, Some(&failed.message))
    }
}

//! Tasks: what they are, and what a finished one adds.

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

/// A task, as the events about a running one carry it.
#[derive(Clone, PartialEq)]
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
        let expires_at = fields.optional_time("expires_at", Absence::Invalid);
        let created_at = fields.time("created_at", Absence::Invalid);
        let updated_at = fields.time("updated_at", Absence::Invalid);
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
    pub enum TaskStatus as "task status" {
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
#[derive(Clone, PartialEq)]
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
#[derive(Clone, PartialEq)]
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

wire! {
    /// A task on the wire as the specification has it.
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
    /// A task on the wire as Glance's code has it: no input, and neither result nor message ever.
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

//! Tasks on the wire: [`TaskWire`] as the specification defines it, and [`GlanceTask`] as Glance's code sends
//! it.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::task::{Task, TaskFailure, TaskStatus, TaskSuccess};
use crate::codec::payload_time::PayloadTime;
use crate::codec::wire_text::serialize_id;

/// A task as the specification defines it, for all four task events.
#[derive(Serialize, Deserialize)]
#[serde(expecting = "an object")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Task"))]
pub(super) struct TaskWire<'a> {
    #[serde(serialize_with = "serialize_id")]
    task_id: Uuid,
    owner: Option<Cow<'a, str>>,
    task_type: Cow<'a, str>,
    status: TaskStatus,
    task_input: Option<Cow<'a, Map<String, Value>>>,
    /// An object for `task.success`, otherwise null.
    result: Option<Cow<'a, Map<String, Value>>>,
    /// A text for `task.failure`, otherwise null.
    message: Option<Cow<'a, str>>,
    expires_at: Option<PayloadTime>,
    created_at: PayloadTime,
    updated_at: PayloadTime,
}

impl<'a> TaskWire<'a> {
    /// Borrows a task without result and message.
    fn new(task: &'a Task) -> Self {
        Self {
            task_id: task.task_id,
            owner: task.owner.as_deref().map(Cow::Borrowed),
            task_type: Cow::Borrowed(&task.task_type),
            status: task.status,
            task_input: task.task_input.as_ref().map(Cow::Borrowed),
            result: None,
            message: None,
            expires_at: task.expires_at.map(PayloadTime),
            created_at: PayloadTime(task.created_at),
            updated_at: PayloadTime(task.updated_at),
        }
    }

    /// Returns the task without its result and message.
    fn into_task(self) -> Task {
        let mut task = Task::new(self.task_id, self.task_type, self.status, self.created_at.0);
        task.owner = self.owner.map(Cow::into_owned);
        task.task_input = self.task_input.map(Cow::into_owned);
        task.expires_at = self.expires_at.map(|time| time.0);
        task.updated_at = self.updated_at.0;
        task
    }
}

impl Serialize for Task {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        TaskWire::new(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Task {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TaskWire::deserialize(deserializer).map(TaskWire::into_task)
    }
}

impl Serialize for TaskSuccess {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let result = Some(Cow::Borrowed(&self.result));
        TaskWire { result, ..TaskWire::new(&self.task) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TaskSuccess {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut wire = TaskWire::deserialize(deserializer)?;
        let result = wire.result.take().ok_or_else(|| D::Error::missing_field("result"))?;
        Ok(Self::new(wire.into_task(), result.into_owned()))
    }
}

impl Serialize for TaskFailure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = Some(Cow::Borrowed(self.message.as_str()));
        TaskWire { message, ..TaskWire::new(&self.task) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TaskFailure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut wire = TaskWire::deserialize(deserializer)?;
        let message = wire.message.take().ok_or_else(|| D::Error::missing_field("message"))?;
        Ok(Self::new(wire.into_task(), message))
    }
}

/// A task as Glance's code sends it: without input, with null result and message.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct GlanceTask<'a> {
    #[serde(serialize_with = "serialize_id")]
    id: Uuid,
    #[serde(rename = "type")]
    task_type: &'a str,
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

impl<'a> GlanceTask<'a> {
    /// Borrows a task.
    pub(super) fn new(task: &'a Task) -> Self {
        Self {
            id: task.task_id,
            task_type: &task.task_type,
            status: task.status,
            result: (),
            owner: task.owner.as_deref(),
            message: (),
            expires_at: task.expires_at.map(PayloadTime),
            created_at: PayloadTime(task.created_at),
            updated_at: PayloadTime(task.updated_at),
            deleted: false,
            deleted_at: (),
        }
    }
}

//! The style of typed payloads: as documented, or as Glance sends them.

use serde::{Deserialize, Serialize};

/// In whose shape the payloads of typed events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadStyle {
    /// As Glance's notification specification documents them.
    #[default]
    Documented,
    /// As Glance's code sends them: a deleted image whole, tasks as `id` and `type` without input,
    /// result and message. What Ceilometer expects.
    Glance,
}

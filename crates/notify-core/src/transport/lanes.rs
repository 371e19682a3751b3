//! The lanes of a destination, and the lane of each message.
//!
//! This module only names lanes. The pipeline decides about waiting, probes and room.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::codec::message::Message;
use crate::error::{Error, ErrorKind, Result};
use crate::event::priority::Priority;

/// One queue behind a destination, which can fail while the others work.
///
/// It is an index into the [`Lanes`] of one transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u8);

impl Lane {
    /// Returns the lane's position among its [`Lanes`], from 0.
    pub fn index(self) -> usize {
        self.0.into()
    }
}

/// The lanes of one destination, and the rule that assigns each message to one of them.
///
/// A lane is a queue behind the destination that can be full, missing or silent by itself. Messages of
/// one lane keep their order; a lane that fails delays no other.
///
/// [`Transport::lanes`](super::Transport::lanes) returns this as a value of its own, because emitters
/// name the lane of a message in many threads while the worker owns the transport. Cloning is cheap.
///
/// # Examples
///
/// A broker with one queue for each priority:
///
/// ```
/// use notify_core::transport::Lanes;
/// use notify_core::{Message, Priority};
///
/// let lanes = Lanes::by_priority(|priority| format!("notifications.{}", priority.lower()));
/// # let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"image.host1","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.123456","payload":"storage is full"}"#;
/// # let message = Message::from_body(line.to_vec())?;
/// assert_eq!(message.priority(), Priority::Error);
/// assert_eq!(lanes.name(lanes.lane(&message)), "notifications.error");
/// # Ok::<_, notify_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Lanes {
    names: Arc<[String]>,
    rule: LaneRule,
}

/// The rule that assigns a message to a lane.
#[derive(Clone)]
enum LaneRule {
    /// Every message goes to the first lane.
    One,
    /// The lane of each priority, in the order of [`Priority::ALL`].
    Priority([Lane; Priority::ALL.len()]),
    /// A transport's own rule. It returns the lane's index.
    Custom(Arc<dyn Fn(&Message) -> usize + Send + Sync>),
}

impl Lanes {
    /// The largest number of lanes.
    pub const MAX: usize = 64;

    /// Returns the lanes of a destination that fails as a whole: one, whose name is empty.
    pub fn one() -> Self {
        Self { names: Arc::new([String::new()]), rule: LaneRule::One }
    }

    /// Returns one lane for each distinct name that `name` returns for a priority.
    pub fn by_priority(name: impl Fn(Priority) -> String) -> Self {
        let mut names = Vec::new();
        let mut lanes = [Lane(0); Priority::ALL.len()];
        for (lane, priority) in lanes.iter_mut().zip(Priority::ALL) {
            let name = name(*priority);
            let index = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            *lane = Lane::at(index);
        }
        if names.len() == 1 {
            return Self { names: names.into(), rule: LaneRule::One };
        }
        Self { names: names.into(), rule: LaneRule::Priority(lanes) }
    }

    /// Returns the lanes `names`, to which `index` assigns messages.
    ///
    /// `index` is called once for each message that the program emits, and should take a few
    /// nanoseconds. It must be pure: the same message always has the same lane. An index beyond `names`
    /// means the last lane.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if there is no name, a name occurs twice, or there are more than
    /// [`MAX`](Self::MAX) names.
    ///
    /// # Examples
    ///
    /// A destination with one queue for images and one for everything else:
    ///
    /// ```
    /// use notify_core::transport::Lanes;
    ///
    /// let lanes = Lanes::by(["images", "others"], |message| {
    ///     usize::from(message.event_type().group() != "image")
    /// })?;
    /// assert_eq!(lanes.iter().map(|lane| lanes.name(lane)).collect::<Vec<_>>(), ["images", "others"]);
    /// # Ok::<_, notify_core::Error>(())
    /// ```
    pub fn by<S: Into<String>>(
        names: impl IntoIterator<Item = S>,
        index: impl Fn(&Message) -> usize + Send + Sync + 'static,
    ) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let distinct: BTreeSet<_> = names.iter().collect();
        if names.is_empty() || names.len() > Self::MAX || distinct.len() < names.len() {
            return Err(Error::new(
                ErrorKind::Config,
                format!("a destination has 1 to {} lanes with distinct names", Self::MAX),
            ));
        }
        Ok(Self { names: names.into(), rule: LaneRule::Custom(Arc::new(index)) })
    }

    /// Returns the lane of a message.
    #[inline]
    pub fn lane(&self, message: &Message) -> Lane {
        match &self.rule {
            LaneRule::One => Lane(0),
            LaneRule::Priority(lanes) => lanes[message.priority() as usize],
            LaneRule::Custom(index) => Lane::at(index(message).min(self.names.len() - 1)),
        }
    }

    /// Returns the name of a lane: a queue or a routing key. The name is empty for the lane of
    /// [`one`](Self::one), and for a lane of other `Lanes` that these do not have.
    pub fn name(&self, lane: Lane) -> &str {
        self.names.get(lane.index()).map_or("", String::as_str)
    }

    /// Returns the number of lanes, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "there is always a lane")]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns all lanes.
    pub fn iter(&self) -> impl Iterator<Item = Lane> + use<> {
        (0..self.len()).map(Lane::at)
    }
}

impl Lane {
    /// Returns the lane at an index below [`Lanes::MAX`].
    pub(crate) fn at(index: usize) -> Self {
        Self(u8::try_from(index).unwrap_or(u8::MAX))
    }
}

/// Shows the names of the lanes.
impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lanes").field(&self.names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Priorities that share a queue share a lane, and a single queue is one lane.
    #[test]
    fn priorities_with_the_same_name_share_a_lane() {
        let lanes = Lanes::by_priority(|priority| match priority {
            Priority::Error | Priority::Critical => "failures".into(),
            _ => "others".into(),
        });
        let LaneRule::Priority(of) = lanes.rule else { unreachable!() };
        assert_eq!((lanes.len(), lanes.name(of[0]), lanes.name(of[2])), (2, "others", "failures"));
        assert_eq!((of[2], of[0]), (of[4], of[6]));
        let one = Lanes::by_priority(|_| "all".into());
        assert!(matches!(one.rule, LaneRule::One));
        assert_eq!((one.len(), one.name(Lane(0)), one.name(Lane(1))), (1, "all", ""));
    }

    /// The order of the table is the order of the enum.
    #[test]
    fn the_table_is_indexed_by_priority() {
        for (index, priority) in Priority::ALL.iter().enumerate() {
            assert_eq!(*priority as usize, index);
        }
    }

    /// Lanes need distinct names, and a mask of one word holds all of them.
    #[test]
    fn refuses_no_lanes_equal_names_and_too_many_lanes() {
        assert!(Lanes::by([""; 0], |_| 0).is_err());
        assert!(Lanes::by(["a", "b", "a"], |_| 0).is_err());
        assert!(Lanes::by((0..65).map(|n| n.to_string()), |_| 0).is_err());
        assert_eq!(Lanes::by((0..64).map(|n| n.to_string()), |_| 0).unwrap().len(), 64);
    }
}

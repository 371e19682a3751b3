//! The lives of one image id in several regions.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Splits the events of one id by region: a mirrored image has the same id in each.
///
/// Events without a region, such as imported ones, belong to the only region that the id has. If it has several,
/// they are a life of their own.
pub(crate) fn by_region<T>(events: Vec<T>, region: fn(&T) -> Option<&Arc<str>>) -> Vec<Vec<T>> {
    let first = events.iter().find_map(region);
    if events.iter().filter_map(region).all(|region| Some(region) == first) {
        return vec![events];
    }
    let mut lives: BTreeMap<Option<Arc<str>>, Vec<T>> = BTreeMap::new();
    for event in events {
        lives.entry(region(&event).cloned()).or_default().push(event);
    }
    lives.into_values().collect()
}

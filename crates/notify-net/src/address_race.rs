//! TCP connections to every address of every host, in random order.
//!
//! Addresses race as in RFC 8305 ("Happy Eyeballs"): if one does not answer within 250 ms, the next is
//! tried beside it, and IPv6 and IPv4 alternate. This module knows no protocol above TCP.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use notify_core::{Error, ErrorKind};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use crate::blocking::{LOOKUPS, run_blocking};
use crate::host::Host;

/// The attempts to reach any address of any host.
pub(crate) struct AddressRace<'a> {
    /// The hosts that are not resolved yet, in random order.
    hosts: Vec<&'a Host>,
    /// The addresses that are not tried yet.
    addresses: VecDeque<(&'a Host, SocketAddr)>,
    /// The lookups and connects that are under way.
    attempts: FuturesUnordered<Attempt<'a>>,
    /// The host of each attempt.
    attempted: Vec<&'a Host>,
}

/// A lookup or a connect.
type Attempt<'a> = Pin<Box<dyn Future<Output = RaceResult<'a>> + Send + 'a>>;

/// The end of a lookup or a connect.
enum RaceResult<'a> {
    Resolved(&'a Host, io::Result<Vec<SocketAddr>>),
    Connected(&'a Host, SocketAddr, io::Result<TcpStream>),
}

impl<'a> RaceResult<'a> {
    /// Returns the host of the attempt.
    fn host(&self) -> &'a Host {
        match *self {
            Self::Resolved(host, _) | Self::Connected(host, ..) => host,
        }
    }
}

/// A TCP connection to one address of a host, or the reason why there is none.
pub(crate) type AddressResult<'a> = Result<(&'a Host, SocketAddr, TcpStream), UnreachableHost<'a>>;

/// A host or one of its addresses that gave no TCP connection.
pub(crate) struct UnreachableHost<'a> {
    pub(crate) host: &'a Host,
    /// The address whose connect failed; `None` for a lookup, and for an address without an answer.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) error: Error,
}

impl<'a> AddressRace<'a> {
    /// Creates a race that has not started.
    pub(crate) fn new(hosts: &'a [Host]) -> Self {
        let mut hosts: Vec<_> = hosts.iter().collect();
        shuffle(&mut hosts);
        let (addresses, attempts) = (VecDeque::new(), FuturesUnordered::new());
        Self { hosts, addresses, attempts, attempted: Vec::new() }
    }

    /// Returns the number of hosts and addresses that may still answer.
    pub(crate) fn remaining(&self) -> usize {
        self.hosts.len() + self.addresses.len() + self.attempts.len()
    }

    /// Returns the hosts with a lookup or an address that has not answered, perhaps more than once.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = &'a Host> {
        let addresses = self.addresses.iter().map(|(host, _)| *host);
        self.attempted.iter().copied().chain(addresses).chain(self.hosts.iter().copied())
    }

    /// Waits for the next address that answers or fails. Returns `None` after the last one, and after
    /// `deadline`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no attempt.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Option<AddressResult<'a>> {
        loop {
            if self.attempts.is_empty() && !self.start_attempt() {
                return None;
            }
            let is_more = !self.hosts.is_empty() || !self.addresses.is_empty();
            let result = tokio::select! {
                biased;
                Some(result) = self.attempts.next() => result,
                () = sleep_until(deadline) => return None,
                () = sleep(ATTEMPT_DELAY), if is_more => {
                    self.start_attempt();
                    continue;
                }
            };
            if let Some(at) = self.attempted.iter().position(|host| *host == result.host()) {
                self.attempted.swap_remove(at);
            }
            return Some(match result {
                RaceResult::Resolved(host, Ok(addresses)) if !addresses.is_empty() => {
                    self.addresses.extend(alternate(addresses).map(|address| (host, address)));
                    self.start_attempt();
                    continue;
                }
                RaceResult::Resolved(host, Ok(_)) => {
                    let message = format!("the name of {host} resolves to no address");
                    let error = Error::new(ErrorKind::Unavailable, message);
                    Err(UnreachableHost { host, address: None, error })
                }
                RaceResult::Resolved(host, Err(error)) => {
                    let error = unavailable("cannot resolve", host, error);
                    Err(UnreachableHost { host, address: None, error })
                }
                RaceResult::Connected(host, address, Ok(tcp)) => Ok((host, address, tcp)),
                RaceResult::Connected(host, address, Err(error)) => {
                    let error = unavailable("cannot connect to", host, error);
                    Err(UnreachableHost { host, address: Some(address), error })
                }
            });
        }
    }

    /// Starts the connect to the next address, or the lookup of the next host. Returns `false` if there
    /// is neither.
    fn start_attempt(&mut self) -> bool {
        if let Some((host, address)) = self.addresses.pop_front() {
            self.attempted.push(host);
            self.attempts.push(Box::pin(async move {
                RaceResult::Connected(host, address, TcpStream::connect(address).await)
            }));
            return true;
        }
        let Some(host) = self.hosts.pop() else { return false };
        self.attempted.push(host);
        self.attempts
            .push(Box::pin(async move { RaceResult::Resolved(host, resolve(host).await) }));
        true
    }
}

/// Returns the addresses of a host.
async fn resolve(host: &Host) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.name.parse() {
        return Ok(vec![SocketAddr::new(address, host.port)]);
    }
    let (name, port) = (host.name.clone(), host.port);
    let look_up = move || Ok((name.as_str(), port).to_socket_addrs()?.collect());
    run_blocking(&LOOKUPS, look_up).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Creates the error of `action`, which failed with `error`.
pub(crate) fn unavailable(action: &str, host: &Host, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{action} {host}")).with_source(error)
}

/// Orders addresses so that IPv6 and IPv4 alternate. The family that the system prefers comes first,
/// and the order within a family is random.
fn alternate(addresses: Vec<SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let is_first_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == is_first_v6);
    shuffle(&mut first);
    shuffle(&mut second);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    std::iter::from_fn(move || {
        let next = first.next().or_else(|| second.next());
        std::mem::swap(&mut first, &mut second);
        next
    })
}

/// Puts the items into a random order, so that many clients spread over the nodes of a cluster.
fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        // Without a source of randomness the item stays in its place.
        let random = getrandom::u32().map_or(last, |random| random as usize);
        items.swap(last, random % (last + 1));
    }
}

/// The time that one address has for itself (RFC 8305, section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    /// IPv6 and IPv4 alternate, and every address comes once.
    #[test]
    fn families_alternate() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let addresses =
            ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"].map(address);
        for _ in 0..20 {
            let ordered: Vec<_> = alternate(addresses.to_vec()).collect();
            let families: Vec<_> = ordered.iter().map(SocketAddr::is_ipv6).collect();
            assert_eq!(families, [true, false, true, false, true]);
            let mut sorted = ordered;
            sorted.sort();
            let mut expected = addresses.to_vec();
            expected.sort();
            assert_eq!(sorted, expected);
        }
    }

    /// A host has answered when its last attempt has ended.
    #[tokio::test]
    async fn knows_the_hosts_that_have_not_answered() {
        let closed = |name: &str| Host { name: name.into(), port: 1 };
        let hosts = [closed("127.0.0.1"), closed("127.0.0.2")];
        let mut race = AddressRace::new(&hosts);
        let deadline = Instant::now() + Duration::from_secs(30);
        for unanswered in [2, 1, 0] {
            assert_eq!(race.unanswered().count(), unanswered);
            let next = race.next(deadline).await;
            assert!(next.is_none_or(|connected| connected.is_err()), "the port is closed");
        }
    }

    /// Two orders differ, and each contains every item once.
    #[test]
    fn the_order_is_shuffled() {
        let order = || {
            let mut items: Vec<_> = (1..=8).collect();
            shuffle(&mut items);
            items
        };
        let first = order();
        assert!((0..64).any(|_| order() != first));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}

//! Free TCP ports for servers under test.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Returns a TCP port of 127.0.0.1 without a listener.
///
/// The port lies below the range from which the system takes the local ports of clients. A client
/// that retries a closed port of that range sooner or later connects to itself.
///
/// One process never gets the same port twice, and no two test processes get the same port: each
/// holds its ports until it ends. A free port alone does not suffice, because a broker
/// takes seconds to bind it, and RabbitMQ exits without a log if another one was faster.
///
/// # Panics
///
/// Panics if no port of the range is free.
pub fn free_port() -> u16 {
    let range = below_ephemeral();
    let size = range.end - range.start;
    // Each test process starts at a different port, so two of them rarely try the same one.
    let start = u16::try_from(std::process::id() * 97 % u32::from(size)).unwrap();
    for _ in 0..size {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % size;
        let port = range.start + (start + step) % size;
        if claim(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1 between {} and {}", range.start, range.end);
}

/// Takes the name of `port` until the end of this process. Returns `false` if another process has it.
///
/// The name is that of a socket in the abstract namespace, which leaves no file behind.
fn claim(port: u16) -> bool {
    let name = SocketAddr::from_abstract_name(format!("glance-notify-test-port-{port}"));
    let claim = UnixListener::bind_addr(&name.expect("the name is short"));
    claim.map(std::mem::forget).is_ok()
}

/// Returns the ports below the system's range for clients, without the well-known ports of brokers
/// and of RabbitMQ's command-line tools.
fn below_ephemeral() -> Range<u16> {
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768);
    if first > LOWEST + 1_000 { LOWEST..first.min(32_000) } else { 20_000..32_000 }
}

/// The lowest port that [`free_port`] returns.
const LOWEST: u16 = 15_700;

/// The number of ports that this process has tried.
static NEXT: AtomicU16 = AtomicU16::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    /// Two servers of one process never compete for a port.
    #[test]
    fn returns_no_port_twice() {
        let mut ports: Vec<u16> = (0..100).map(|_| free_port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 100);
    }

    /// Two servers of different processes never compete for a port: a name has one socket, so a second attempt in
    /// this process is as good as one of another process.
    #[test]
    fn claims_no_port_twice() {
        assert!(!claim(free_port()));
    }
}

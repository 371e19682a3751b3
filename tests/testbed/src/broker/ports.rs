//! Ports that nobody uses, for servers under test.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

/// A TCP port of 127.0.0.1 on which nobody listens.
///
/// It lies below those that the system gives to clients. A client that tries to reach a server that
/// is down, on a port from that range, sooner or later reaches itself.
pub fn free_port() -> u16 {
    let range = below_ephemeral();
    let size = range.end - range.start;
    // Test processes start at different places, and none offers a port twice.
    let start = u16::try_from(std::process::id() * 97 % u32::from(size)).unwrap();
    for _ in 0..size {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % size;
        let port = range.start + (start + step) % size;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port of 127.0.0.1 is free between {} and {}", range.start, range.end);
}

fn below_ephemeral() -> Range<u16> {
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768);
    // The well-known ports of brokers and the command-line tools of RabbitMQ lie outside of it.
    if first > LOWEST + 1_000 { LOWEST..first.min(32_000) } else { 20_000..32_000 }
}

const LOWEST: u16 = 15_700;

static NEXT: AtomicU16 = AtomicU16::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_offered_twice() {
        let mut ports: Vec<u16> = (0..100).map(|_| free_port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 100);
    }
}

//! The proxy does to connections what it is told.

#![expect(clippy::unwrap_used, reason = "a test may fail as it likes")]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use notify_testbed::proxy::{Direction, Disconnect, Proxy};
use notify_testbed::wait::{HANG_TIMEOUT, wait_until};

/// A server that sends back what it gets, behind a proxy.
fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let _ = std::io::copy(&mut &stream, &mut &stream);
            });
        }
    });
    Proxy::start(port)
}

fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    client.set_read_timeout(Some(HANG_TIMEOUT)).unwrap();
    client
}

/// Sends and waits for the echo.
fn exchange(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).unwrap();
    let mut echo = vec![0; bytes.len()];
    client.read_exact(&mut echo).unwrap();
    assert!(echo == bytes);
}

fn rest(client: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).map(|_| rest).map_err(|error| error.kind())
}

#[test]
fn what_is_sent_arrives_both_ways() {
    let proxy = echo();
    let bytes: Vec<u8> = (0..=250).cycle().take(3_000_000).collect();
    let mut client = connect(&proxy);
    let mut reader = client.try_clone().unwrap();
    let reader = thread::spawn(move || rest(&mut reader));
    client.write_all(&bytes).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(reader.join().unwrap().unwrap() == bytes);
    assert_eq!(proxy.forwarded_bytes(Direction::ToServer), 3_000_000);
    assert_eq!(proxy.forwarded_bytes(Direction::ToClient), 3_000_000);
    wait_until("the connection is over", || proxy.open_connections() == 0);
    assert_eq!(proxy.accepted_connections(), 1);
}

#[test]
fn a_connection_ends_orderly_after_so_many_bytes() {
    let proxy = echo();
    for limit in 0..10 {
        proxy.cut_after(Direction::ToClient, limit, Disconnect::Finish);
        let mut client = connect(&proxy);
        let _ = client.write_all(b"0123456789");
        assert_eq!(rest(&mut client).unwrap(), b"0123456789"[..usize::try_from(limit).unwrap()]);
    }
    assert_eq!(proxy.forwarded_bytes(Direction::ToClient), 45);
}

#[test]
fn a_connection_is_reset_after_so_many_bytes() {
    let proxy = echo();
    for limit in 0..10 {
        proxy.cut_after(Direction::ToServer, limit, Disconnect::Reset);
        let mut client = connect(&proxy);
        let before = proxy.forwarded_bytes(Direction::ToServer);
        if limit > 0 {
            client.write_all(b"0123456789").unwrap();
        }
        assert_eq!(rest(&mut client), Err(ErrorKind::ConnectionReset));
        assert_eq!(proxy.forwarded_bytes(Direction::ToServer) - before, limit);
    }
}

#[test]
fn what_is_open_is_cut_and_what_is_new_is_not() {
    let proxy = echo();
    for (how, end) in
        [(Disconnect::Finish, Ok(vec![])), (Disconnect::Reset, Err(ErrorKind::ConnectionReset))]
    {
        let mut client = connect(&proxy);
        exchange(&mut client, b"before");
        proxy.cut(how);
        assert_eq!(rest(&mut client), end);
        exchange(&mut connect(&proxy), b"after");
    }
}

#[test]
fn a_stalled_way_lets_nothing_through_until_it_is_resumed() {
    let proxy = echo();
    let mut client = connect(&proxy);
    exchange(&mut client, b"before");
    proxy.stall(Direction::ToClient);
    client.write_all(b"during").unwrap();
    wait_until("the other way is open", || proxy.forwarded_bytes(Direction::ToServer) == 12);
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let nothing = client.read(&mut [0]).unwrap_err().kind();
    assert_eq!((nothing, proxy.forwarded_bytes(Direction::ToClient)), (ErrorKind::WouldBlock, 6));

    proxy.resume(Direction::ToClient);
    client.set_read_timeout(Some(HANG_TIMEOUT)).unwrap();
    let mut answer = [0; 6];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"during");
}

#[test]
fn a_stalled_connection_can_be_cut() {
    let proxy = echo();
    let mut client = connect(&proxy);
    exchange(&mut client, b"before");
    proxy.stall(Direction::ToServer);
    client.write_all(b"during").unwrap();
    proxy.cut(Disconnect::Reset);
    assert_eq!(rest(&mut client), Err(ErrorKind::ConnectionReset));
    wait_until("the connection is over", || proxy.open_connections() == 0);
}

#[test]
fn bytes_go_in_slices() {
    let proxy = echo();
    let mut client = connect(&proxy);
    proxy.slice(Direction::ToServer, 1);
    exchange(&mut client, &[7; 1000]);
    assert_eq!(proxy.forwarded_pieces(Direction::ToServer), 1000);
    proxy.heal();
    exchange(&mut client, &[7; 1000]);
    assert!(proxy.forwarded_pieces(Direction::ToServer) < 1100);
}

#[test]
fn a_delayed_piece_is_on_its_way() {
    let proxy = echo();
    let mut client = connect(&proxy);
    proxy.delay(Direction::ToServer, Duration::from_millis(50));
    exchange(&mut client, b"late");

    proxy.delay(Direction::ToServer, Duration::from_secs(3600));
    client.write_all(b"very late").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    proxy.heal();
    client.set_read_timeout(Some(HANG_TIMEOUT)).unwrap();
    let mut answer = [0; 9];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"very late");
}

#[test]
fn half_of_a_connection_is_closed() {
    let proxy = echo();
    let mut client = connect(&proxy);
    exchange(&mut client, b"before");
    proxy.half_close(Direction::ToClient);
    assert_eq!(rest(&mut client), Ok(vec![]));
    client.write_all(b"still").unwrap();
    wait_until("the other half is open", || proxy.forwarded_bytes(Direction::ToServer) == 11);
    assert_eq!(proxy.forwarded_bytes(Direction::ToClient), 6);
}

#[test]
fn new_connections_are_refused_and_old_ones_stay() {
    let proxy = echo();
    let mut client = connect(&proxy);
    exchange(&mut client, b"before");
    proxy.refuse();
    let refused = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    exchange(&mut client, b"during");
    proxy.accept();
    exchange(&mut connect(&proxy), b"after");
}

#[test]
fn a_server_that_is_away_looks_like_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let proxy = Proxy::start(port);
    assert_eq!(rest(&mut connect(&proxy)), Err(ErrorKind::ConnectionReset));
}

#[test]
fn nothing_is_left_of_a_proxy() {
    let proxy = echo();
    let port = proxy.port();
    let mut client = connect(&proxy);
    exchange(&mut client, b"before");
    drop(proxy);
    assert!(rest(&mut client).is_ok_and(|rest| rest.is_empty()));
    TcpListener::bind(("127.0.0.1", port)).unwrap();
}

//! The rules of the proxy take effect on real connections.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use notify_testbed::ports::free_port;
use notify_testbed::proxy::{Direction, Disconnect, Proxy};
use notify_testbed::wait::{HANG_TIMEOUT, wait_until};

/// Starts a server that echoes every byte, and returns the proxy in front of it.
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

/// Sends `bytes` and waits for their echo.
fn exchange(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).unwrap();
    let mut echo = vec![0; bytes.len()];
    client.read_exact(&mut echo).unwrap();
    assert!(echo == bytes);
}

/// Reads until the connection ends. Returns the bytes, or the kind of the error.
fn rest(client: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).map(|_| rest).map_err(|error| error.kind())
}

/// Without rules, every byte arrives, and the counters are exact.
#[test]
fn forwards_every_byte_in_both_directions() {
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
    wait_until("the connection ends", || proxy.open_connections() == 0);
    assert_eq!(proxy.accepted_connections(), 1);
}

/// `cut_after` with `Finish` delivers exactly the bytes of the limit.
#[test]
fn finishes_a_connection_after_a_number_of_bytes() {
    let proxy = echo();
    for limit in 0..10 {
        proxy.cut_after(Direction::ToClient, limit, Disconnect::Finish);
        let mut client = connect(&proxy);
        let _ = client.write_all(b"0123456789");
        assert_eq!(rest(&mut client).unwrap(), b"0123456789"[..usize::try_from(limit).unwrap()]);
    }
    assert_eq!(proxy.forwarded_bytes(Direction::ToClient), 45);
}

/// `cut_after` with `Reset` forwards exactly the bytes of the limit.
#[test]
fn resets_a_connection_after_a_number_of_bytes() {
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

/// `cut` ends the open connections only.
#[test]
fn a_cut_spares_new_connections() {
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

/// `stall` holds one direction back; the other one works.
#[test]
fn a_stalled_direction_forwards_nothing_until_it_resumes() {
    let proxy = echo();
    let mut client = connect(&proxy);
    exchange(&mut client, b"before");
    proxy.stall(Direction::ToClient);
    client.write_all(b"during").unwrap();
    wait_until("the other direction forwards", || proxy.forwarded_bytes(Direction::ToServer) == 12);
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let error = client.read(&mut [0]).unwrap_err().kind();
    assert_eq!((error, proxy.forwarded_bytes(Direction::ToClient)), (ErrorKind::WouldBlock, 6));

    proxy.resume(Direction::ToClient);
    client.set_read_timeout(Some(HANG_TIMEOUT)).unwrap();
    let mut answer = [0; 6];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"during");
}

/// A stall does not protect a connection from a cut.
#[test]
fn cuts_a_stalled_connection() {
    let proxy = echo();
    let mut client = connect(&proxy);
    exchange(&mut client, b"before");
    proxy.stall(Direction::ToServer);
    client.write_all(b"during").unwrap();
    proxy.cut(Disconnect::Reset);
    assert_eq!(rest(&mut client), Err(ErrorKind::ConnectionReset));
    wait_until("the connection ends", || proxy.open_connections() == 0);
}

/// `slice` limits the size of the pieces until `heal`.
#[test]
fn slices_bytes_until_it_heals() {
    let proxy = echo();
    let mut client = connect(&proxy);
    proxy.slice(Direction::ToServer, 1);
    exchange(&mut client, &[7; 1000]);
    assert_eq!(proxy.forwarded_pieces(Direction::ToServer), 1000);
    proxy.heal();
    exchange(&mut client, &[7; 1000]);
    assert!(proxy.forwarded_pieces(Direction::ToServer) < 1100);
}

/// `delay` holds each piece back for its time, and `heal` ends the wait.
#[test]
fn delays_bytes_until_it_heals() {
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

/// `half_close` closes one direction; the other one works.
#[test]
fn half_closes_a_connection() {
    let proxy = echo();
    let mut client = connect(&proxy);
    exchange(&mut client, b"before");
    proxy.half_close(Direction::ToClient);
    assert_eq!(rest(&mut client), Ok(vec![]));
    client.write_all(b"still").unwrap();
    wait_until("the other direction forwards", || proxy.forwarded_bytes(Direction::ToServer) == 11);
    assert_eq!(proxy.forwarded_bytes(Direction::ToClient), 6);
}

/// `refuse` closes the port and no connection.
#[test]
fn refuses_new_connections_and_keeps_open_ones() {
    let proxy = echo();
    let mut client = connect(&proxy);
    exchange(&mut client, b"before");
    proxy.refuse();
    let error = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    exchange(&mut client, b"during");
    proxy.accept();
    exchange(&mut connect(&proxy), b"after");
}

/// The proxy accepts a client before it reaches the server, so the client sees a reset.
#[test]
fn resets_the_client_if_the_server_is_down() {
    let proxy = Proxy::start(free_port());
    assert_eq!(rest(&mut connect(&proxy)), Err(ErrorKind::ConnectionReset));
}

/// Dropping a proxy closes its connections and frees its port.
#[test]
fn dropping_a_proxy_frees_its_port() {
    let proxy = echo();
    let port = proxy.port();
    let mut client = connect(&proxy);
    exchange(&mut client, b"before");
    drop(proxy);
    assert!(rest(&mut client).is_ok_and(|rest| rest.is_empty()));
    TcpListener::bind(("127.0.0.1", port)).unwrap();
}

//! Hostile peers, which send frames that no broker sends.

use std::time::Duration;

use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_core::Transport as _;
use notify_qpid::Qpid;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::support::{config, within};

/// No frame crashes the process, exhausts its memory or disables the transport: each gives a
/// transient error.
#[tokio::test(flavor = "multi_thread")]
async fn survives_a_hostile_peer() {
    let message = samples::messages(0..1);
    for (name, open) in [
        ("nested lists", open(&nested(100))),
        ("lists nested deeply", open(&nested(5_000))),
        ("lists nested as deeply as a frame holds", open(&nested(25_000))),
        ("a frame of 4 GiB", [&u32::MAX.to_be_bytes()[..], &[2, 0, 0, 0], &[0; 64]].concat()),
        ("a frame of nothing", vec![0; 64]),
        (
            "a list longer than its frame",
            frame(0, b"\x00\x53\x10\xd0\x7f\xff\xff\xff\x7f\xff\xff\xff"),
        ),
        ("garbage", (0..=255).cycle().take(4096).collect()),
    ] {
        let url = serve(open).await;
        let mut transport = Qpid::new(config(&url, json!({ "connect_timeout": 2 }))).unwrap();
        for _ in 0..2 {
            let error = within(send_once(&mut transport, &message)).await.result.unwrap_err();
            assert!(error.is_transient(), "{name}: {error:?}");
        }
    }
}

/// No nesting from a peer overflows a stack: every performative after the Open, and the annotations of a
/// message, end in an error that names the nesting.
#[tokio::test(flavor = "multi_thread")]
async fn no_nesting_from_a_peer_overflows_a_stack() {
    let message = samples::messages(0..1);
    let performative = |code: u8, value: &[u8]| {
        let fields = [&[0x40; 7], value].concat();
        [b"\x00\x53", &[code][..], &sized(0xd0, 8, &fields)].concat()
    };
    let transfer = {
        let annotations = [b"\x00\x53\x72", &nested(8_000)[..]].concat();
        [b"\x00\x53\x14\xc0\x03\x01\x52\x00", &annotations[..]].concat()
    };
    // A descriptor may be a described value too.
    let descriptors = vec![0; 100_000];
    for (name, body) in [
        ("Open", open(&nested(8_000))[8..].to_vec()),
        ("Begin", performative(0x11, &nested(8_000))),
        ("Attach", performative(0x12, &nested(8_000))),
        ("Flow", performative(0x13, &nested(8_000))),
        ("Transfer", transfer),
        ("Disposition", performative(0x15, &nested(8_000))),
        ("Detach", performative(0x16, &nested(8_000))),
        ("End", performative(0x17, &nested(8_000))),
        ("Close", performative(0x18, &nested(8_000))),
        ("descriptors", descriptors),
    ] {
        let greeting = if name == "Open" { Vec::new() } else { open(&[0x40]) };
        let url = serve([greeting, frame(0, &body)].concat()).await;
        let mut transport = Qpid::new(config(&url, json!({ "connect_timeout": 30 }))).unwrap();
        let error = within(send_once(&mut transport, &message)).await.result.unwrap_err();
        assert!(error.is_transient(), "{name}: {error:?}");
        assert!(error.to_string().contains("nested too deeply"), "{name}: {error:?}");
        let error = within(transport.check()).await.unwrap_err();
        assert!(error.to_string().contains("nested too deeply"), "{name}: {error:?}");
    }
}

/// A disposition of four billion deliveries ends the connection, because the client would look up each one.
#[tokio::test(flavor = "multi_thread")]
async fn no_disposition_of_a_peer_blocks_a_thread() {
    let fields = sized(0xd0, 4, b"\x41\x43\x70\xff\xff\xff\xff\x41");
    let body = [b"\x00\x53\x15", &fields[..]].concat();
    let url = serve([open(&[0x40]), frame(0, &body)].concat()).await;
    let mut transport = Qpid::new(config(&url, json!({ "connect_timeout": 30 }))).unwrap();
    let error = within(send_once(&mut transport, &samples::messages(0..1))).await.result;
    let error = error.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(error.to_string().contains("settled messages that were never sent"), "{error:?}");
}

/// Returns the frame of an Open with `value` as a property.
fn open(value: &[u8]) -> Vec<u8> {
    let entries = [b"\xa3\x01k", value].concat();
    let properties = sized(0xd1, 2, &entries);
    let fields = [b"\xa1\x01x", &[0x40; 8][..], &properties].concat();
    frame(0, &[b"\x00\x53\x10", &sized(0xd0, 10, &fields)[..]].concat())
}

/// Returns `depth` lists, each inside the next.
fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(vec![0x45], |inner, _| sized(0xd0, 1, &inner))
}

/// Returns a list or a map of AMQP 1.0 whose size takes four bytes.
fn sized(constructor: u8, count: u32, items: &[u8]) -> Vec<u8> {
    let size = u32::try_from(items.len() + 4).unwrap();
    [&[constructor][..], &size.to_be_bytes(), &count.to_be_bytes(), items].concat()
}

/// Returns a frame of a type: 0 for AMQP, 1 for SASL.
fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], &[2, kind, 0, 0], body].concat()
}

/// Starts a peer that accepts every login and then sends `open`. Returns its URL.
async fn serve(open: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}", listener.local_addr().unwrap());
    let mechanisms = frame(1, b"\x00\x53\x40\xc0\x0c\x01\xa3\x09ANONYMOUS");
    let outcome = frame(1, b"\x00\x53\x44\xc0\x03\x01\x50\x00");
    let header = |protocol| [b'A', b'M', b'Q', b'P', protocol, 1, 0, 0];
    let answer = [&header(3)[..], &mechanisms, &outcome, &header(0), &open].concat();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            // A client that closes early has read enough.
            let _ = tcp.write_all(&answer).await;
            let mut sink = tokio::io::sink();
            let read = tokio::io::copy(&mut tcp, &mut sink);
            let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
        }
    });
    url
}

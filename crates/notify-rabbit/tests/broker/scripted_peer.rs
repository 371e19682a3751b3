//! A peer that speaks just enough AMQP 0-9-1 to mislead a client.
//!
//! It accepts every login and every declaration, and answers publishes as its script says. The methods
//! that it knows (AMQP 0-9-1, class and method):
//!
//! | method | answer |
//! |---|---|
//! | 10 11 `connection.start-ok` | 10 30 `connection.tune` with the script's frame limit |
//! | 10 40 `connection.open` | 10 41 `connection.open-ok`, and the script's extra bytes |
//! | 20 10 `channel.open` | 20 11 `channel.open-ok` |
//! | 50 10 `queue.declare` | 50 11 `queue.declare-ok` of an empty queue `q` |
//! | 60 10 `basic.qos` | 60 11 `basic.qos-ok` |
//! | 60 20 `basic.consume` | the script's answer, or 60 21 `basic.consume-ok` without any message |
//! | 60 40 `basic.publish` | the script's answer, once no more frames arrive |
//! | others of classes 10, 20, 40, 50 and 85 | the method with the next number |

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The behaviour of a peer where it differs from a broker.
pub(crate) struct PeerScript {
    /// The bytes in place of the Connection.Start frame.
    pub(crate) start: Vec<u8>,
    /// The offered size limit of frames, in bytes.
    pub(crate) frame_max: u32,
    /// The bytes that follow the opening of the connection.
    pub(crate) after_open: Vec<u8>,
    /// Returns the answer to the messages since the last answer. The peer calls it when no more
    /// frames arrive.
    pub(crate) answer: fn(&[PublishedMessage]) -> Vec<u8>,
    /// Returns the answer to a declaration of a queue, by the number of the declaration, from 1 and over
    /// all connections, and its channel. `None` declares the queue.
    pub(crate) answer_declare: fn(usize, u16) -> Option<Vec<u8>>,
    /// Returns the answer to the start of a consumer, by the number of the connection, from 1, and its
    /// channel. `None` starts the consumer.
    pub(crate) answer_consume: fn(usize, u16) -> Option<Vec<u8>>,
    /// Whether the peer never answers a declaration of an exchange.
    pub(crate) ignores_exchange: bool,
    /// Whether the peer never answers the close of a connection.
    pub(crate) ignores_close: bool,
    /// The number of connections so far.
    pub(crate) connections: AtomicUsize,
    /// The number of declarations so far.
    pub(crate) declares: AtomicUsize,
    /// The number of consumers so far.
    pub(crate) consumers: AtomicUsize,
}

/// A message that the peer received.
#[derive(Debug)]
pub(crate) struct PublishedMessage {
    /// The channel.
    pub(crate) channel: u16,
    /// The delivery tag: the message's number on its channel, from 1.
    pub(crate) tag: u64,
    /// The routing key.
    pub(crate) routing_key: String,
    /// The payload of the content header's frame.
    pub(crate) header: Vec<u8>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// A peer that acknowledges every message.
impl Default for PeerScript {
    fn default() -> Self {
        Self {
            start: start_frame(&[]),
            frame_max: 131_072,
            after_open: Vec::new(),
            answer: |publishes| publishes.iter().flat_map(|publish| publish.ack(false)).collect(),
            answer_declare: |_, _| None,
            answer_consume: |_, _| None,
            ignores_exchange: false,
            ignores_close: false,
            connections: AtomicUsize::new(0),
            declares: AtomicUsize::new(0),
            consumers: AtomicUsize::new(0),
        }
    }
}

impl PeerScript {
    /// Serves every connection to a free port until the runtime ends. Returns the URL.
    pub(crate) async fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|e| panic!("{e}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        tokio::spawn(async move {
            let script = std::sync::Arc::new(self);
            while let Ok((socket, _)) = listener.accept().await {
                let script = std::sync::Arc::clone(&script);
                tokio::spawn(async move { script.handle_connection(socket).await });
            }
        });
        format!("amqp://guest:guest@127.0.0.1:{port}/")
    }

    /// Answers one client until it closes the connection.
    async fn handle_connection(&self, mut socket: TcpStream) -> Option<()> {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        socket.read_exact(&mut [0; 8]).await.ok()?;
        socket.write_all(&self.start).await.ok()?;
        let mut publishes: Vec<PublishedMessage> = Vec::new();
        let mut tags = HashMap::new();
        loop {
            let next = tokio::time::timeout(IDLE_TIME, read_frame(&mut socket)).await;
            let (kind, channel, payload) = match next {
                Ok(frame) => frame?,
                Err(_) if publishes.is_empty() => read_frame(&mut socket).await?,
                Err(_) => {
                    let answer = (self.answer)(&publishes);
                    publishes.clear();
                    socket.write_all(&answer).await.ok()?;
                    continue;
                }
            };
            let reply = match (
                kind,
                payload.first_chunk().map(|[_, class, _, method]| (*class, *method)),
            ) {
                (1, Some((60, 40))) => {
                    // A reserved word, the exchange and the routing key.
                    let exchange = usize::from(payload[6]);
                    let key = 7 + exchange;
                    let routing_key = &payload[key + 1..=key + usize::from(payload[key])];
                    let tag: &mut u64 = tags.entry(channel).or_default();
                    *tag += 1;
                    publishes.push(PublishedMessage {
                        channel,
                        tag: *tag,
                        routing_key: String::from_utf8_lossy(routing_key).into_owned(),
                        header: Vec::new(),
                        body: Vec::new(),
                    });
                    continue;
                }
                (2, _) => {
                    publishes.last_mut()?.header = payload;
                    continue;
                }
                (3, _) => {
                    publishes.last_mut()?.body.extend(payload);
                    continue;
                }
                (1, Some((10, 11))) => {
                    let mut tune = 2047_u16.to_be_bytes().to_vec();
                    tune.extend(self.frame_max.to_be_bytes());
                    tune.extend(0_u16.to_be_bytes());
                    method_frame(0, 10, 30, &tune)
                }
                (1, Some((10, 40))) => {
                    [method_frame(0, 10, 41, &[0]), self.after_open.clone()].concat()
                }
                (1, Some((20, 10))) => {
                    tags.remove(&channel);
                    method_frame(channel, 20, 11, &[0; 4])
                }
                (1, Some((50, 10))) => {
                    let number = self.declares.fetch_add(1, Ordering::Relaxed) + 1;
                    (self.answer_declare)(number, channel).unwrap_or_else(|| {
                        method_frame(channel, 50, 11, &[&[1, b'q'][..], &[0; 8]].concat())
                    })
                }
                (1, Some((60, 10))) => method_frame(channel, 60, 11, &[]),
                (1, Some((60, 20))) => {
                    let number = self.consumers.fetch_add(1, Ordering::Relaxed) + 1;
                    (self.answer_consume)(connection, channel).unwrap_or_else(|| {
                        let tag = format!("consumer {number}");
                        let length = u8::try_from(tag.len()).unwrap_or(0);
                        method_frame(channel, 60, 21, &[&[length][..], tag.as_bytes()].concat())
                    })
                }
                (1, Some((40, 10))) if self.ignores_exchange => continue,
                // The answer to exchange.unbind breaks the rule below.
                (1, Some((40, 40))) => method_frame(channel, 40, 51, &[]),
                // The client confirms the end of a channel or of the connection.
                (1, Some((20, 41))) => continue,
                (1, Some((10, 51))) => return None,
                (1, Some((10, 50))) if self.ignores_close => continue,
                // The answer to every other method is the method with the next number.
                (1, Some((class @ (10 | 20 | 40 | 50 | 85), asked)))
                    if (class, asked) != (10, 31) =>
                {
                    method_frame(channel, class, asked + 1, &[])
                }
                _ => continue,
            };
            socket.write_all(&reply).await.ok()?;
        }
    }
}

impl PublishedMessage {
    /// Returns a `basic.ack` frame, for this message or for all up to it.
    pub(crate) fn ack(&self, multiple: bool) -> Vec<u8> {
        self.confirm(80, &[u8::from(multiple)])
    }

    /// Returns a `basic.nack` frame, for this message or for all up to it.
    pub(crate) fn nack(&self, multiple: bool) -> Vec<u8> {
        self.confirm(120, &[u8::from(multiple)])
    }

    /// Returns a confirm with the method `number`.
    fn confirm(&self, number: u8, flags: &[u8]) -> Vec<u8> {
        method_frame(self.channel, 60, number, &[&self.tag.to_be_bytes(), flags].concat())
    }

    /// Returns the frames of a `basic.return` with the reason `312 NO_ROUTE`: the method, the received
    /// content header and the body.
    pub(crate) fn return_unroutable(&self) -> Vec<u8> {
        self.return_with(&self.header)
    }

    /// Returns the frames of a `basic.return` without any property of the message.
    pub(crate) fn return_anonymously(&self) -> Vec<u8> {
        let size = self.body.len() as u64;
        self.return_with(&[&[0, 60, 0, 0][..], &size.to_be_bytes(), &[0, 0]].concat())
    }

    /// Returns the frames of a `basic.return` with this content header.
    fn return_with(&self, header: &[u8]) -> Vec<u8> {
        let mut arguments = 312_u16.to_be_bytes().to_vec();
        for text in ["NO_ROUTE", "glance", &self.routing_key] {
            arguments.push(u8::try_from(text.len()).unwrap_or(0));
            arguments.extend(text.as_bytes());
        }
        let header = frame(2, self.channel, header);
        let body = frame(3, self.channel, &self.body);
        [method_frame(self.channel, 60, 50, &arguments), header, body].concat()
    }
}

/// Returns the frame by which a broker closes a channel (20 40) or, on channel 0, the connection (10 50).
pub(crate) fn close_frame(channel: u16, code: u16, text: &str) -> Vec<u8> {
    let mut arguments = code.to_be_bytes().to_vec();
    arguments.push(u8::try_from(text.len()).unwrap_or(0));
    arguments.extend(text.as_bytes());
    // The method that failed: queue.declare.
    arguments.extend([0, 50, 0, 10]);
    let (class, number) = if channel == 0 { (10, 50) } else { (20, 40) };
    method_frame(channel, class, number, &arguments)
}

/// Returns a Connection.Start frame with the server properties `table`, the mechanism `PLAIN` and the
/// locale `en_US`.
pub(crate) fn start_frame(table: &[u8]) -> Vec<u8> {
    let mut arguments = vec![0, 9];
    for bytes in [table, b"PLAIN", b"en_US"] {
        arguments.extend(u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes());
        arguments.extend(bytes);
    }
    method_frame(0, 10, 10, &arguments)
}

/// Returns `depth` tables inside each other, each with a key of zero bytes.
pub(crate) fn nested_tables(depth: usize) -> Vec<u8> {
    let mut table = Vec::new();
    for _ in 0..depth {
        let mut outer = vec![0, b'F'];
        outer.extend(u32::try_from(table.len()).unwrap_or(0).to_be_bytes());
        outer.append(&mut table);
        table = outer;
    }
    table
}

/// Returns the frame of a method.
pub(crate) fn method_frame(channel: u16, class: u8, number: u8, arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&[0, class, 0, number], arguments].concat())
}

/// Returns any frame.
pub(crate) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend(u32::try_from(payload.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(payload);
    bytes.push(0xce);
    bytes
}

/// Reads one frame: its type, channel and payload. Returns `None` at the end of the stream.
async fn read_frame(socket: &mut TcpStream) -> Option<(u8, u16, Vec<u8>)> {
    let mut header = [0; 7];
    // The caller may cancel this before the first byte only: the rest of a frame follows at once.
    socket.peek(&mut [0; 1]).await.ok().filter(|&read| read > 0)?;
    socket.read_exact(&mut header).await.ok()?;
    let [kind, c0, c1, size @ ..] = header;
    let mut payload = vec![0; u32::from_be_bytes(size) as usize + 1];
    socket.read_exact(&mut payload).await.ok()?;
    payload.pop();
    Some((kind, u16::from_be_bytes([c0, c1]), payload))
}

/// The time without a frame after which the peer answers.
const IDLE_TIME: Duration = Duration::from_millis(100);

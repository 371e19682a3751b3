//! A peer that speaks just enough AMQP 0-9-1 to be lied to by: it logs everybody in, declares
//! whatever is asked for, and answers publishes as its script says.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the peer does differently from a broker.
pub(crate) struct Script {
    /// Stands in for the Connection.Start frame.
    pub(crate) start: Vec<u8>,
    /// The largest frame that is offered.
    pub(crate) frame_max: u32,
    /// Sent once the connection is open.
    pub(crate) after_open: Vec<u8>,
    /// Answers what was published since the last answer, when nothing more comes.
    pub(crate) answer: fn(&[Publish]) -> Vec<u8>,
}

/// One message as it was published.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(crate) channel: u16,
    pub(crate) tag: u64,
    pub(crate) routing_key: String,
    /// The payload of the content header's frame.
    pub(crate) header: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            start: start(&[]),
            frame_max: 131_072,
            after_open: Vec::new(),
            answer: |publishes| publishes.iter().flat_map(|publish| publish.ack(false)).collect(),
        }
    }
}

impl Script {
    /// Plays it to everybody who connects; returns the URL.
    pub(crate) async fn play(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|e| panic!("{e}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        tokio::spawn(async move {
            let script = std::sync::Arc::new(self);
            while let Ok((socket, _)) = listener.accept().await {
                let script = std::sync::Arc::clone(&script);
                tokio::spawn(async move { script.talk(socket).await });
            }
        });
        format!("amqp://guest:guest@127.0.0.1:{port}/")
    }

    /// Until the other side goes.
    async fn talk(&self, mut socket: TcpStream) -> Option<()> {
        socket.read_exact(&mut [0; 8]).await.ok()?;
        socket.write_all(&self.start).await.ok()?;
        let mut publishes: Vec<Publish> = Vec::new();
        let mut tags = HashMap::new();
        loop {
            let next = tokio::time::timeout(IDLE, frame(&mut socket)).await;
            let (kind, channel, payload) = match next {
                Ok(frame) => frame?,
                Err(_) if publishes.is_empty() => frame(&mut socket).await?,
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
                    // Reserved, exchange, routing key.
                    let exchange = usize::from(payload[6]);
                    let key = 7 + exchange;
                    let routing_key = &payload[key + 1..=key + usize::from(payload[key])];
                    let tag: &mut u64 = tags.entry(channel).or_default();
                    *tag += 1;
                    publishes.push(Publish {
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
                    method(0, 10, 30, &tune)
                }
                (1, Some((10, 40))) => [method(0, 10, 41, &[0]), self.after_open.clone()].concat(),
                (1, Some((20, 10))) => {
                    tags.remove(&channel);
                    method(channel, 20, 11, &[0; 4])
                }
                (1, Some((50, 10))) => method(channel, 50, 11, &[&[1, b'q'][..], &[0; 8]].concat()),
                // Everything else is answered by the method of the next number.
                (1, Some((class @ (10 | 20 | 40 | 50 | 85), asked)))
                    if (class, asked) != (10, 31) =>
                {
                    method(channel, class, asked + 1, &[])
                }
                _ => continue,
            };
            socket.write_all(&reply).await.ok()?;
        }
    }
}

impl Publish {
    pub(crate) fn ack(&self, multiple: bool) -> Vec<u8> {
        self.confirm(80, &[u8::from(multiple)])
    }

    pub(crate) fn nack(&self, multiple: bool) -> Vec<u8> {
        self.confirm(120, &[u8::from(multiple)])
    }

    fn confirm(&self, number: u8, flags: &[u8]) -> Vec<u8> {
        method(self.channel, 60, number, &[&self.tag.to_be_bytes(), flags].concat())
    }

    /// The message comes back as unroutable.
    pub(crate) fn returned(&self) -> Vec<u8> {
        let mut arguments = 312_u16.to_be_bytes().to_vec();
        for text in ["NO_ROUTE", "glance", &self.routing_key] {
            arguments.push(u8::try_from(text.len()).unwrap_or(0));
            arguments.extend(text.as_bytes());
        }
        let header = raw(2, self.channel, &self.header);
        let body = raw(3, self.channel, &self.body);
        [method(self.channel, 60, 50, &arguments), header, body].concat()
    }
}

/// A Connection.Start whose server properties are `table`.
pub(crate) fn start(table: &[u8]) -> Vec<u8> {
    let mut arguments = vec![0, 9];
    for bytes in [table, b"PLAIN", b"en_US"] {
        arguments.extend(u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes());
        arguments.extend(bytes);
    }
    method(0, 10, 10, &arguments)
}

/// Tables inside each other.
pub(crate) fn nested(depth: usize) -> Vec<u8> {
    let mut table = Vec::new();
    for _ in 0..depth {
        let mut outer = vec![0, b'F'];
        outer.extend(u32::try_from(table.len()).unwrap_or(0).to_be_bytes());
        outer.append(&mut table);
        table = outer;
    }
    table
}

/// A method's frame.
pub(crate) fn method(channel: u16, class: u8, number: u8, arguments: &[u8]) -> Vec<u8> {
    raw(1, channel, &[&[0, class, 0, number], arguments].concat())
}

/// Any frame.
pub(crate) fn raw(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(channel.to_be_bytes());
    frame.extend(u32::try_from(payload.len()).unwrap_or(0).to_be_bytes());
    frame.extend(payload);
    frame.push(0xce);
    frame
}

async fn frame(socket: &mut TcpStream) -> Option<(u8, u16, Vec<u8>)> {
    let mut header = [0; 7];
    // Cancelled before the first byte only: the rest of a frame follows at once.
    socket.peek(&mut [0; 1]).await.ok().filter(|&read| read > 0)?;
    socket.read_exact(&mut header).await.ok()?;
    let [kind, c0, c1, size @ ..] = header;
    let mut payload = vec![0; u32::from_be_bytes(size) as usize + 1];
    socket.read_exact(&mut payload).await.ok()?;
    payload.pop();
    Some((kind, u16::from_be_bytes([c0, c1]), payload))
}

/// For how long nothing must come before what came is answered.
const IDLE: Duration = Duration::from_millis(100);

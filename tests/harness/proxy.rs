//! A proxy in front of a real Elasticsearch that breaks what a network, a load balancer or a busy node breaks: requests that never
//! arrive, answers that get lost when all is written, answers cut in half, refusals, stalls and drips.
//!
//! While it is broken a request fares badly once in three times; how is chosen by a seed, in the order of the requests.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use super::Dice;

/// Longer than the agent waits for an answer in these tests (2 s).
const STALL: Duration = Duration::from_secs(3);

/// Between two pieces of an answer that drips.
const DRIP: Duration = Duration::from_millis(5);

/// A body that is too large for the proxy when it chooses so, in bytes; smaller than what the agent sends at first.
const LARGE: usize = 8 << 10;

/// How a request can fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The connection is reset before the request has gone any further.
    ResetBefore,
    /// The request is carried out, and its answer lost.
    ResetAfter,
    /// The request is carried out, and half of its answer lost.
    HalfAnswer,
    /// It is refused with this status.
    Refused(u16),
    /// It is carried out too late for the one who asked.
    Stall,
    /// Its answer comes in small pieces.
    Drip,
}

const FAULTS: [Fault; 8] = [
    Fault::ResetBefore,
    Fault::ResetAfter,
    Fault::HalfAnswer,
    Fault::Refused(413),
    Fault::Refused(429),
    Fault::Refused(503),
    Fault::Stall,
    Fault::Drip,
];

/// The proxy. Its threads end with their connections.
pub(crate) struct Proxy {
    state: Arc<Mutex<State>>,
}

struct State {
    target: String,
    /// Where it listens. A thread that listens elsewhere ends, and so do the connections that it has taken.
    address: SocketAddr,
    connections: Vec<Weak<TcpStream>>,
    broken: bool,
    dice: Dice,
    faults: usize,
}

impl Proxy {
    /// One in front of the node at `url`.
    pub(crate) fn new(url: &str) -> Self {
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let dice = Dice::new(0);
        let state = State { target, address, connections: Vec::new(), broken: false, dice, faults: 0 };
        let state = Arc::new(Mutex::new(state));
        listen(listener, &state);
        Self { state }
    }

    /// Goes to another address of this host, the port stays the same. Nobody answers at the old one, and what was connected there is cut off.
    pub(crate) fn move_on(&self) -> IpAddr {
        let mut state = self.state.lock().unwrap();
        let old = state.address;
        let IpAddr::V4(address) = old.ip() else { unreachable!("it began at an IPv4 address") };
        state.address.set_ip(Ipv4Addr::from_bits(address.to_bits() + 1).into());
        listen(TcpListener::bind(state.address).unwrap(), &self.state);
        for connection in state.connections.drain(..).filter_map(|it| it.upgrade()) {
            // One that has ended already can't be cut off.
            let _ = connection.shutdown(Shutdown::Both);
        }
        // So that the old thread wakes and looks.
        let _ = TcpStream::connect(old);
        state.address.ip()
    }

    /// Where it listens now.
    pub(crate) fn address(&self) -> SocketAddr {
        self.state.lock().unwrap().address
    }

    /// From now on requests fare badly, as this seed says.
    pub(crate) fn seed(&self, seed: u64) {
        self.state.lock().unwrap().dice = Dice::new(seed);
    }

    /// Breaks requests, or lets them pass.
    pub(crate) fn set_broken(&self, broken: bool) {
        self.state.lock().unwrap().broken = broken;
    }

    /// How many requests it has broken.
    pub(crate) fn faults(&self) -> usize {
        self.state.lock().unwrap().faults
    }
}

impl State {
    fn fault(&mut self, request: &[u8]) -> Option<Fault> {
        if !self.broken || !self.dice.once_in(3) {
            return None;
        }
        let fault = self.dice.one_of(&FAULTS);
        // A client can heed this for what it can divide only.
        if fault == Fault::Refused(413) && request.len() < LARGE {
            return None;
        }
        self.faults += 1;
        Some(fault)
    }
}

/// Takes connections for as long as the proxy is at this address.
fn listen(listener: TcpListener, state: &Arc<Mutex<State>>) {
    let state = Arc::clone(state);
    thread::spawn(move || {
        let address = listener.local_addr().unwrap();
        for client in listener.incoming() {
            let client = Arc::new(client.unwrap());
            let mut now = state.lock().unwrap();
            if now.address != address {
                return;
            }
            now.connections.retain(|it| it.strong_count() > 0);
            now.connections.push(Arc::downgrade(&client));
            drop(now);
            let state = Arc::clone(&state);
            // A connection that breaks is this proxy's trade.
            thread::spawn(move || serve(&client, &state).ok());
        }
    });
}

/// Carries the requests of one connection, until one side closes or a fault does.
fn serve(client: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut requests = BufReader::new(client);
    let mut upstream = None;
    while let Some(request) = message(&mut requests)? {
        let (fault, target) = {
            let mut state = state.lock().unwrap();
            (state.fault(&request), state.target.clone())
        };
        match fault {
            Some(Fault::ResetBefore) => return Ok(()),
            Some(Fault::Refused(status)) => {
                write!(&mut &*client, "HTTP/1.1 {status} Refused\r\ncontent-length: 0\r\n\r\n")?;
                continue;
            }
            Some(Fault::Stall) => thread::sleep(STALL),
            _ => {}
        }
        if upstream.is_none() {
            upstream = Some(BufReader::new(TcpStream::connect(target)?));
        }
        let Some(node) = &mut upstream else { return Ok(()) };
        node.get_mut().write_all(&request)?;
        let Some(answer) = message(node)? else { return Ok(()) };
        match fault {
            Some(Fault::ResetAfter) => return Ok(()),
            Some(Fault::HalfAnswer) => return (&mut &*client).write_all(&answer[..answer.len() / 2]),
            Some(Fault::Drip) => drip(client, &answer)?,
            _ => (&mut &*client).write_all(&answer)?,
        }
    }
    Ok(())
}

fn drip(mut client: &TcpStream, answer: &[u8]) -> io::Result<()> {
    answer.chunks((answer.len() / 50).max(1)).try_for_each(|piece| {
        client.write_all(piece)?;
        thread::sleep(DRIP);
        Ok(())
    })
}

/// A whole request or answer, as it was sent; nothing at the end of the stream.
fn message(stream: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let (mut length, mut chunked) = (0, false);
    loop {
        let start = message.len();
        if stream.read_until(b'\n', &mut message)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&message[start..]).trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        chunked |= line.starts_with("transfer-encoding:") && line.ends_with("chunked");
    }
    if chunked {
        while piece(stream, &mut message)? {}
    } else {
        append(stream, length, &mut message)?;
    }
    Ok(Some(message))
}

/// Appends a piece of a chunked body; false when it was the last.
fn piece(stream: &mut impl BufRead, message: &mut Vec<u8>) -> io::Result<bool> {
    let start = message.len();
    stream.read_until(b'\n', message)?;
    let size = usize::from_str_radix(String::from_utf8_lossy(&message[start..]).trim(), 16).unwrap_or(0);
    append(stream, size + b"\r\n".len(), message)?;
    Ok(size > 0)
}

fn append(stream: &mut impl BufRead, length: usize, message: &mut Vec<u8>) -> io::Result<()> {
    let start = message.len();
    message.resize(start + length, 0);
    stream.read_exact(&mut message[start..])
}

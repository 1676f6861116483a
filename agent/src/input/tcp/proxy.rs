//! The line that a proxy puts before a connection's own bytes: the PROXY protocol, version 1, as HAProxy describes it.
//!
//! What it promises: at most 107 bytes are looked at, which is the longest line that the protocol has. What it leaves out: version 2, the
//! binary one, which Logstash does not read either; it is named in the message.

/// The longest header with its end of line, by the protocol.
pub(super) const LONGEST: usize = 107;

/// What a connection's first bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// The line is not whole yet.
    Unfinished,
    /// The header, which takes so many bytes.
    Known(Addresses, usize),
    /// The proxy does not know where the connection comes from (`PROXY UNKNOWN`).
    Unknown(usize),
    /// No header.
    Wrong(&'static str),
}

/// Where the connection comes from, and to which of the proxy's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    /// The client's address and port.
    pub(super) client: (String, u16),
    /// The proxy's address and port.
    pub(super) proxy: (String, u16),
}

/// The first bytes of a header of version 2.
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Looks at a connection's first bytes.
pub(super) fn parse(bytes: &[u8]) -> Header {
    let start = bytes.len().min(VERSION_2.len());
    if start > 1 && bytes[..start] == VERSION_2[..start] {
        return Header::Wrong("it begins with version 2 of the PROXY protocol; let the proxy send version 1");
    }
    let Some(end) = bytes.iter().take(LONGEST).position(|byte| *byte == b'\n') else {
        let begins = b"PROXY ".iter().zip(bytes).all(|(a, b)| a == b);
        return match (begins, bytes.len() >= LONGEST) {
            (true, false) => Header::Unfinished,
            _ => Header::Wrong("it does not begin with a line `PROXY …`; turn proxy_protocol off or the proxy's on"),
        };
    };
    match std::str::from_utf8(&bytes[..end]).ok().and_then(line) {
        Some(Some(addresses)) => Header::Known(addresses, end + 1),
        Some(None) => Header::Unknown(end + 1),
        None => Header::Wrong("its first line is not `PROXY TCP4|TCP6 client proxy port port`"),
    }
}

/// The addresses in a header line; an inner nothing for an unknown connection.
fn line(line: &str) -> Option<Option<Addresses>> {
    let mut words = line.strip_suffix('\r')?.split(' ');
    if words.next() != Some("PROXY") {
        return None;
    }
    match words.next()? {
        "UNKNOWN" => return Some(None),
        "TCP4" | "TCP6" => {}
        _ => return None,
    }
    let mut address = || words.next()?.parse::<std::net::IpAddr>().ok().map(|address| address.to_string());
    let (client, proxy) = (address()?, address()?);
    let mut port = || words.next()?.parse::<u16>().ok();
    let (client_port, proxy_port) = (port()?, port()?);
    words.next().is_none().then_some(Some(Addresses { client: (client, client_port), proxy: (proxy, proxy_port) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_the_rest_is_left() {
        let Header::Known(addresses, length) = parse(b"PROXY TCP4 10.0.0.1 10.0.0.2 5555 5000\r\nline\n") else {
            panic!("no header")
        };
        assert_eq!(addresses.client, ("10.0.0.1".into(), 5555));
        assert_eq!(addresses.proxy, ("10.0.0.2".into(), 5000));
        assert_eq!(length, 40);
        assert!(matches!(parse(b"PROXY TCP6 ::1 2001:db8::1 1 2\r\n"), Header::Known(_, 32)));
        assert_eq!(parse(b"PROXY UNKNOWN\r\nx"), Header::Unknown(15));
    }

    #[test]
    fn a_header_may_come_in_pieces() {
        let whole = b"PROXY TCP4 10.0.0.1 10.0.0.2 5555 5000\r\n";
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), Header::Unfinished, "{length}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let endless = [b"PROXY ".as_slice(), &[b'x'; LONGEST]].concat();
        for wrong in [
            b"GET / HTTP/1.0\r\n".as_slice(),
            b"GE",
            b"PROXY TCP4 a b 1 2\r\n",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 5555 70000\r\n",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 5555\r\n",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 5555 5000 6\r\n",
            b"\xff\xfe\n",
            b"\r\n\r\n\0\r\nQUIT\n",
            &endless,
        ] {
            assert!(matches!(parse(wrong), Header::Wrong(_)), "{}", String::from_utf8_lossy(wrong));
        }
    }
}

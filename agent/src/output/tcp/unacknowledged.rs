//! How many bytes of a connection the peer's kernel has not acknowledged, as the kernel's own list of connections says (`/proc/net/tcp`).
//!
//! Asked for when a peer has closed a connection: what it had acknowledged before, it has read, for a kernel that still holds something unread for
//! a process resets the connection instead.

use std::fs;
use std::net::{IpAddr, SocketAddr};

/// The bytes of the connection between these two that are not acknowledged. Nothing when the kernel has no such connection any more.
pub(super) fn unacknowledged(ours: SocketAddr, peer: SocketAddr) -> Option<usize> {
    let list = if ours.is_ipv4() { "/proc/self/net/tcp" } else { "/proc/self/net/tcp6" };
    find(&fs::read_to_string(list).ok()?, ours, peer)
}

/// A line of the list: number, address, peer's address, state, and the queues `sent:received` in hexadecimal.
fn find(list: &str, ours: SocketAddr, peer: SocketAddr) -> Option<usize> {
    let (ours, peer) = (written(ours), written(peer));
    list.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let found = words.next()? == ours && words.next()? == peer;
        let (sent, _received) = words.nth(1)?.split_once(':')?;
        if found { usize::from_str_radix(sent, 16).ok() } else { None }
    })
}

/// An address as the list has it: words of four bytes, each as this machine would read it.
fn written(address: SocketAddr) -> String {
    let bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes.as_chunks::<4>().0.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word)));
    format!("{}:{:04X}", words.collect::<String>(), address.port())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_the_peer_has_no_room_for_is_not_acknowledged() {
        for host in ["127.0.0.1", "::1"] {
            let listener = TcpListener::bind((host, 0)).unwrap();
            let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut theirs, _) = listener.accept().unwrap();
            let ends = (ours.local_addr().unwrap(), ours.peer_addr().unwrap());
            assert_eq!(unacknowledged(ends.0, ends.1), Some(0));
            ours.set_nonblocking(true).unwrap();
            let mut sent = 0;
            while let Ok(count) = ours.write(&[0; 65536]) {
                sent += count;
            }
            let open = unacknowledged(ends.0, ends.1).unwrap();
            assert!(open > 0 && open < sent, "{open} of {sent}");
            theirs.read_exact(&mut vec![0; sent]).unwrap();
            while unacknowledged(ends.0, ends.1) != Some(0) {
                std::thread::yield_now();
            }
            assert_eq!(unacknowledged(ends.0, "192.0.2.1:1".parse().unwrap()), None);
        }
    }
}

//! Stands in for the image `wollomatic/socket-proxy` where no registry can be reached: a socket in the place that its flags name, in front of the engine's.
//!
//! It lets every request pass and prints it, as `GET /v1.41/info`, so that a test can hold what the agent asks for against what the proxy would let pass. Built by
//! the test, with the compiler alone: one request a connection.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::{env, fs, thread};

const ENGINE: &str = "/var/run/docker.sock";

fn main() -> io::Result<()> {
    let socket = flag("proxysocketendpoint").expect("-proxysocketendpoint is given");
    let mode = flag("proxysocketendpointfilemode").expect("-proxysocketendpointfilemode is given");
    let mode = u32::from_str_radix(&mode, 8).expect("the mode is octal");
    // The one of the proxy before this.
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket)?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(mode))?;
    for client in listener.incoming() {
        let client = client?;
        thread::spawn(move || pass(client));
    }
    Ok(())
}

/// The value of a flag.
fn flag(name: &str) -> Option<String> {
    let start = format!("-{name}=");
    env::args().find_map(|argument| argument.strip_prefix(&start).map(str::to_owned))
}

/// Hands a request on, and the answer back for as long as there is one and somebody who reads it.
fn pass(mut client: UnixStream) -> io::Result<()> {
    let head = head(&mut client)?;
    println!("{}", head.split([' ', '?']).take(2).collect::<Vec<_>>().join(" "));
    let mut engine = UnixStream::connect(ENGINE)?;
    let lines = head.trim_end().lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
    write!(engine, "{lines}Connection: close\r\n\r\n")?;
    let (mut gone, end) = (client.try_clone()?, engine.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut gone, &mut io::sink());
        end.shutdown(Shutdown::Both)
    });
    io::copy(&mut engine, &mut client)?;
    client.shutdown(Shutdown::Both)
}

/// Everything up to the empty line.
fn head(client: &mut UnixStream) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

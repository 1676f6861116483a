//! The null sink's process, and the few questions that are put to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::{Process, Usage};

pub(crate) struct Sink {
    #[allow(dead_code, reason = "the comparison only keeps it alive, the measurement of scale asks what it uses")]
    process: Process,
    address: String,
}

/// Counted since the last reset.
#[derive(Deserialize)]
pub(crate) struct Counts {
    pub(crate) docs: u64,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) duplicates: u64,
}

impl Sink {
    /// Starts the sink on a free port; the first bodies of each run are kept in `work/samples`.
    pub(crate) fn start(tools: &Path, work: &Path, verify: bool) -> Result<Self> {
        let mut command = Command::new(tools.join("compare-sink"));
        command.args(["--listen", "127.0.0.1:0", "--samples"]).arg(work.join("samples"));
        if verify {
            command.arg("--verify");
        }
        let _ = std::fs::remove_file(work.join("samples"));
        let mut process = Process::spawn(command.stdout(Stdio::piped()).stdin(Stdio::null()))?;
        let out = process.child().stdout.take().context("the sink has no output")?;
        let mut address = String::new();
        BufReader::new(out).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }

    pub(crate) fn port(&self) -> Result<u16> {
        let (_, port) = self.address.rsplit_once(':').context("the sink did not say its address")?;
        Ok(port.parse()?)
    }

    /// What it has used so far.
    #[allow(dead_code, reason = "the comparison does not ask")]
    pub(crate) fn usage(&self) -> Usage {
        self.process.usage()
    }

    /// Keeps it to these cores, as `taskset` takes them.
    #[allow(dead_code, reason = "the comparison leaves it to the kernel")]
    pub(crate) fn pin(&self, cores: &str) -> Result<()> {
        self.process.pin(cores)
    }

    pub(crate) fn counts(&self) -> Result<Counts> {
        Ok(serde_json::from_str(&self.ask("GET /_count")?)?)
    }

    pub(crate) fn reset(&self) -> Result<()> {
        self.ask("POST /_reset").map(drop)
    }

    /// The answer's body.
    fn ask(&self, what: &str) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address).context("the sink does not answer")?;
        write!(stream, "{what} HTTP/1.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the sink's answer has no end of head")?;
        Ok(body.to_owned())
    }
}

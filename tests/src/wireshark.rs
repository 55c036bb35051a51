//! tshark, Wireshark's dissectors without a window, on files that the
//! auditor exported.
//!
//! It is Debian's package `tshark`. Where it is missing the tests say so and
//! skip; with `CI=true` they fail instead.

use crate::process::run;
use anyhow::Context;
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// A capture file that tshark reads.
#[derive(Debug)]
pub struct Capture {
    file: PathBuf,
    /// The device's port.
    port: u16,
    spoken: Spoken,
}

/// What is spoken on the device's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// Modbus/TCP.
    Modbus,
    /// S7 communication over ISO on TCP.
    S7,
    /// EtherNet/IP.
    Enip,
}

impl Spoken {
    /// The name of Wireshark's dissector.
    fn dissector(self) -> &'static str {
        match self {
            Self::Modbus => "mbtcp",
            Self::S7 => "tpkt",
            Self::Enip => "enip",
        }
    }
}

/// One side of a TCP stream as Wireshark puts it together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// From who opened the connection.
    pub opener: Vec<u8>,
    /// From who took it.
    pub taker: Vec<u8>,
}

/// Whether tshark is at hand, after having said so if not.
///
/// # Panics
/// With `CI=true`, where a skipped test would look like a passed one.
pub fn is_there() -> bool {
    let version = Command::new("tshark").arg("--version").output();
    let there = version.is_ok_and(|version| version.status.success());
    if !there {
        let demanded = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!demanded, "tshark is missing, and CI=true demands it");
        // A closed standard error is no reason to fail a test.
        let _written = writeln!(std::io::stderr(), "wireshark: SKIPPED, tshark is missing");
    }
    there
}

impl Capture {
    /// The capture in `file`, with Modbus on `port`.
    pub fn new(file: &Path, port: u16) -> Self {
        Self::speaking(file, port, Spoken::Modbus)
    }

    /// The capture in `file`, with that protocol on `port`.
    pub fn speaking(file: &Path, port: u16, spoken: Spoken) -> Self {
        Self { file: file.to_owned(), port, spoken }
    }

    /// The fields of each packet that the display filter wants, one line each;
    /// fields are separated by `|`, several values of one by `,`.
    ///
    /// # Errors
    /// If tshark refuses.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> anyhow::Result<Vec<String>> {
        let mut command = self.command();
        command.args(["-Y", filter, "-T", "fields", "-E", "separator=|"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let finished = run("tshark", &mut command)?.expect_code(0)?;
        Ok(finished.out.lines().map(str::to_owned).collect())
    }

    /// Both directions of a TCP stream, put together by tshark.
    ///
    /// # Errors
    /// If tshark refuses or prints no hexadecimal.
    pub fn follow(&self, stream: u32) -> anyhow::Result<Stream> {
        let mut command = self.command();
        command.args(["-q", "-z", &format!("follow,tcp,raw,{stream}")]);
        let finished = run("tshark", &mut command)?.expect_code(0)?;
        let mut followed = Stream::default();
        // Lines of the second node begin with a tab.
        for line in finished.out.lines() {
            let (bytes, digits) = match line.strip_prefix('\t') {
                Some(rest) => (&mut followed.taker, rest),
                None => (&mut followed.opener, line),
            };
            let hexadecimal = |text: &str| {
                text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            if digits.is_empty() || !hexadecimal(digits) {
                continue;
            }
            for pair in digits.as_bytes().chunks_exact(2) {
                let pair = std::str::from_utf8(pair)?;
                bytes.push(u8::from_str_radix(pair, 16).context("hexadecimal")?);
            }
        }
        Ok(followed)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tshark");
        command.arg("-n").arg("-r").arg(&self.file);
        // Where a protocol is not on its usual port, it has to be told which it
        // is, and of Modbus which side serves it.
        command.arg("-d").arg(format!("tcp.port=={},{}", self.port, self.spoken.dissector()));
        match self.spoken {
            Spoken::Modbus => command.arg("-o").arg(format!("mbtcp.tcp.port:{}", self.port)),
            Spoken::S7 | Spoken::Enip => &mut command,
        };
        command.args(["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]);
        // What a user has configured does not matter here.
        command.env("HOME", "/nonexistent").env_remove("XDG_CONFIG_HOME");
        command
    }
}

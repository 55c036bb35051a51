//! TigerVNC's server and a client that takes a picture of the screen.
//!
//! They are Debian's packages `tigervnc-standalone-server` and `vncsnapshot`.
//! Where they are missing the tests say so and skip; with `CI=true` they fail
//! instead. The server runs by [`Inetd`] and sees an empty `/tmp`.

use crate::{
    inetd::Inetd,
    process::{Finished, PATIENCE, Process},
};
use std::{
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

/// A screen of a few pixels, a new one for each connection.
#[derive(Debug)]
pub struct Server {
    inetd: Inetd,
}

/// Whether server and client are at hand, after having said so if not.
///
/// # Panics
/// With `CI=true`, where a skipped test would look like a passed one.
pub fn is_there() -> bool {
    let found = |program: &str| {
        let mut which = Command::new("sh");
        which.args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).status()
    };
    let there = ["Xvnc", "vncsnapshot"]
        .into_iter()
        .all(|program| found(program).is_ok_and(|status| status.success()));
    if !there {
        let demanded = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!demanded, "Xvnc or vncsnapshot is missing, and CI=true demands them");
        // A closed standard error is no reason to fail a test.
        let _written = writeln!(std::io::stderr(), "vnc: SKIPPED, Xvnc or vncsnapshot is missing");
    }
    there
}

impl Server {
    /// A server without a password.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let arguments = [
            "-inetd",
            "-once",
            "-SecurityTypes",
            "None",
            "-geometry",
            "64x64",
            "-depth",
            "24",
            "-nolisten",
            "tcp",
        ];
        let inetd = Inetd::start("mount -t tmpfs none /tmp", "Xvnc", &arguments, &folder.join("xvnc.log"))?;
        Ok(Self { inetd })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.inetd.address()
    }
}

/// Takes a picture of the screen at `address` into `picture`, a JPEG.
///
/// # Errors
/// If the client does not end.
pub fn picture(address: SocketAddr, picture: &Path) -> anyhow::Result<Finished> {
    let mut client = Command::new("vncsnapshot");
    // The screen is blank, which is no reason to wait for another picture.
    client.args(["-quiet", "-allowblank", "-encodings", "raw"]);
    client.arg(format!("{}::{}", address.ip(), address.port())).arg(picture);
    Process::start("vncsnapshot", &mut client)?.finish(PATIENCE)
}

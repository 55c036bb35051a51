//! Servers that take one connection from standard input, as inetd ran them.
//!
//! The port is ours from the beginning, so nobody else can have it. Each
//! connection gets a process of its own, in a mount namespace of its own where
//! a line of shell may lay out what the server wants to find; that needs root.
//! Connections are served one after the other.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

/// A port with a server behind it.
#[derive(Debug)]
pub struct Inetd {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What is run for a connection.
#[derive(Debug)]
struct Served {
    /// Setup, program and its arguments, as `sh -c` takes them.
    words: Vec<String>,
    log: PathBuf,
}

impl Inetd {
    /// Serves with `program`, after the line of shell `setup`; what it says on
    /// standard error goes to the file `log`.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn start(setup: &str, program: &str, arguments: &[&str], log: &Path) -> io::Result<Self> {
        let mut words = vec![format!("{setup} && exec \"$0\" \"$@\""), program.to_owned()];
        words.extend(arguments.iter().map(ToString::to_string));
        let served = Served { words, log: log.to_owned() };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || served.serve(&listener, &over));
        Ok(Self { address, is_over, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Inetd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Wakes the thread if it still waits for a connection.
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Served {
    fn serve(&self, listener: &TcpListener, is_over: &AtomicBool) {
        while let Ok((stream, _)) = listener.accept() {
            if is_over.load(Ordering::Acquire) || self.connection(stream).is_err() {
                return;
            }
        }
    }

    /// Until the server ends, which it does when the connection does.
    fn connection(&self, stream: TcpStream) -> io::Result<()> {
        let output: OwnedFd = stream.try_clone()?.into();
        let input: OwnedFd = stream.into();
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c"]).args(&self.words);
        command.stdin(Stdio::from(input)).stdout(Stdio::from(output));
        let mut child = command.stderr(fs::File::create(&self.log)?).spawn()?;
        // Else this end would stay open beside the server's.
        drop(command);
        child.wait().map(drop)
    }
}

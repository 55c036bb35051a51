//! Child processes that can't outlive their test or keep it waiting.
//!
//! A [`Process`] is owned: dropping it kills and reaps it. Its output is
//! collected line by line on two threads, and every wait is for something
//! that it really printed or for its real end, with a hard time-out. Nothing
//! here sleeps and hopes.

use std::{
    fmt,
    io::{self, Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Long enough for any one step on a busy machine; reached only when
/// something is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a process that has closed its output is asked whether it ended.
const REAP_EVERY: Duration = Duration::from_millis(5);

/// Which of the two streams a line came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One line of output, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it came.
    pub stream: Stream,
    /// What it says; bytes that are no UTF-8 are replaced.
    pub text: String,
}

#[derive(Debug, Default)]
struct Printed {
    lines: Vec<Line>,
    streams_ended: usize,
}

#[derive(Debug, Default)]
struct Output {
    printed: Mutex<Printed>,
    news: Condvar,
}

impl Output {
    fn printed(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `find` gives something, both streams end, or the deadline.
    fn wait<T>(&self, patience: Duration, mut find: impl FnMut(&Printed) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut printed = self.printed();
        loop {
            if let Some(found) = find(&printed) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || printed.streams_ended == 2 {
                return None;
            }
            printed = self.news.wait_timeout(printed, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What a process left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Exit code, `None` if a signal ended it.
    pub code: Option<i32>,
    /// All of standard output.
    pub out: String,
    /// All of standard error.
    pub err: String,
}

impl Finished {
    /// Both streams, for looking for a sentence wherever it was printed.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// This result if the exit code is `code`, else an error that shows all.
    pub fn expect_code(self, code: i32) -> anyhow::Result<Self> {
        anyhow::ensure!(self.code == Some(code), "exit code {code} expected, but:\n{self}");
        Ok(self)
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(formatter, "exit code {code}")?,
            None => writeln!(formatter, "ended by a signal")?,
        }
        write!(formatter, "--- out\n{}--- err\n{}---", self.out, self.err)
    }
}

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
}

impl Process {
    /// Starts `command` with nothing to read and its output collected.
    pub fn start(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::null());
        Self::spawn(name, command)
    }

    /// Starts `command` and gives it `input` to read, then the end.
    pub fn start_with_input(name: &str, command: &mut Command, input: &[u8]) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped());
        let mut process = Self::spawn(name, command)?;
        if let Some(mut stdin) = process.child.stdin.take() {
            stdin.write_all(input)?;
        }
        Ok(process)
    }

    fn spawn(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| anyhow::anyhow!("{name} does not start: {error} ({command:?})"))?;
        let output = Arc::new(Output::default());
        if let Some(stdout) = child.stdout.take() {
            collect(stdout, Stream::Out, &output);
        }
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, Stream::Err, &output);
        }
        Ok(Self { name: name.to_owned(), child, output })
    }

    /// The operating system's number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line in which `find` sees what it looks for, among those
    /// already printed and those to come.
    ///
    /// # Errors
    /// With all that was printed, when `patience` runs out or the output ends.
    pub fn wait_for<T>(&self, patience: Duration, find: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let found =
            self.output.wait(patience, |printed| printed.lines.iter().find_map(|line| find(&line.text)));
        found.ok_or_else(|| {
            anyhow::anyhow!("{} never said what was waited for; it said:\n{}", self.name, self.said())
        })
    }

    /// Waits for a line that contains `words`; gives the line.
    ///
    /// # Errors
    /// As [`Process::wait_for`].
    pub fn wait_for_words(&self, words: &str) -> anyhow::Result<String> {
        let found = self.wait_for(PATIENCE, |line| line.contains(words).then(|| line.to_owned()));
        found.map_err(|error| error.context(format!("waiting for {words:?}")))
    }

    /// Everything printed so far.
    pub fn said(&self) -> String {
        let mut text = String::new();
        for line in &self.output.printed().lines {
            text.push_str(&line.text);
            text.push('\n');
        }
        text
    }

    /// Whether it is still running.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its own end.
    ///
    /// # Errors
    /// With all that was printed, when `patience` runs out; it is killed then.
    pub fn finish(mut self, patience: Duration) -> anyhow::Result<Finished> {
        let deadline = Instant::now() + patience;
        self.output.wait(patience, |printed| (printed.streams_ended == 2).then_some(()));
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(self.finished(status));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            anyhow::ensure!(!left.is_zero(), "{} does not end; it said:\n{}", self.name, self.said());
            std::thread::sleep(left.min(REAP_EVERY));
        }
    }

    /// Asks it to end as Ctrl-C does, and waits for that.
    ///
    /// # Errors
    /// As [`Process::finish`].
    pub fn interrupt(self) -> anyhow::Result<Finished> {
        self.signal(rustix::process::Signal::INT)?;
        self.finish(PATIENCE)
    }

    /// Asks it to end as a service manager does, and waits for that.
    ///
    /// # Errors
    /// As [`Process::finish`].
    pub fn terminate(self) -> anyhow::Result<Finished> {
        self.signal(rustix::process::Signal::TERM)?;
        self.finish(PATIENCE)
    }

    /// Ends it with no chance to do anything more, like a crash.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn kill(mut self) -> anyhow::Result<Finished> {
        self.child.kill()?;
        self.finish(PATIENCE)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn signal(&self, signal: rustix::process::Signal) -> anyhow::Result<()> {
        let number = i32::try_from(self.child.id())?;
        let pid = rustix::process::Pid::from_raw(number).ok_or_else(|| anyhow::anyhow!("no process id"))?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    fn finished(&self, status: ExitStatus) -> Finished {
        let (mut out, mut err) = (String::new(), String::new());
        for line in &self.output.printed().lines {
            let text = match line.stream {
                Stream::Out => &mut out,
                Stream::Err => &mut err,
            };
            text.push_str(&line.text);
            text.push('\n');
        }
        Finished { code: status.code(), out, err }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.alive() {
            // Nothing is left to do if the kernel refuses to kill our child.
            let _killed = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// If it does not start, or does not end within [`PATIENCE`].
pub fn run(name: &str, command: &mut Command) -> anyhow::Result<Finished> {
    Process::start(name, command)?.finish(PATIENCE)
}

/// Reads a stream to its end on a thread; a line ends at `\n` or `\r`, so
/// that a status line rewritten in place gives lines too.
fn collect(mut stream: impl Read + Send + 'static, kind: Stream, output: &Arc<Output>) {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        let (mut line, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let count = match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            for &byte in &chunk[..count] {
                match byte {
                    b'\n' | b'\r' => push(&output, kind, &mut line),
                    _ => line.push(byte),
                }
            }
        }
        if !line.is_empty() {
            push(&output, kind, &mut line);
        }
        output.printed().streams_ended += 1;
        output.news.notify_all();
    });
}

fn push(output: &Output, stream: Stream, line: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line).into_owned();
    line.clear();
    output.printed().lines.push(Line { stream, text });
    output.news.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_and_exit_code_arrive_whole() {
        let finished = run("sh", &mut shell("echo one; echo two >&2; printf three; exit 7")).unwrap();
        assert_eq!(
            finished,
            Finished { code: Some(7), out: "one\nthree\n".to_owned(), err: "two\n".to_owned() }
        );
    }

    #[test]
    fn a_line_is_waited_for_and_a_missing_one_is_told_with_what_was_said() {
        let process = Process::start("sh", &mut shell("echo ready; exec sleep 60")).unwrap();
        assert_eq!(process.wait_for_words("ready").unwrap(), "ready");
        let error = process.wait_for(Duration::from_millis(20), |_| None::<()>).unwrap_err();
        assert!(error.to_string().contains("it said:\nready"), "{error}");
        assert_eq!(process.terminate().unwrap().code, None);
    }

    #[test]
    fn a_process_that_never_ends_is_given_up_and_killed() {
        let process = Process::start("sh", &mut shell("exec sleep 60")).unwrap();
        let id = process.id();
        process.finish(Duration::from_millis(20)).unwrap_err();
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    }
}

//! What the technician sees: answers on the standard output, everything else on the standard error.
//!
//! What it is for: answers are stable lines that programs may read; remarks and the status line are for people. On a
//! terminal the status line stays at the bottom and is redrawn; elsewhere a line is written whenever something in it
//! changed that is worth a line. What it never does: it writes no text that came from outside unescaped; its callers
//! build their lines with [`crate::escape`].

use std::io::{self, IsTerminal as _, Write};

use crate::Problem;

/// Back to the line's beginning and clear it (ECMA-48 EL).
const CLEAR_LINE: &str = "\r\x1b[2K";
/// The width of a terminal that does not tell its own, in columns.
const USUAL_WIDTH: usize = 80;

/// Whether a line can be redrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A terminal: the status line is drawn over itself.
    Terminal,
    /// A file, a pipe or a journal: only whole lines.
    Lines,
}

/// The status in two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusLine {
    /// All of it, with what changes by itself (times, counts).
    pub full: String,
    /// What is worth a line of its own where lines can't be redrawn.
    pub lasting: String,
}

/// Where lines go.
pub struct Screen {
    answers: Box<dyn Write>,
    remarks: Box<dyn Write>,
    kind: Kind,
    drawn: Option<String>,
    told: Option<String>,
}

impl Screen {
    /// This process's own outputs.
    #[must_use]
    pub fn standard() -> Self {
        let kind = if io::stderr().is_terminal() { Kind::Terminal } else { Kind::Lines };
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), kind)
    }

    /// Any outputs.
    #[must_use]
    pub fn new(answers: Box<dyn Write>, remarks: Box<dyn Write>, kind: Kind) -> Self {
        Self { answers, remarks, kind, drawn: None, told: None }
    }

    /// A line for programs.
    ///
    /// # Errors
    /// [`Problem::Io`] if it can't be written: an answer that nobody got is a failure.
    pub fn answer(&mut self, line: &str) -> Result<(), Problem> {
        self.clear();
        let written = writeln!(self.answers, "{line}").and_then(|()| self.answers.flush());
        self.redraw();
        written.map_err(|source| Problem::Io { what: "standard output".to_owned(), source })
    }

    /// A line for people. One that can't be written is nobody's loss.
    pub fn remark(&mut self, line: &str) {
        self.clear();
        let _ = writeln!(self.remarks, "{line}");
        self.redraw();
    }

    /// Shows the status as it is now.
    pub fn status(&mut self, status: &StatusLine) {
        match self.kind {
            Kind::Terminal => {
                let line = cut(&status.full, width());
                if self.drawn.as_deref() != Some(&line) {
                    self.drawn = Some(line);
                    self.redraw();
                }
            }
            Kind::Lines => {
                if self.told.as_deref() != Some(&status.lasting) {
                    let _ = writeln!(self.remarks, "{}", status.lasting);
                    self.told = Some(status.lasting.clone());
                }
            }
        }
    }

    /// Takes the status line off the terminal, for a prompt or the end.
    pub fn end_status(&mut self) {
        self.clear();
        self.drawn = None;
        let _ = self.remarks.flush();
    }

    fn clear(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(self.remarks, "{CLEAR_LINE}");
        }
    }

    fn redraw(&mut self) {
        if let Some(line) = &self.drawn {
            let _ = write!(self.remarks, "{CLEAR_LINE}{line}");
        }
        let _ = self.remarks.flush();
    }
}

fn width() -> usize {
    terminal_size::terminal_size().map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0))
}

/// At most `columns` characters less one: a full last column would wrap on some terminals, and a wrapped line can't be
/// redrawn. Wide characters count as two.
fn cut(line: &str, columns: usize) -> String {
    let room = columns.saturating_sub(1);
    let columns_of = |character: char| if u32::from(character) < 0x1100 { 1_usize } else { 2 };
    let total: usize = line.chars().map(columns_of).sum();
    if total <= room {
        return line.to_owned();
    }
    let mut used = "...".len();
    let mut kept = String::new();
    for character in line.chars() {
        used = used.saturating_add(columns_of(character));
        if used > room {
            break;
        }
        kept.push(character);
    }
    kept.push_str("...");
    kept
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn status(full: &str, lasting: &str) -> StatusLine {
        StatusLine { full: full.to_owned(), lasting: lasting.to_owned() }
    }

    #[test]
    fn without_a_terminal_each_lasting_change_is_one_line_and_no_sequence_appears() {
        let paper = Paper::default();
        let mut screen = Screen::new(Box::new(io::sink()), Box::new(paper.clone()), Kind::Lines);
        screen.status(&status("1 s", "a"));
        screen.status(&status("2 s", "a"));
        screen.remark("hello");
        screen.status(&status("3 s", "b"));
        screen.end_status();
        assert_eq!(paper.text(), "a\nhello\nb\n");
    }

    #[test]
    fn on_a_terminal_a_remark_does_not_tear_the_status_line() {
        let paper = Paper::default();
        let mut screen = Screen::new(Box::new(io::sink()), Box::new(paper.clone()), Kind::Terminal);
        screen.status(&status("1 s", "a"));
        screen.status(&status("1 s", "a"));
        screen.remark("hello");
        screen.end_status();
        let clear = CLEAR_LINE;
        assert_eq!(paper.text(), format!("{clear}1 s{clear}hello\n{clear}1 s{clear}"));
    }

    #[test]
    fn a_line_that_is_too_wide_is_cut() {
        assert_eq!(cut("abcdef", 7), "abcdef");
        assert_eq!(cut("abcdef", 6), "ab...");
        assert_eq!(cut("液面液面", 8), "液面...");
        assert_eq!(cut("abc", 0), "...");
    }
}

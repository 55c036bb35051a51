//! How the demo speaks: numbered steps, indented lines below them.

use std::io::Write;

/// Prints the story; counts its steps.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    steps: usize,
}

impl Voice {
    /// Begins the next step.
    pub(crate) fn step(&mut self, text: &str) {
        self.steps += 1;
        line(&format!("\n{:>2}  {text}", self.steps));
    }

    /// A line below the step.
    pub(crate) fn line(&self, text: &str) {
        line(&format!("    {text}"));
    }

    /// Several lines as another program printed them.
    pub(crate) fn quote(&self, text: &str) {
        for quoted in text.lines().filter(|quoted| !quoted.trim().is_empty()) {
            line(&format!("    | {quoted}"));
        }
    }

    /// How many steps were told.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// A line at the margin.
    pub(crate) fn plain(&self, text: &str) {
        line(text);
    }
}

fn line(text: &str) {
    // A reader that has gone away is no reason to stop checking.
    let _written = writeln!(std::io::stdout(), "{text}");
}

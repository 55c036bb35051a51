//! The program's exit codes, the same in all of Gatehouse.

use std::process::ExitCode;

/// How a command ended, the weightier the later: of several files the
/// weightiest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done; every recording is valid and clean.
    Done,
    /// A recording is valid; its unclean end is accounted for.
    Unclean,
    /// A recording is valid so far; that it was cut can't be excluded.
    Uncertain,
    /// The command was called wrongly, or a file could not be read or
    /// written.
    Usage,
    /// A policy folder is invalid.
    Invalid,
    /// The answer is no: a recording was altered.
    No,
}

impl Exit {
    /// The code that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Unclean => 2,
            Self::Uncertain => 3,
            Self::Usage => 4,
            Self::Invalid => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_an_alteration_weighs_most() {
        let worst = |exits: &[Exit]| exits.iter().max().map(|exit| exit.code());
        assert_eq!(worst(&[Exit::Uncertain, Exit::No, Exit::Unclean]), Some(1));
        assert_eq!(worst(&[Exit::Unclean, Exit::Uncertain, Exit::Done]), Some(3));
        assert_eq!(worst(&[Exit::Done, Exit::Unclean]), Some(2));
        assert_eq!(worst(&[Exit::Usage, Exit::Uncertain]), Some(4));
    }
}

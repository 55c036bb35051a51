//! Filter expressions: which requests of a recording are told.
//!
//! ```text
//! write and denied and holding[100-199]
//! modbus:write:tag[pump_setpoint] or (person[*@vendor-a] and not allowed)
//! ```
//!
//! Words are those of the policy: classes, protocols, areas, `unit[N]`,
//! `tag[NAME]`; `:` binds them as in a policy's action. Beside them stand the
//! verdicts, what the device said, and where it happened. `not` binds
//! stronger than `and`, `and` stronger than `or`.
//!
//! A request that touches several things fits if one of them fits the whole
//! expression, so that `write and holding[100]` is about a write *there*, and
//! not about a read there with a write elsewhere.

mod parse;
mod pattern;
mod term;

pub use parse::NoFilter;

use crate::chronicle::{Access, Channel, Request};
use crate::row::Who;
use dissect::Class;
use parse::Parser;
use recording::Tap;
use std::str::FromStr;
use term::Term;

/// A parsed filter expression.
#[derive(Debug, Clone)]
pub struct Filter {
    root: Node,
}

#[derive(Debug, Clone)]
enum Node {
    Term(Term),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

/// What an expression is about, with what is known around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) session: &'a str,
    pub(crate) who: Option<&'a Who>,
    pub(crate) channel: &'a Channel,
    pub(crate) subject: Subject<'a>,
}

/// A request, or bytes of an opaque service.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    Request(&'a Request),
    Piece(Tap),
}

impl FromStr for Filter {
    type Err = NoFilter;

    fn from_str(text: &str) -> Result<Self, NoFilter> {
        Parser::parse(text).map(|root| Self { root })
    }
}

impl Filter {
    /// Whether the expression fits.
    pub(crate) fn fits(&self, facts: &Facts<'_>) -> bool {
        let piece = [Access { class: Class::Use, unit: None, place: None, tags: Vec::new() }];
        let accesses = match facts.subject {
            Subject::Request(request) => request.accesses.as_slice(),
            Subject::Piece(_) => piece.as_slice(),
        };
        if accesses.is_empty() {
            return self.root.fits(facts, None);
        }
        accesses.iter().any(|access| self.root.fits(facts, Some(access)))
    }
}

impl Node {
    fn fits(&self, facts: &Facts<'_>, access: Option<&Access>) -> bool {
        match self {
            Self::Term(term) => term.fits(facts, access),
            Self::Not(inner) => !inner.fits(facts, access),
            Self::And(one, other) => one.fits(facts, access) && other.fits(facts, access),
            Self::Or(one, other) => one.fits(facts, access) || other.fits(facts, access),
        }
    }
}

/// For `--help`.
pub(crate) const WORDS: &str = "\
Filter expressions:
  what    housekeeping identify read subscribe write control program-read program-write
          file-read file-write time-set security diagnostic route use unknown
          modbus s7 enip tcp, changes, observes, malformed, function[NAME], text[WORDS]
  where   an area, with addresses: holding holding[100-199] file[7] db12[0-63] m[4.3]
          symbol[Conveyor.Speed] class[4.100], unit[3] tag[pump_setpoint]
  verdict allowed denied needs rule[policy.csv:12]
  device  answered refused unanswered answer[WORDS]
  whose   person[tech-1@vendor-a] target[press-line/plc7] zone[press] session[2ebf8d*]
          channel[2] channel[1-3] service[plc] request[17] from_client from_device
  joined  not, and, or, ( ); a:b:c as in a policy's action; * in names stands for anything

  write and denied and holding[100-199]
  modbus:write:tag[pump_setpoint] or (person[*@vendor-a] and not allowed)
  refused and not read

A request that touches several things fits if one of them fits the whole expression.";

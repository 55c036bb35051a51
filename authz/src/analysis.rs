//! What a policy means, worked out for people: the shared half of explaining,
//! comparing, listing and reviewing.
//!
//! A [`Standing`] is what one subject may do on one target: the rules that
//! can apply there. [`mod@cells`] divide all that could be asked of the target
//! into places where the same rules meet. A [`Meeting`] is those rules at one
//! cell, judged as the language says, and a [`Space`] is every combination of
//! time, source, factor and value that could make a difference to them: a
//! finite list of points that stand for all the others. So answers about whole
//! ranges, windows and bounds are exact, not samples. Names and objects of CIP
//! are looked at as rules and tags have them, at the edges of their elements,
//! and at one other.
//!
//! The gateway never judges by this: it judges by compiled terms. Tests hold
//! the two equal.

mod calendar;
mod cells;
mod meeting;
mod space;
mod standing;
mod words;

pub(crate) use calendar::Calendar;
#[cfg(test)]
pub(crate) use cells::Unit;
pub(crate) use cells::{Cell, Domain, Spot, cells, domain};
pub(crate) use meeting::{Meeting, Outcome, Shift};
pub(crate) use space::{Point, Space};
pub(crate) use standing::{Reach, Standing};
pub(crate) use words::{Places, zoned};

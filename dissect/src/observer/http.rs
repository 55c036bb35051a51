//! HTTP/1: the first request's line and host, the first answer's status.
//!
//! Of a request's target only what stands before `?`, `;` and `#` is told,
//! and no user information; of the header fields only those named here. Where
//! credentials can stand nothing is looked at.

use super::fields::{Line, line};
use super::{FactName, Finds, Step, text};
use crate::dissector::Direction;

/// The longest line that is waited for, in bytes.
const LONGEST_LINE: usize = 8 * 1024;

/// How far the head of the message is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    /// At its first line.
    First,
    /// At a header field.
    Field,
}

impl Stage {
    pub(super) fn step(&self, pending: &[u8], finds: &mut Finds<'_>) -> Step {
        let (line, length) = match line(pending, LONGEST_LINE) {
            Line::Partial => return Step::Partial,
            Line::TooLong => return Step::Over,
            Line::Whole(line, length) => (line, length),
        };
        let understood = match (self, finds.direction) {
            (Self::First, Direction::FromClient) => request(line, finds),
            (Self::First, Direction::FromDevice) => status(line, finds),
            (Self::Field, direction) => field(line, direction, finds),
        };
        match understood {
            Some(()) => Step::Taken(length, super::Stage::Http(Self::Field)),
            None => Step::Over,
        }
    }
}

/// `METHOD TARGET HTTP/1.1` (RFC 9112, section 3).
fn request(line: &[u8], finds: &mut Finds<'_>) -> Option<()> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/") {
        return None;
    }
    let target = target.split(['?', ';', '#']).next()?;
    let target = match target.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            format!("{scheme}://{}{path}", without_user(authority))
        }
        None if target.starts_with('/') => target.to_owned(),
        None => without_user(target).to_owned(),
    };
    finds.push(FactName::HttpRequest, format!("{method} {target} {version}"));
    Some(())
}

/// `HTTP/1.1 200 OK` (RFC 9112, section 4).
fn status(line: &[u8], finds: &mut Finds<'_>) -> Option<()> {
    line.starts_with(b"HTTP/").then(|| finds.push(FactName::HttpStatus, text(line)))
}

/// `None` at the end of the head.
fn field(line: &[u8], direction: Direction, finds: &mut Finds<'_>) -> Option<()> {
    if line.is_empty() {
        return None;
    }
    let line = text(line);
    let Some((name, value)) = line.split_once(':') else { return Some(()) };
    let value = value.trim();
    match (direction, name.to_ascii_lowercase().as_str()) {
        (Direction::FromClient, "host") => finds.push(FactName::HttpHost, without_user(value)),
        (Direction::FromClient, "upgrade") => finds.push(FactName::HttpUpgrade, value),
        (Direction::FromDevice, "server") => finds.push(FactName::HttpServer, value),
        (Direction::FromClient | Direction::FromDevice, _) => {}
    }
    Some(())
}

/// An authority without `user:password@`.
fn without_user(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

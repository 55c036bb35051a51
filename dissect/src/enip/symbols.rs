//! The tags of a Logix controller by their instance numbers, as the device
//! itself listed them on this channel.
//!
//! A controller numbers its tags anew when a program is loaded, so all is
//! forgotten when this channel sends something that may do that. What another
//! channel does in the meantime is not seen here.

use super::fields::Fields;
use crate::dissector::Flaw;
use crate::name::{Name, NameKind};
use smallvec::SmallVec;
use std::collections::HashMap;

/// How many tags are remembered per channel; those beyond stay unknown.
pub(super) const MOST_SYMBOLS: usize = 16_384;
/// How many programs may scope them.
const MOST_SCOPES: usize = 64;

/// What was learned.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    scopes: Vec<Scope>,
    learned: usize,
    numbering: Numbering,
}

/// Tells what was asked before the tags may have got new numbers from what
/// was asked after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Numbering(u64);

#[derive(Debug)]
struct Scope {
    /// Empty for the controller itself.
    program: Name,
    names: HashMap<u32, Name>,
}

impl Symbols {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The full name of an instance.
    pub(super) fn resolve(&self, program: &Name, instance: u32) -> Option<Name> {
        let scope = self.scopes.iter().find(|scope| scope.program == *program)?;
        let own = scope.names.get(&instance)?;
        let mut name = program.clone();
        name.join(own).ok()?;
        Some(name)
    }

    pub(super) fn forget(&mut self) {
        *self = Self { numbering: Numbering(self.numbering.0.saturating_add(1)), ..Self::new() };
    }

    pub(super) fn numbering(&self) -> Numbering {
        self.numbering
    }

    /// Takes in one answer to a listing that was asked for under that
    /// numbering, as far as it can be read: what isn't learned stays unknown.
    pub(super) fn learn(&mut self, asked: Numbering, listing: &Listing, data: &[u8]) {
        if asked != self.numbering {
            return;
        }
        let mut fields = Fields::new(data);
        while !fields.is_empty() {
            match listing.record(&mut fields) {
                Ok((instance, name)) => self.insert(&listing.program, instance, name),
                Err(_) => return,
            }
        }
    }

    fn insert(&mut self, program: &Name, instance: u32, name: Option<Name>) {
        let position = self.scopes.iter().position(|scope| scope.program == *program);
        let position = match position {
            Some(position) => position,
            None if self.scopes.len() < MOST_SCOPES => {
                self.scopes.push(Scope { program: program.clone(), names: HashMap::new() });
                self.scopes.len().saturating_sub(1)
            }
            None => return,
        };
        let Some(scope) = self.scopes.get_mut(position) else { return };
        // A name that can't be spelled must not leave an older one in force.
        if scope.names.remove(&instance).is_some() {
            self.learned = self.learned.saturating_sub(1);
        }
        if let Some(name) = name.filter(|_| self.learned < MOST_SYMBOLS) {
            scope.names.insert(instance, name);
            self.learned = self.learned.saturating_add(1);
        }
    }
}

/// A request for the attributes of all tags (service 0x55 on class 0x6B; Logix
/// 5000 Controllers Data Access, 1756-PM020, "Get Instance Attribute List").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    program: Name,
    attributes: SmallVec<[u16; 8]>,
}

impl Listing {
    /// From the request; `None` if the answer can't be read with what is known
    /// of the attributes.
    pub(super) fn of(program: &Name, data: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(data);
        let count = fields.short().ok()?;
        let mut attributes = SmallVec::new();
        for _ in 0..count {
            attributes.push(fields.short().ok().filter(|attribute| size(*attribute).is_some())?);
        }
        Some(Self { program: program.clone(), attributes })
    }

    /// One instance with its attributes in the order of the request.
    fn record(&self, fields: &mut Fields<'_>) -> Result<(u32, Option<Name>), Flaw> {
        let instance = fields.long()?;
        let mut name = None;
        for attribute in &self.attributes {
            match size(*attribute) {
                Some(Size::Text) => {
                    let length = fields.short()?;
                    let text = fields.take(length.into())?;
                    let mut spelled = Name::empty(NameKind::Symbol);
                    name = spelled.step(text).is_ok().then_some(spelled);
                }
                Some(Size::Bytes(bytes)) => {
                    fields.take(bytes)?;
                }
                None => return Err(Flaw::Length),
            }
        }
        Ok((instance, name))
    }
}

enum Size {
    /// A length in two bytes, then so many characters.
    Text,
    Bytes(usize),
}

/// The attributes of the symbol class that tools ask for: name, type, element
/// length, addresses and control words, dimensions, external access.
fn size(attribute: u16) -> Option<Size> {
    match attribute {
        1 => Some(Size::Text),
        2 | 7 => Some(Size::Bytes(2)),
        3 | 5 | 6 => Some(Size::Bytes(4)),
        8 => Some(Size::Bytes(12)),
        10 => Some(Size::Bytes(1)),
        _ => None,
    }
}

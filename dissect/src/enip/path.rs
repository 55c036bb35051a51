//! Paths of CIP requests: padded EPATHs (CIP Volume 1, appendix C).
//!
//! Each segment has to be understood and whole. A path of sound segments in
//! an order that has no meaning here leads nowhere, and what is asked of it is
//! unknown.

use super::fields::Fields;
use super::symbols::Symbols;
use crate::dissector::Flaw;
use crate::name::{Name, NameKind, NotAName};
use crate::operation::Range;
use crate::place::Object;
use smallvec::SmallVec;

/// The class of the tags of a Logix controller.
pub(super) const SYMBOL_CLASS: u32 = 0x6B;

/// A request path, its numbers in one form whatever their width on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// A name before any number: a tag, or the program that scopes an object.
    name: Name,
    class: Option<u32>,
    instance: Option<u32>,
    attribute: Option<u32>,
    /// Members and elements behind the numbers, without their first dot.
    member: Name,
    /// Indices that follow the instance itself.
    indices: SmallVec<[u32; 3]>,
    order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Sound,
    /// Sound segments that make no path together, or a name that can't be
    /// spelled.
    Senseless,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A tag, by its name or by an instance of which the name was learned.
    Tag(Name),
    /// An object. Also a tag by an instance that has no known name.
    Object(Object),
    /// Nothing that is understood.
    Nowhere,
}

impl Path {
    /// Reads all segments.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let mut path = Self {
            name: Name::empty(NameKind::Symbol),
            class: None,
            instance: None,
            attribute: None,
            member: Name::empty(NameKind::Symbol),
            indices: SmallVec::new(),
            order: Order::Sound,
        };
        let mut fields = Fields::new(bytes);
        while !fields.is_empty() {
            let placed = match Segment::next(&mut fields).map_err(|_| Flaw::Path)? {
                Segment::Symbol(symbol) => path.symbol(symbol),
                Segment::Logical(logical, number) => path.logical(logical, number),
                Segment::Port { .. } | Segment::Key => Err(NotAName),
            };
            if placed.is_err() {
                path.order = Order::Senseless;
            }
        }
        Ok(path)
    }

    fn symbol(&mut self, symbol: &[u8]) -> Result<(), NotAName> {
        match (self.class, self.instance, self.attribute) {
            (None, _, _) => self.name.step(symbol),
            (Some(SYMBOL_CLASS), Some(_), None) => self.member.step(symbol),
            (Some(_), _, _) => Err(NotAName),
        }
    }

    fn logical(&mut self, logical: Logical, number: u32) -> Result<(), NotAName> {
        let range = Range::new(number, number).ok_or(NotAName)?;
        match (logical, self.class, self.instance, self.attribute) {
            (Logical::Class, None, None, None) => self.class = Some(number),
            (Logical::Instance, Some(_), None, None) => self.instance = Some(number),
            (Logical::Attribute, Some(_), Some(_), None) => self.attribute = Some(number),
            (Logical::Member, None, _, _) => self.name.indices(range)?,
            (Logical::Member, Some(SYMBOL_CLASS), Some(_), None) if self.member.is_empty() => {
                self.indices.push(number);
            }
            (Logical::Member, Some(SYMBOL_CLASS), Some(_), None) => self.member.indices(range)?,
            // A member of an attribute is judged as the attribute.
            (Logical::Member, Some(_), Some(_), Some(_)) => {}
            (
                Logical::Class
                | Logical::Instance
                | Logical::Attribute
                | Logical::Member
                | Logical::ConnectionPoint,
                _,
                _,
                _,
            ) => return Err(NotAName),
        }
        Ok(())
    }

    /// Whether it is that instance of that class and nothing else.
    pub(super) fn is_instance(&self, class: u32, instance: u32) -> bool {
        (self.order, self.class, self.instance, self.attribute)
            == (Order::Sound, Some(class), Some(instance), None)
            && self.name.is_empty()
            && self.member.is_empty()
            && self.indices.is_empty()
    }

    /// Whether it is the path of a tag, by name or by instance.
    pub(super) fn is_tag(&self) -> bool {
        match self.class {
            None => !self.name.is_empty(),
            Some(SYMBOL_CLASS) => self.instance.is_some() && self.attribute.is_none(),
            Some(_) => false,
        }
    }

    /// The program that scopes an instance of the symbol class, if the path is
    /// one.
    pub(super) fn symbol_scope(&self) -> Option<&Name> {
        let is_scope = self.order == Order::Sound && self.class == Some(SYMBOL_CLASS);
        is_scope.then_some(&self.name)
    }

    /// What it leads to, for `service`.
    pub(super) fn target(&self, symbols: &Symbols, service: u8) -> Target {
        if self.order == Order::Senseless {
            return Target::Nowhere;
        }
        let Some(class) = self.class else {
            return if self.name.is_empty() { Target::Nowhere } else { Target::Tag(self.name.clone()) };
        };
        if class == SYMBOL_CLASS
            && let Some(tag) = self.learned(symbols)
        {
            return Target::Tag(tag);
        }
        if class != SYMBOL_CLASS && !self.name.is_empty() {
            return Target::Nowhere;
        }
        let Self { instance, attribute, .. } = *self;
        Target::Object(Object { class, instance, attribute, service: Some(service) })
    }

    fn learned(&self, symbols: &Symbols) -> Option<Name> {
        let instance = self.instance.filter(|_| self.attribute.is_none())?;
        let mut tag = symbols.resolve(&self.name, instance)?;
        for index in &self.indices {
            tag.indices(Range::new(*index, *index)?).ok()?;
        }
        if !self.member.is_empty() {
            tag.join(&self.member).ok()?;
        }
        Some(tag)
    }
}

/// What a logical segment is about (C-1.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logical {
    Class,
    Instance,
    Member,
    ConnectionPoint,
    Attribute,
}

/// One segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment<'a> {
    Port {
        port: u16,
        address: &'a [u8],
        form: AddressForm,
    },
    Logical(Logical, u32),
    /// An electronic key: which device it has to be.
    Key,
    Symbol(&'a [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AddressForm {
    /// One byte, a number.
    Number,
    /// Several, a text.
    Text,
}

impl<'a> Segment<'a> {
    fn next(fields: &mut Fields<'a>) -> Result<Self, Flaw> {
        let kind = fields.byte()?;
        match kind {
            0x00..=0x1F => Self::port(kind, fields),
            0x34 => {
                // Key format 4: vendor, device type, product code, revisions.
                if fields.byte()? != 4 {
                    return Err(Flaw::Path);
                }
                fields.take(8)?;
                Ok(Self::Key)
            }
            0x20..=0x3F => Self::logical(kind, fields),
            0x91 => {
                let length = usize::from(fields.byte()?);
                let symbol = fields.take(length)?;
                if length % 2 == 1 && fields.byte()? != 0 {
                    return Err(Flaw::Path);
                }
                Ok(Self::Symbol(symbol))
            }
            _ => Err(Flaw::Path),
        }
    }

    /// C-1.4.1: port 15 means that its number follows in two bytes.
    fn port(kind: u8, fields: &mut Fields<'a>) -> Result<Self, Flaw> {
        let is_long = kind & 0x10 != 0;
        let size = if is_long { usize::from(fields.byte()?) } else { 1 };
        let port = match kind & 0x0F {
            0 => return Err(Flaw::Path),
            15 => fields.short()?,
            port => port.into(),
        };
        let address = fields.take(size)?;
        if is_long && size % 2 == 1 && fields.byte()? != 0 {
            return Err(Flaw::Path);
        }
        let form = if is_long { AddressForm::Text } else { AddressForm::Number };
        Ok(Self::Port { port, address, form })
    }

    fn logical(kind: u8, fields: &mut Fields<'a>) -> Result<Self, Flaw> {
        let logical = match kind >> 2 & 0x07 {
            0 => Logical::Class,
            1 => Logical::Instance,
            2 => Logical::Member,
            3 => Logical::ConnectionPoint,
            4 => Logical::Attribute,
            _ => return Err(Flaw::Path),
        };
        let width = kind & 0x03;
        // A wider number is padded to an even length.
        if width != 0 && fields.byte()? != 0 {
            return Err(Flaw::Path);
        }
        let number = match width {
            0 => fields.byte()?.into(),
            1 => fields.short()?.into(),
            2 => fields.long()?,
            _ => return Err(Flaw::Path),
        };
        Ok(Self::Logical(logical, number))
    }
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Nowhere else: none, or the first slot of the device's own backplane,
    /// which tools send unless told otherwise.
    Here,
    /// Through the device, by that way.
    Through(Name),
    /// Somewhere that can't be spelled.
    Unnamed,
}

impl Route {
    /// Port 1 of a module is its backplane; a controller is in slot 0.
    const DEFAULT: [u8; 2] = [1, 0];

    /// A path of port segments alone.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let mut fields = Fields::new(bytes);
        let mut path = Name::empty(NameKind::Path);
        let mut is_named = true;
        while !fields.is_empty() {
            let segment = Segment::next(&mut fields).map_err(|_| Flaw::Path)?;
            is_named &= hop(&mut path, segment).is_ok();
        }
        Ok(match is_named {
            _ if bytes.is_empty() || bytes == Self::DEFAULT => Self::Here,
            true => Self::Through(path),
            false => Self::Unnamed,
        })
    }

    /// A connection path: port segments, perhaps a key, then an object. Gives
    /// the route, and whether that object is the message router.
    pub(super) fn of_connection(bytes: &[u8]) -> Result<(Self, End), Flaw> {
        let mut fields = Fields::new(bytes);
        let mut route: &[u8] = &[];
        loop {
            let before = fields;
            if fields.is_empty() {
                return Ok((Self::parse(route)?, End::Other));
            }
            match Segment::next(&mut fields).map_err(|_| Flaw::Path)? {
                Segment::Port { .. } => {
                    let taken = bytes.len().saturating_sub(fields.rest().len());
                    route = bytes.get(..taken).unwrap_or_default();
                }
                Segment::Key => {}
                Segment::Logical(..) | Segment::Symbol(_) => {
                    let is_router = Path::parse(before.rest())?.is_instance(2, 1);
                    let end = if is_router { End::MessageRouter } else { End::Other };
                    return Ok((Self::parse(route)?, end));
                }
            }
        }
    }
}

/// What a connection ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    MessageRouter,
    Other,
}

fn hop(path: &mut Name, segment: Segment<'_>) -> Result<(), NotAName> {
    match segment {
        Segment::Port { port, address, form: AddressForm::Text } => path.hop(port, address),
        Segment::Port { port, address: [number], form: AddressForm::Number } => {
            let mut digits = Name::empty(NameKind::Path);
            digits.decimal((*number).into())?;
            path.hop(port, digits.as_str().as_bytes())
        }
        Segment::Port { .. } | Segment::Logical(..) | Segment::Key | Segment::Symbol(_) => Err(NotAName),
    }
}

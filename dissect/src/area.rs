//! The areas of devices, and how policy and displays write addresses in them.
//!
//! An address is a number: a coil, a register, a bit. How it is written
//! depends on the area. Memory that is counted in bits but spoken of in bytes
//! is written in bytes (`db12[0-63]`) or bit by bit (`db12[4.3]`), a file by
//! its number (`file[7]`) or record by record (`file[7.3]`). Each has a single
//! spelling: what [`Area::addresses`] writes, [`Area::parse_range`] reads.

use crate::operation::{Protocol, Range};
use std::fmt;

/// An addressable area of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// Modbus coils, single bits (0xxxx).
    Coil,
    /// Modbus discrete inputs, single bits, read only (1xxxx).
    Discrete,
    /// Modbus input registers, 16 bits, read only (3xxxx).
    Input,
    /// Modbus holding registers, 16 bits (4xxxx).
    Holding,
    /// Modbus file records; the address is `file << 16 | record`.
    File,
    /// What UMAS reads and writes inside Modbus function 90; the address is
    /// its code.
    Umas,
    /// The S7 data block of that number.
    DataBlock(u16),
    /// The S7 instance data block of that number.
    InstanceBlock(u16),
    /// S7 process inputs.
    Inputs,
    /// S7 process outputs.
    Outputs,
    /// S7 bit memory, also called flags or merkers.
    Merkers,
    /// S7 peripheral inputs and outputs, past the process image.
    Peripheral,
    /// S7 local data of a running block.
    Local,
    /// S7 counters, by number.
    Counters,
    /// S7 timers, by number.
    Timers,
}

/// What one address of an area stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressUnit {
    /// A bit with a number of its own, written `5`.
    Bit,
    /// A register of 16 bits, a counter or a timer, written `5`.
    Word,
    /// A code of one byte, written `5`.
    Code,
    /// A bit of a byte: byte b has the addresses b * 8 to b * 8 + 7. Written
    /// `5.2`, or `5` for all eight.
    BitOfByte,
    /// A record of a file: `file << 16 | record`. Written `5.2`, or `5` for
    /// all records of the file.
    Record,
}

impl Area {
    /// One of each kind, in the order in which listings show them. Blocks
    /// stand here with the number 0, which no block has.
    pub const ALL: [Self; 15] = [
        Self::Coil,
        Self::Discrete,
        Self::Input,
        Self::Holding,
        Self::File,
        Self::Umas,
        Self::DataBlock(0),
        Self::InstanceBlock(0),
        Self::Inputs,
        Self::Outputs,
        Self::Merkers,
        Self::Peripheral,
        Self::Local,
        Self::Counters,
        Self::Timers,
    ];

    /// The area's word in policy actions, without the number that follows the
    /// word of a block. `Display` gives both.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coil => "coil",
            Self::Discrete => "discrete",
            Self::Input => "input",
            Self::Holding => "holding",
            Self::File => "file",
            Self::Umas => "umas",
            Self::DataBlock(_) => "db",
            Self::InstanceBlock(_) => "di",
            Self::Inputs => "i",
            Self::Outputs => "q",
            Self::Merkers => "m",
            Self::Peripheral => "p",
            Self::Local => "l",
            Self::Counters => "counter",
            Self::Timers => "timer",
        }
    }

    /// The number of a block, `None` for an area that there is once.
    pub fn number(self) -> Option<u16> {
        match self {
            Self::DataBlock(number) | Self::InstanceBlock(number) => Some(number),
            Self::Coil
            | Self::Discrete
            | Self::Input
            | Self::Holding
            | Self::File
            | Self::Umas
            | Self::Inputs
            | Self::Outputs
            | Self::Merkers
            | Self::Peripheral
            | Self::Local
            | Self::Counters
            | Self::Timers => None,
        }
    }

    /// The block of that number, for an area that has numbers; else the same.
    pub fn with_number(self, number: u16) -> Self {
        match self {
            Self::DataBlock(_) => Self::DataBlock(number),
            Self::InstanceBlock(_) => Self::InstanceBlock(number),
            Self::Coil
            | Self::Discrete
            | Self::Input
            | Self::Holding
            | Self::File
            | Self::Umas
            | Self::Inputs
            | Self::Outputs
            | Self::Merkers
            | Self::Peripheral
            | Self::Local
            | Self::Counters
            | Self::Timers => self,
        }
    }

    /// The area that a word of a policy names: `holding`, `db12`. `None` if
    /// devices of the protocol have no such area, for a block number outside
    /// 1 to 65535, and for a second spelling of a number.
    pub fn parse(protocol: Protocol, word: &str) -> Option<Self> {
        Self::ALL.into_iter().filter(|area| area.protocol() == protocol).find_map(|area| {
            let rest = word.strip_prefix(area.name())?;
            let block = || parse_number(rest, u16::MAX.into()).and_then(|number| u16::try_from(number).ok());
            match area {
                Self::DataBlock(_) => block().filter(|number| *number > 0).map(Self::DataBlock),
                Self::InstanceBlock(_) => block().filter(|number| *number > 0).map(Self::InstanceBlock),
                Self::Coil
                | Self::Discrete
                | Self::Input
                | Self::Holding
                | Self::File
                | Self::Umas
                | Self::Inputs
                | Self::Outputs
                | Self::Merkers
                | Self::Peripheral
                | Self::Local
                | Self::Counters
                | Self::Timers => rest.is_empty().then_some(area),
            }
        })
    }

    /// The protocol whose devices have this area.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Coil | Self::Discrete | Self::Input | Self::Holding | Self::File | Self::Umas => {
                Protocol::Modbus
            }
            Self::DataBlock(_)
            | Self::InstanceBlock(_)
            | Self::Inputs
            | Self::Outputs
            | Self::Merkers
            | Self::Peripheral
            | Self::Local
            | Self::Counters
            | Self::Timers => Protocol::S7,
        }
    }

    /// What one address stands for, and so how it is written.
    pub fn unit(self) -> AddressUnit {
        match self {
            Self::Coil | Self::Discrete => AddressUnit::Bit,
            Self::Input | Self::Holding | Self::Counters | Self::Timers => AddressUnit::Word,
            Self::Umas => AddressUnit::Code,
            Self::File => AddressUnit::Record,
            Self::DataBlock(_)
            | Self::InstanceBlock(_)
            | Self::Inputs
            | Self::Outputs
            | Self::Merkers
            | Self::Peripheral
            | Self::Local => AddressUnit::BitOfByte,
        }
    }

    /// The largest address that exists in the area, inclusive. S7 memory has
    /// as many bits as the 24 bits of an address can name.
    pub fn last_address(self) -> u32 {
        match self.unit() {
            AddressUnit::Bit | AddressUnit::Word => 0xFFFF,
            AddressUnit::Code => 0xFF,
            AddressUnit::BitOfByte => 0xFF_FFFF,
            AddressUnit::Record => 0xFFFF_FFFF,
        }
    }

    /// The addresses that policy writes between brackets: `0-63`, `4.3`,
    /// `4.0-5.3`. `None` for anything else, for a range that runs backwards
    /// and for one past the end of the area.
    pub fn parse_range(self, text: &str) -> Option<Range> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let split = self.unit().split();
        let (first, last) = match (first.split_once('.'), last.split_once('.'), split) {
            (None, None, None) => (self.parse_plain(first)?, self.parse_plain(last)?),
            (None, None, Some(split)) => {
                (split.join(first, "0")?, split.join(last, "0")?.checked_add(split.parts.checked_sub(1)?)?)
            }
            (Some(first), Some(last), Some(split)) => {
                (split.join(first.0, first.1)?, split.join(last.0, last.1)?)
            }
            (None, Some(_), _) | (Some(_), None, _) | (Some(_), Some(_), None) => return None,
        };
        Range::new(first, last)
    }

    fn parse_plain(self, text: &str) -> Option<u32> {
        parse_number(text, self.last_address())
    }

    /// The addresses as [`Self::parse_range`] reads them, for display.
    pub fn addresses(self, range: Range) -> Addresses {
        Addresses { unit: self.unit(), range }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())?;
        self.number().map_or(Ok(()), |number| write!(formatter, "{number}"))
    }
}

/// An address in two parts, `whole.part`.
#[derive(Clone, Copy)]
struct Split {
    /// How many parts a whole has; a power of two.
    parts: u32,
    /// The number of the last whole.
    last: u32,
}

impl AddressUnit {
    fn split(self) -> Option<Split> {
        match self {
            Self::Bit | Self::Word | Self::Code => None,
            Self::BitOfByte => Some(Split { parts: 8, last: 0x1F_FFFF }),
            Self::Record => Some(Split { parts: 0x1_0000, last: 0xFFFF }),
        }
    }
}

impl Split {
    fn join(self, whole: &str, part: &str) -> Option<u32> {
        let part = parse_number(part, self.parts.checked_sub(1)?)?;
        parse_number(whole, self.last)?.checked_mul(self.parts)?.checked_add(part)
    }

    fn whole(self, address: u32) -> u32 {
        address.checked_div(self.parts).unwrap_or(0)
    }

    fn part(self, address: u32) -> u32 {
        address.checked_rem(self.parts).unwrap_or(0)
    }
}

/// Digits only: no sign, no blank, no second spelling of a number.
fn parse_number(text: &str, last: u32) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten().filter(|number| *number <= last)
}

/// Addresses between brackets, without them.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    unit: AddressUnit,
    range: Range,
}

impl fmt::Display for Addresses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.range.first(), self.range.last());
        let Some(split) = self.unit.split() else { return write_range(formatter, first, last) };
        let next = last.checked_add(1).unwrap_or(0);
        if split.part(first) == 0 && split.part(next) == 0 {
            return write_range(formatter, split.whole(first), split.whole(last));
        }
        write!(formatter, "{}.{}", split.whole(first), split.part(first))?;
        if first < last {
            write!(formatter, "-{}.{}", split.whole(last), split.part(last))?;
        }
        Ok(())
    }
}

fn write_range(formatter: &mut fmt::Formatter<'_>, first: u32, last: u32) -> fmt::Result {
    write!(formatter, "{first}")?;
    if first < last { write!(formatter, "-{last}") } else { Ok(()) }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "the numbers of a test are its own")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_name_the_areas_of_their_protocol_only() {
        assert_eq!(Area::parse(Protocol::S7, "db12"), Some(Area::DataBlock(12)));
        assert_eq!(Area::parse(Protocol::S7, "di7"), Some(Area::InstanceBlock(7)));
        assert_eq!(Area::parse(Protocol::S7, "m"), Some(Area::Merkers));
        assert_eq!(Area::parse(Protocol::S7, "counter"), Some(Area::Counters));
        assert_eq!(Area::parse(Protocol::Modbus, "input"), Some(Area::Input));
        for word in ["", "db", "db0", "db012", "db65536", "db1x", "db-1", "m1", "M", "holding", "dbl"] {
            assert_eq!(Area::parse(Protocol::S7, word), None, "{word}");
        }
        for word in ["m", "db1", "i", "q"] {
            assert_eq!(Area::parse(Protocol::Modbus, word), None, "{word}");
        }
    }

    #[test]
    fn every_area_is_found_by_its_own_word() {
        for area in Area::ALL {
            let area = area.with_number(65_535);
            assert_eq!(Area::parse(area.protocol(), &area.to_string()), Some(area));
            for other in Protocol::ALL.into_iter().filter(|other| *other != area.protocol()) {
                assert_eq!(Area::parse(other, &area.to_string()), None);
            }
        }
    }

    #[test]
    fn ranges_are_read_in_the_units_that_people_use() {
        let range = |area: Area, text| area.parse_range(text).map(|range| (range.first(), range.last()));
        let db = Area::DataBlock(12);
        assert_eq!(range(db, "0-63"), Some((0, 511)));
        assert_eq!(range(db, "4"), Some((32, 39)));
        assert_eq!(range(db, "4.3"), Some((35, 35)));
        assert_eq!(range(db, "4.0-5.3"), Some((32, 43)));
        assert_eq!(range(db, "2097151.7"), Some((0xFF_FFFF, 0xFF_FFFF)));
        assert_eq!(range(Area::Timers, "5"), Some((5, 5)));
        assert_eq!(range(Area::Holding, "100-199"), Some((100, 199)));
        assert_eq!(range(Area::File, "7"), Some((7 << 16, (7 << 16) + 0xFFFF)));
        assert_eq!(range(Area::File, "65535"), Some((0xFFFF_0000, 0xFFFF_FFFF)));
        assert_eq!(range(Area::File, "7.1-7.2"), Some(((7 << 16) + 1, (7 << 16) + 2)));
        for text in
            ["", "4.8", "4.", ".3", "4.3-5", "4-5.1", "5-4", "04", "+4", "4 ", "2097152", "1-2-3", "4.03"]
        {
            assert_eq!(range(db, text), None, "{text}");
        }
        for text in ["5.1", "65536", "7-6"] {
            assert_eq!(range(Area::Counters, text), None, "{text}");
            assert_eq!(range(Area::Coil, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            area in proptest::sample::select(&Area::ALL[..]),
            ends in (any::<u32>(), any::<u32>()),
            whole in any::<bool>(),
        ) {
            let last = area.last_address();
            let (mut first, mut end) = ((ends.0 & last).min(ends.1 & last), (ends.0 & last).max(ends.1 & last));
            if let (true, Some(split)) = (whole, area.unit().split()) {
                first -= split.part(first);
                end |= split.parts - 1;
            }
            let range = Range::new(first, end).expect("sorted");
            prop_assert_eq!(area.parse_range(&area.addresses(range).to_string()), Some(range));
        }
    }
}

//! UMAS, Schneider Electric's engineering protocol inside function 90.
//!
//! There is no public specification. The frame is that of published research
//! and dissectors: a session byte, a code, the code's data; in an answer the
//! session byte, 0xFE for done or 0xFD for refused, data. The codes that are
//! well attested have a class each, so that a rule can be about them. Every
//! other code is unknown and so never allowed, whatever a rule says.

use crate::operation::Class;

/// The function code that carries it.
pub(super) const FUNCTION: u8 = 90;
/// States of an answer.
pub(super) const DONE: u8 = 0xFE;
pub(super) const REFUSED: u8 = 0xFD;

/// A code's name and class.
///
/// Reading a block of memory counts as reading the program, since any block
/// can be asked for; the dictionary is what reading variables by name needs.
/// A reservation locks other engineering stations out, so it's a matter of
/// rights and not of values.
pub(super) fn code(code: u8) -> (&'static str, Class) {
    match code {
        0x01 => ("UMAS initialize communication", Class::Identify),
        0x02 => ("UMAS read id", Class::Identify),
        0x03 => ("UMAS read project information", Class::Identify),
        0x04 => ("UMAS read PLC information", Class::Identify),
        0x10 => ("UMAS take reservation", Class::Security),
        0x11 => ("UMAS release reservation", Class::Security),
        0x20 => ("UMAS read memory block", Class::ProgramRead),
        0x22 => ("UMAS read variables", Class::Read),
        0x23 => ("UMAS write variables", Class::Write),
        0x24 => ("UMAS read coils and registers", Class::Read),
        0x25 => ("UMAS write coils and registers", Class::Write),
        0x26 => ("UMAS read dictionary", Class::Read),
        0x30 => ("UMAS initialize upload", Class::ProgramRead),
        0x31 => ("UMAS upload block", Class::ProgramRead),
        0x32 => ("UMAS end upload", Class::ProgramRead),
        0x33 => ("UMAS initialize download", Class::ProgramWrite),
        0x34 => ("UMAS download block", Class::ProgramWrite),
        0x35 => ("UMAS end download", Class::ProgramWrite),
        0x40 => ("UMAS start PLC", Class::Control),
        0x41 => ("UMAS stop PLC", Class::Control),
        _ => ("UMAS, unknown code", Class::Unknown),
    }
}

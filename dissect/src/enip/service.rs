//! Names and classes of CIP services: what a service does depends on the
//! class of object that it is asked of (CIP Volume 1, appendix A; services
//! 0x32 to 0x63 belong to the class).

use super::path::SYMBOL_CLASS;
use crate::operation::Class;

pub(super) const GET_ALL: u8 = 0x01;
pub(super) const GET_LIST: u8 = 0x03;
pub(super) const SET_LIST: u8 = 0x04;
pub(super) const RESET: u8 = 0x05;
pub(super) const MULTIPLE: u8 = 0x0A;
pub(super) const GET_SINGLE: u8 = 0x0E;
pub(super) const SET_SINGLE: u8 = 0x10;
/// On a PCCC object.
pub(super) const EXECUTE_PCCC: u8 = 0x4B;
/// On a tag.
pub(super) const READ_TAG: u8 = 0x4C;
pub(super) const WRITE_TAG: u8 = 0x4D;
pub(super) const MODIFY_TAG: u8 = 0x4E;
pub(super) const READ_FRAGMENT: u8 = 0x52;
pub(super) const WRITE_FRAGMENT: u8 = 0x53;
/// On the symbol class.
pub(super) const LIST_INSTANCES: u8 = 0x55;
/// On the connection manager.
pub(super) const FORWARD_CLOSE: u8 = 0x4E;
pub(super) const UNCONNECTED_SEND: u8 = 0x52;
pub(super) const FORWARD_OPEN: u8 = 0x54;
pub(super) const LARGE_FORWARD_OPEN: u8 = 0x5B;

/// Classes of objects (CIP Volume 1, 5; those above 0x63 are a vendor's).
const IDENTITY: u32 = 0x01;
pub(super) const MESSAGE_ROUTER: u32 = 0x02;
pub(super) const CONNECTION_MANAGER: u32 = 0x06;
const FILE: u32 = 0x37;
const TIME_SYNC: u32 = 0x43;
const WALL_CLOCK: u32 = 0x8B;
pub(super) const PCCC: u32 = 0x67;
const TEMPLATE: u32 = 0x6C;
const CONTROLLER: u32 = 0x8E;
const FIRMWARE: u32 = 0xA1;

/// Names of services that have none of their own.
macro_rules! numbered {
    ($($code:literal)*) => { [$(concat!("service ", stringify!($code))),*] };
}

const NUMBERED: [&str; 128] = numbered!(
    0x00 0x01 0x02 0x03 0x04 0x05 0x06 0x07 0x08 0x09 0x0a 0x0b 0x0c 0x0d 0x0e 0x0f
    0x10 0x11 0x12 0x13 0x14 0x15 0x16 0x17 0x18 0x19 0x1a 0x1b 0x1c 0x1d 0x1e 0x1f
    0x20 0x21 0x22 0x23 0x24 0x25 0x26 0x27 0x28 0x29 0x2a 0x2b 0x2c 0x2d 0x2e 0x2f
    0x30 0x31 0x32 0x33 0x34 0x35 0x36 0x37 0x38 0x39 0x3a 0x3b 0x3c 0x3d 0x3e 0x3f
    0x40 0x41 0x42 0x43 0x44 0x45 0x46 0x47 0x48 0x49 0x4a 0x4b 0x4c 0x4d 0x4e 0x4f
    0x50 0x51 0x52 0x53 0x54 0x55 0x56 0x57 0x58 0x59 0x5a 0x5b 0x5c 0x5d 0x5e 0x5f
    0x60 0x61 0x62 0x63 0x64 0x65 0x66 0x67 0x68 0x69 0x6a 0x6b 0x6c 0x6d 0x6e 0x6f
    0x70 0x71 0x72 0x73 0x74 0x75 0x76 0x77 0x78 0x79 0x7a 0x7b 0x7c 0x7d 0x7e 0x7f
);

/// The service's name for people; `object` is the class, `None` for a tag.
pub(crate) fn name(service: u8, object: Option<u32>) -> &'static str {
    match (service, object) {
        (GET_ALL, _) => "get attributes all",
        (0x02, _) => "set attributes all",
        (GET_LIST, _) => "get attribute list",
        (SET_LIST, _) => "set attribute list",
        (RESET, _) => "reset",
        (0x06, _) => "start",
        (0x07, _) => "stop",
        (0x08, _) => "create",
        (0x09, _) => "delete",
        (MULTIPLE, _) => "multiple service packet",
        (0x0D, _) => "apply attributes",
        (GET_SINGLE, _) => "get attribute single",
        (SET_SINGLE, _) => "set attribute single",
        (0x11, _) => "find next object instance",
        (0x15, _) => "restore",
        (0x16, _) => "save",
        (0x17, _) => "no operation",
        (0x18, _) => "get member",
        (0x19, _) => "set member",
        (0x1A, _) => "insert member",
        (0x1B, _) => "remove member",
        (0x1C, _) => "group sync",
        (READ_TAG, None | Some(SYMBOL_CLASS)) => "read tag",
        (WRITE_TAG, None | Some(SYMBOL_CLASS)) => "write tag",
        (MODIFY_TAG, None | Some(SYMBOL_CLASS)) => "read modify write tag",
        (READ_FRAGMENT, None | Some(SYMBOL_CLASS)) => "read tag fragmented",
        (WRITE_FRAGMENT, None | Some(SYMBOL_CLASS)) => "write tag fragmented",
        (LIST_INSTANCES, Some(SYMBOL_CLASS)) => "get instance attribute list",
        (READ_TAG, Some(TEMPLATE)) => "read template",
        (READ_TAG, Some(CONTROLLER | 0x74)) => "lock or unlock",
        (EXECUTE_PCCC, Some(PCCC)) => "execute PCCC",
        (FORWARD_CLOSE, Some(CONNECTION_MANAGER)) => "forward close",
        (UNCONNECTED_SEND, Some(CONNECTION_MANAGER)) => "unconnected send",
        (FORWARD_OPEN, Some(CONNECTION_MANAGER)) => "forward open",
        (LARGE_FORWARD_OPEN, Some(CONNECTION_MANAGER)) => "large forward open",
        (0x56, Some(CONNECTION_MANAGER)) => "get connection data",
        (0x57, Some(CONNECTION_MANAGER)) => "search connection data",
        (0x5A, Some(CONNECTION_MANAGER)) => "get connection owner",
        (0x4B, Some(FILE)) => "initiate upload",
        (0x4C, Some(FILE)) => "initiate download",
        (0x4D, Some(FILE)) => "initiate partial read",
        (0x4E, Some(FILE)) => "initiate partial write",
        (0x4F, Some(FILE)) => "upload transfer",
        (0x50, Some(FILE)) => "download transfer",
        (0x51, Some(FILE)) => "clear file",
        (0x4B | 0x4D | 0x51, Some(FIRMWARE)) => "firmware update",
        (other, _) => NUMBERED.get(usize::from(other)).copied().unwrap_or("a service above 127"),
    }
}

/// The class of a service that is not decoded any further. `object` is the
/// class of the object, `None` for a tag.
///
/// Where a structure is a vendor's own, only the pair of service and class is
/// known, and it is taken for the worst that it can do.
pub(super) fn class(service: u8, object: Option<u32>) -> Class {
    match (service, object) {
        (GET_ALL | GET_LIST | GET_SINGLE, Some(IDENTITY)) => Class::Identify,
        (GET_ALL | GET_LIST | GET_SINGLE | 0x11 | 0x18, _) => Class::Read,
        (0x02 | SET_LIST | 0x0D | SET_SINGLE | 0x19..=0x1B, object) => object.map_or(Class::Write, setting),
        (RESET..=0x07, Some(_)) => Class::Control,
        (0x08 | 0x09 | 0x15 | 0x16, Some(_)) => Class::ProgramWrite,
        (0x17, Some(_)) => Class::Diagnostic,
        (0x1C, Some(TIME_SYNC)) => Class::TimeSet,
        (LIST_INSTANCES, Some(SYMBOL_CLASS)) => Class::Read,
        (READ_TAG, Some(TEMPLATE)) => Class::Read,
        (READ_TAG, Some(CONTROLLER | 0x74)) => Class::Security,
        (0x56 | 0x57 | 0x5A, Some(CONNECTION_MANAGER)) => Class::Read,
        (0x4B | 0x4D | 0x4F, Some(FILE)) => Class::FileRead,
        // Firmware goes through files.
        (0x4C | 0x4E | 0x50 | 0x51, Some(FILE)) => Class::ProgramWrite,
        (0x4B | 0x4D | 0x51, Some(FIRMWARE)) => Class::ProgramWrite,
        // A tag by an instance of which the name isn't known.
        (READ_TAG | WRITE_TAG | MODIFY_TAG | READ_FRAGMENT | WRITE_FRAGMENT, Some(SYMBOL_CLASS)) => {
            Class::Unknown
        }
        (0x32..=0x63, Some(object)) if is_internal(object) => Class::ProgramWrite,
        (_, _) => Class::Unknown,
    }
}

/// What setting an attribute of an object means.
fn setting(object: u32) -> Class {
    match object {
        TIME_SYNC | WALL_CLOCK => Class::TimeSet,
        // CIP Security, EtherNet/IP Security, Certificate Management, Password.
        0x5D..=0x60 => Class::Security,
        // Identity, router, connections, file, device level ring, quality of
        // service, port, TCP/IP interface, Ethernet link.
        IDENTITY | MESSAGE_ROUTER | 0x05 | CONNECTION_MANAGER | FILE | 0x47 | 0x48 | 0xF4 | 0xF5 | 0xF6 => {
            Class::ProgramWrite
        }
        object if is_internal(object) => Class::ProgramWrite,
        _ => Class::Write,
    }
}

/// The classes in which a Logix controller keeps its program.
fn is_internal(object: u32) -> bool {
    matches!(object, 0x64 | 0x68..=0x73 | CONTROLLER | FIRMWARE | 0xAC)
}

//! Names, classes and error texts of S7 functions, as published dissectors
//! name them.

use crate::operation::Class;

pub(super) const READ_VAR: u8 = 0x04;
pub(super) const WRITE_VAR: u8 = 0x05;
pub(super) const REQUEST_DOWNLOAD: u8 = 0x1A;
pub(super) const DOWNLOAD_BLOCK: u8 = 0x1B;
pub(super) const DOWNLOAD_ENDED: u8 = 0x1C;
pub(super) const START_UPLOAD: u8 = 0x1D;
pub(super) const UPLOAD: u8 = 0x1E;
pub(super) const END_UPLOAD: u8 = 0x1F;
pub(super) const PI_SERVICE: u8 = 0x28;
pub(super) const PLC_STOP: u8 = 0x29;
pub(super) const MODE_TRANSITION: u8 = 0x01;
pub(super) const SETUP: u8 = 0xF0;

/// The program invocation that has a password in its argument.
pub(super) const LOGIN: &[u8] = b"_N_LOGIN_";

/// The name of a job's function for people.
pub(super) fn name(function: u8) -> &'static str {
    match function {
        0x00 => "CPU services",
        MODE_TRANSITION => "mode transition",
        READ_VAR => "read var",
        WRITE_VAR => "write var",
        REQUEST_DOWNLOAD => "request download",
        DOWNLOAD_BLOCK => "download block",
        DOWNLOAD_ENDED => "download ended",
        START_UPLOAD => "start upload",
        UPLOAD => "upload",
        END_UPLOAD => "end upload",
        PI_SERVICE => "PI service",
        PLC_STOP => "PLC stop",
        SETUP => "setup communication",
        _ => "an unknown job",
    }
}

/// Program invocation services, by the name in the request. Without the
/// controller's blocks the effect of a service is known by its name only, so
/// one that is not named here is unknown.
pub(super) fn program_invocation(name: &[u8]) -> (&'static str, Class) {
    match name {
        b"P_PROGRAM" => ("start", Class::Control),
        b"_INSE" => ("activate block (_INSE)", Class::ProgramWrite),
        b"_INS2" => ("activate block (_INS2)", Class::ProgramWrite),
        b"_DELE" => ("delete block (_DELE)", Class::ProgramWrite),
        b"_MODU" => ("copy RAM to ROM (_MODU)", Class::ProgramWrite),
        b"_GARB" => ("compress memory (_GARB)", Class::ProgramWrite),
        LOGIN => ("log in (_N_LOGIN_)", Class::Security),
        b"_N_LOGOUT" => ("log out (_N_LOGOUT)", Class::Security),
        _ => ("an unknown PI service", Class::Unknown),
    }
}

pub(super) const PROGRAMMER: u8 = 0x01;
pub(super) const CYCLIC: u8 = 0x02;
pub(super) const CPU: u8 = 0x04;
pub(super) const SECURITY: u8 = 0x05;
pub(super) const READ_SZL: u8 = 0x01;
pub(super) const CYCLIC_TRANSFER: u8 = 0x01;
pub(super) const CHANGE_TRANSFER: u8 = 0x05;

/// Userdata services by group and sub-function: name and classes.
///
/// A job list entry can hold a write as well as a breakpoint, so replacing or
/// enabling one needs both rights. What ends a flow that the client itself
/// has asked for is housekeeping.
pub(super) fn userdata(group: u8, function: u8) -> (&'static str, &'static [Class]) {
    match group {
        PROGRAMMER => programmer(function),
        CYCLIC => match function {
            CYCLIC_TRANSFER => ("cyclic transfer", &[Class::Subscribe]),
            0x04 => ("unsubscribe", &[Class::Housekeeping]),
            CHANGE_TRANSFER => ("change driven transfer", &[Class::Subscribe]),
            0x08 => ("read data record", &[Class::Read]),
            _ => ("an unknown cyclic service", &[Class::Unknown]),
        },
        0x03 => match function {
            0x01 => ("list blocks", &[Class::Read]),
            0x02 => ("list blocks of type", &[Class::Read]),
            0x03 => ("get block info", &[Class::Read]),
            _ => ("an unknown block service", &[Class::Unknown]),
        },
        CPU => match function {
            READ_SZL => ("read SZL", &[Class::Read]),
            0x02 => ("message service", &[Class::Subscribe]),
            0x07 => ("lock alarm", &[Class::Control]),
            0x08 => ("unlock alarm", &[Class::Control]),
            0x0B => ("acknowledge alarm", &[Class::Control]),
            0x13 => ("query alarms", &[Class::Read]),
            _ => ("an unknown CPU service", &[Class::Unknown]),
        },
        SECURITY => match function {
            0x01 => ("set session password", &[Class::Security]),
            0x02 => ("clear session password", &[Class::Security]),
            _ => ("an unknown security service", &[Class::Security, Class::Unknown]),
        },
        0x06 => ("block send (PBC)", &[Class::Unknown]),
        0x07 => match function {
            0x01 | 0x03 => ("read clock", &[Class::Read]),
            0x02 | 0x04 => ("set clock", &[Class::TimeSet]),
            _ => ("an unknown clock service", &[Class::Unknown]),
        },
        0x20 => ("data record routing", &[Class::Route]),
        0x3F => match function {
            0x01..=0x04 => ("NC program download", &[Class::ProgramWrite]),
            0x06..=0x08 => ("NC program upload", &[Class::ProgramRead]),
            _ => ("an unknown NC program service", &[Class::Unknown]),
        },
        _ => ("an unknown userdata service", &[Class::Unknown]),
    }
}

/// Test and installation functions.
fn programmer(function: u8) -> (&'static str, &'static [Class]) {
    match function {
        0x01 | 0x13 => ("block status", &[Class::Read]),
        0x02 => ("variable status", &[Class::Read]),
        0x03 => ("read I stack", &[Class::Diagnostic]),
        0x04 => ("read B stack", &[Class::Diagnostic]),
        0x05 => ("read L stack", &[Class::Diagnostic]),
        0x08 => ("modify variable", &[Class::Write]),
        0x09 => ("force", &[Class::Write]),
        0x0A => ("breakpoint", &[Class::Control]),
        0x0B => ("exit hold", &[Class::Control]),
        0x0C => ("memory reset", &[Class::Control]),
        0x0D => ("disable job", &[Class::Control]),
        0x0E => ("enable job", &[Class::Control, Class::Write]),
        0x0F => ("delete job", &[Class::Control]),
        0x10 => ("read job list", &[Class::Diagnostic]),
        0x11 => ("read job", &[Class::Diagnostic]),
        0x12 => ("replace job", &[Class::Control, Class::Write]),
        0x16 => ("flash LED", &[Class::Diagnostic]),
        _ => ("an unknown programmer service", &[Class::Unknown]),
    }
}

/// What a device sends by itself, by group and sub-function.
pub(super) fn push(group: u8, function: u8) -> &'static str {
    match (group, function) {
        (PROGRAMMER, _) => "test result",
        (CYCLIC, _) => "subscribed values",
        (CPU, 0x03) => "diagnostic message",
        (CPU, 0x05 | 0x11 | 0x12) => "alarm",
        (CPU, 0x06 | 0x16) => "notification",
        (CPU, 0x09) => "scan message",
        (CPU, 0x0C) => "alarm acknowledgement",
        (CPU, 0x0D | 0x0E) => "alarm lock",
        (CPU, 0x10) => "archive data",
        (0x06, _) => "block data",
        (0x3F, _) => "NC program data",
        _ => "indication",
    }
}

/// The return code of an item.
pub(super) fn item_error(code: u8) -> &'static str {
    match code {
        0x01 => "hardware fault",
        0x03 => "access to the object not allowed",
        0x05 => "invalid address",
        0x06 => "data type not supported",
        0x07 => "data type inconsistent",
        0x0A => "object does not exist",
        _ => "a return code of its own",
    }
}

/// The error of an acknowledgement's header or of a userdata answer.
pub(super) fn error(code: u16) -> &'static str {
    match code {
        0x8104 => "service not implemented",
        0x8304 => "no further parallel upload possible",
        0x8305 => "function not available",
        0x8401 => "invalid service sequence",
        0x8402 => "not in the present state of the object",
        0x8404 => "function cannot be performed",
        0x8500 => "wrong frame",
        0x8503 => "service cancelled by the module",
        0x8701 => "invalid address",
        0x8702 => "service not supported",
        0x8703 => "access to the object refused",
        0xD209 => "block not found",
        0xD210 => "invalid block number",
        0xD241 => "not permitted at the present protection level",
        0xD401 | 0xD402 | 0xD405 => "information function not available",
        0xD406 => "information not available at present",
        0xD602 => "wrong password",
        0xD603 | 0xD604 => "already signed in",
        0xD605 => "no password is set",
        0xDC01 => "invalid date or time",
        _ => error_class(code.to_be_bytes()[0]),
    }
}

/// The first byte of an error.
fn error_class(class: u8) -> &'static str {
    match class {
        0x81 => "application error",
        0x82 => "object definition error",
        0x83 => "no resources available",
        0x84 => "service processing error",
        0x85 => "error in the supplied data",
        0x87 => "access error",
        0xD0 => "test function not possible",
        0xD2 => "block function not possible",
        0xD8 => "cyclic service not possible",
        _ => "an error of its own",
    }
}

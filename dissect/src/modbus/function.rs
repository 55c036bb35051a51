//! Names and classes of the Modbus function codes (V1.1b3, section 5; the
//! vendors' codes as published dissectors name them).

use crate::operation::Class;

/// Names of codes that have none of their own.
macro_rules! numbered {
    ($($code:literal)*) => { [$(concat!("function ", stringify!($code))),*] };
}

const NUMBERED: [&str; 128] = numbered!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95
    96 97 98 99 100 101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116 117 118 119 120 121
    122 123 124 125 126 127
);

/// The function's name for people.
pub(super) fn name(function: u8) -> &'static str {
    match function {
        1 => "read coils",
        2 => "read discrete inputs",
        3 => "read holding registers",
        4 => "read input registers",
        5 => "write single coil",
        6 => "write single register",
        7 => "read exception status",
        8 => "diagnostics",
        9 => "program (484)",
        10 => "poll (484)",
        11 => "get comm event counter",
        12 => "get comm event log",
        13 => "program (584/984)",
        14 => "poll (584/984)",
        15 => "write multiple coils",
        16 => "write multiple registers",
        17 => "report server id",
        18 => "program (884/M84)",
        19 => "reset comm link (884/M84)",
        20 => "read file record",
        21 => "write file record",
        22 => "mask write register",
        23 => "read/write multiple registers",
        24 => "read FIFO queue",
        40 => "program (ConCept)",
        43 => "encapsulated interface transport",
        90 => "UMAS",
        91 => "function 91 (object messaging)",
        125 => "firmware replacement",
        126 => "program (584/984, function 126)",
        other => NUMBERED.get(usize::from(other)).copied().unwrap_or("function above 127"),
    }
}

/// The class of a function that is not decoded any further.
///
/// The vendors' programming functions are taken for the worst that they can
/// do. The effect of any code without a public meaning is unknown.
pub(super) fn undecoded_class(function: u8) -> Class {
    match function {
        9 | 10 | 13 | 14 | 18 | 19 | 40 | 125 | 126 => Class::ProgramWrite,
        _ => Class::Unknown,
    }
}

/// The name of a diagnostics sub-function (V1.1b3, section 6.8.1) and its
/// class. Restarting the line, listening only and another end-of-message
/// character change how the device talks; all others count or clear counts.
pub(super) fn diagnostic(sub_function: u16) -> (&'static str, Class) {
    match sub_function {
        0x00 => ("return query data", Class::Diagnostic),
        0x01 => ("restart communications", Class::Control),
        0x02 => ("return diagnostic register", Class::Diagnostic),
        0x03 => ("change ASCII input delimiter", Class::Control),
        0x04 => ("force listen only mode", Class::Control),
        0x0A => ("clear counters", Class::Diagnostic),
        0x0B => ("return bus message count", Class::Diagnostic),
        0x0C => ("return bus communication error count", Class::Diagnostic),
        0x0D => ("return bus exception error count", Class::Diagnostic),
        0x0E => ("return server message count", Class::Diagnostic),
        0x0F => ("return server no response count", Class::Diagnostic),
        0x10 => ("return server NAK count", Class::Diagnostic),
        0x11 => ("return server busy count", Class::Diagnostic),
        0x12 => ("return bus character overrun count", Class::Diagnostic),
        0x14 => ("clear overrun counter", Class::Diagnostic),
        _ => ("unassigned diagnostics", Class::Unknown),
    }
}

/// The text of an exception code (V1.1b3, section 7).
pub(super) fn exception(code: u8) -> &'static str {
    match code {
        0x01 => "illegal function",
        0x02 => "illegal data address",
        0x03 => "illegal data value",
        0x04 => "server device failure",
        0x05 => "acknowledge, still at work",
        0x06 => "server device busy",
        0x08 => "memory parity error",
        0x0A => "gateway path unavailable",
        0x0B => "gateway target device failed to respond",
        _ => "an exception of its own",
    }
}

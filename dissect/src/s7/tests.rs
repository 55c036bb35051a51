#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "tests may fail loudly"
)]
//! What requests mean, byte by byte as tools send them.

mod channel;
mod framing;
mod properties;

use crate::{
    Class, Content, Denial, Dissector, Effect, Expects, Flaw, Framing, Operation, Protocol, Request, Values,
};
use bytes::Bytes;

fn bytes(text: &str) -> Bytes {
    hex::decode(text.replace(' ', "")).expect("a test's hex").into()
}

/// A unit in one TPKT.
fn framed(unit: &[u8]) -> Bytes {
    super::cotp::wrap(unit).expect("short enough")
}

/// A job of reference 7.
fn job(parameter: &str, data: &str) -> Bytes {
    unit(1, "", parameter, data)
}

fn userdata(parameter: &str, data: &str) -> Bytes {
    unit(7, "", parameter, data)
}

fn unit(kind: u8, error: &str, parameter: &str, data: &str) -> Bytes {
    let (parameter, data) = (bytes(parameter), bytes(data));
    let mut unit = vec![0x32, kind, 0, 0, 0, 7];
    unit.extend((parameter.len() as u16).to_be_bytes());
    unit.extend((data.len() as u16).to_be_bytes());
    unit.extend(bytes(error));
    unit.extend(parameter);
    unit.extend(data);
    framed(&unit)
}

fn decode(frame: Bytes) -> Request {
    Dissector::new(Protocol::S7).decode(frame)
}

fn operation(frame: Bytes) -> Operation {
    match decode(frame).content {
        Content::Operation(operation) => operation,
        Content::Malformed { why } => panic!("{why}"),
    }
}

/// The addresses of the first access.
fn range(operation: &Operation) -> Option<crate::Range> {
    match operation.accesses[0].place {
        Some(crate::Place::Range { range, .. }) => Some(range),
        Some(crate::Place::Name(_) | crate::Place::Object(_)) | None => None,
    }
}

fn text(frame: Bytes) -> String {
    operation(frame).to_string()
}

fn flaw(frame: Bytes) -> Flaw {
    match decode(frame).content {
        Content::Malformed { why } => why.flaw,
        Content::Operation(operation) => panic!("{operation}"),
    }
}

/// The refusal of a request on a fresh channel, in hex.
fn denied(frame: Bytes) -> Option<String> {
    let mut dissector = Dissector::new(Protocol::S7);
    let request = dissector.decode(frame);
    dissector.deny(&request, Denial::Function).map(hex::encode)
}

/// An address of the pointer kind.
fn item(transport: u8, count: u16, block: u16, area: u8, address: u32) -> String {
    format!("120a10 {transport:02x} {count:04x} {block:04x} {area:02x} {address:06x}")
}

#[test]
fn what_a_real_client_sends_is_understood() {
    for (frame, text) in [
        ("0300001611e00000000100c1020100c2020102c0010a", "housekeeping = PG rack 0 slot 2 (connect)"),
        ("0300001611e00000000100c1020100c2020323c0010a", "housekeeping = basic rack 1 slot 3 (connect)"),
        ("0300001902f08032010000000100080000f0000001000101e0", "housekeeping (setup communication)"),
        ("0300001f02f080320100000002000e00000401120a10020006000184000020", "read db1[4-9]"),
        (
            "0300002602f080320100000003000e00070501120a1002000300018400005000040018010203",
            "write db1[10-12] = 0x010203",
        ),
        ("0300001f02f080320100000004000e00000401120a10020004000083000010", "read m[2-5]"),
        ("0300001f02f080320100000006000e00000401120a101d000200001d000001", "read timer[1-2]"),
        (
            "0300002502f080320100000007000e00060501120a101c000100001c000001000900020011",
            "write counter[1] = 0x0011",
        ),
        ("0300002102f08032010000000e0010000029000000000009505f50524f4752414d", "control (PLC stop)"),
        ("0300002502f08032010000000f0014000028000000000000fd000009505f50524f4752414d", "control (start)"),
        (
            "0300002702f0803201000000100016000028000000000000fd0002432009505f50524f4752414d",
            "control = \"C \" (start)",
        ),
        (
            "0300002102f0803201000000110010000028000000000000fd0000055f47415242",
            "program-write (compress memory (_GARB))",
        ),
        (
            "0300002302f0803201000000120012000028000000000000fd00024550055f4d4f4455",
            "program-write = \"EP\" (copy RAM to ROM (_MODU))",
        ),
        ("0300001d02f0803207000000140008000400011204114701000a000000", "read (read clock)"),
        (
            "0300002702f0803207000000150008000e0001120411470200ff09000a00192403050607080003",
            "time-set = 0x0019240305060708... (set clock)",
        ),
        ("0300001d02f0803207000000160008000400011204114301000a000000", "read (list blocks)"),
        ("0300001f02f080320700000017000800060001120411430200ff0900023041", "read (list blocks of type)"),
        (
            "0300002502f0803207000000180008000c0001120411430300ff0900083041303030303141",
            "read (get block info)",
        ),
        ("0300002102f080320700000019000800080001120411440100ff09000400110000", "identify (read SZL)"),
        ("0300002102f08032070000001b000800080001120411440100ff09000404240000", "read (read SZL)"),
        (
            "0300002502f08032070000001d0008000c0001120411450100ff0900082630101720365543",
            "security = *** (set session password)",
        ),
        ("0300001d02f08032070000001e0008000400011204114502000a000000", "security (clear session password)"),
        (
            "0300002302f08032010000001f001200001d00000000000000095f3041303030303141",
            "program-read = \"_0A00001A\" (start upload)",
        ),
        ("0300001902f080320100000020000800001e00000000000001", "program-read (upload)"),
        ("0300001902f080320100000021000800001f00000000000001", "program-read (end upload)"),
        (
            "0300003102f080320100000022002000001a00010000000000095f30413030303031500d31303030313030303030303634",
            "program-write = \"_0A00001P\" (request download)",
        ),
        ("0300000c0680000100010000", "housekeeping (disconnect)"),
    ] {
        let frame = bytes(frame);
        assert_eq!(self::text(frame.clone()), text, "{frame:?}");
        let framing = Dissector::new(Protocol::S7).frame(crate::Direction::FromClient, &frame);
        assert!(
            matches!(framing, Framing::Whole(length) if length.get() == frame.len()),
            "{text}: {framing:?}"
        );
    }
}

#[test]
fn addresses_become_bits_of_their_area() {
    for (item, text) in [
        (item(1, 1, 12, 0x84, 4 * 8 + 3), "read db12[4.3]"),
        (item(2, 64, 12, 0x84, 0), "read db12[0-63]"),
        (item(3, 2, 1, 0x84, 8), "read db1[1-2]"),
        (item(4, 2, 7, 0x85, 16), "read di7[2-5]"),
        (item(5, 1, 0, 0x81, 0), "read i[0-1]"),
        (item(6, 1, 0, 0x82, 80), "read q[10-13]"),
        (item(7, 2, 0, 0x83, 0), "read m[0-7]"),
        (item(8, 1, 0, 0x80, 0), "read p[0-3]"),
        (item(2, 1, 0, 0x86, 0), "read l[0]"),
        (item(2, 1, 65_535, 0x84, 0xFF_FFF8), "read db65535[2097151]"),
        (item(0x1C, 3, 0, 0x1C, 5), "read counter[5-7]"),
        // The number of a block means nothing outside of blocks.
        (item(2, 1, 9, 0x83, 0), "read m[0]"),
    ] {
        assert_eq!(self::text(job(&format!("0401 {item}"), "")), text, "{item}");
    }
    let read = operation(job(&format!("0401 {}", item(4, 1, 1, 0x84, 8)), ""));
    assert_eq!(range(&read), crate::Range::new(8, 23));
}

#[test]
fn written_values_have_the_type_of_their_item() {
    for (item, data, text) in [
        (item(1, 1, 1, 0x84, 26), "00 03 0001 01", "write db1[3.2] = 1"),
        (item(1, 1, 0, 0x82, 0), "00 03 0001 00", "write q[0.0] = 0"),
        (item(4, 2, 1, 0x84, 0), "00 04 0020 0001 ffff", "write db1[0-3] = 1 65535"),
        (item(5, 1, 1, 0x84, 0), "00 05 0010 ffff", "write db1[0-1] = -1"),
        (item(8, 1, 1, 0x84, 0), "00 07 0004 41480000", "write db1[0-3] = 12.5"),
        (item(3, 2, 1, 0x84, 0), "00 09 0002 6162", "write db1[0-1] = \"ab\""),
        (item(2, 3, 1, 0x84, 0), "00 04 0018 010203 00", "write db1[0-2] = 0x010203"),
    ] {
        assert_eq!(self::text(job(&format!("0501 {item}"), data)), text, "{item} {data}");
    }
    let two = format!("0502 {} {}", item(2, 1, 1, 0x84, 0), item(2, 2, 0, 0x83, 8));
    assert_eq!(
        text(job(&two, "00 04 0008 aa 00 00 04 0010 bbcc")),
        "write db1[0] = 0xaa + write m[1-2] = 0xbbcc"
    );
}

#[test]
fn what_cannot_be_located_is_unknown_as_a_whole() {
    let db = item(2, 1, 1, 0x84, 0);
    for item in [
        item(2, 1, 0, 0x03, 0),        // system information of the 200 family
        item(2, 1, 0, 0x87, 0),        // local data of the caller
        item(1, 8, 1, 0x84, 0),        // more than one bit
        item(0x0F, 1, 1, 0x84, 0),     // date and time
        item(2, 1, 0, 0x1C, 0),        // bytes of a counter
        item(0x1C, 1, 1, 0x84, 0),     // a counter of a block
        "1206 b2 ff 000000 00".into(), // symbolic
        "1208 82 41 0001 0001 7f 01".into(),
        "1207 b0 01 01 0001 0000".into(),
    ] {
        for parameter in [format!("0401 {item}"), format!("0402 {db} {item}"), format!("0402 {item} {db}")] {
            let operation = operation(job(&parameter, ""));
            assert_eq!(operation.accesses.last().unwrap().class, Class::Unknown, "{parameter}");
        }
        let operation = operation(job(&format!("0502 {db} {item}"), "00 04 0008 aa 00 00 04 0008 bb"));
        assert_eq!(operation.accesses.last().unwrap().class, Class::Unknown, "{item}");
    }
}

#[test]
fn what_does_not_add_up_is_malformed() {
    let db = item(2, 1, 1, 0x84, 0);
    for (parameter, data, expected) in [
        (String::new(), "", Flaw::Length),
        ("04".into(), "", Flaw::Length),
        ("0400".into(), "", Flaw::Count { count: 0 }),
        (format!("0402 {db}"), "", Flaw::Length),
        (format!("0401 {db} 00"), "", Flaw::Length),
        (format!("0401 {db}"), "00", Flaw::Length),
        ("0401 110a10020001000184000000".into(), "", Flaw::Value { value: 0x11 }),
        ("0401 12091002000100018400 0000".into(), "", Flaw::Length),
        (format!("0401 {}", item(2, 0, 1, 0x84, 0)), "", Flaw::Count { count: 0 }),
        (format!("0401 {}", item(2, 1, 0, 0x84, 0)), "", Flaw::Address),
        (format!("0401 {}", item(2, 1, 1, 0x84, 1)), "", Flaw::Address),
        (format!("0401 {}", item(2, 2, 1, 0x84, 0xFF_FFF8)), "", Flaw::Address),
        (format!("0401 {}", item(0x1D, 2, 0, 0x1D, 0xFFFF)), "", Flaw::Address),
        (format!("0501 {db}"), "", Flaw::Length),
        (format!("0501 {db}"), "00 04 0010 aabb", Flaw::Count { count: 16 }),
        (format!("0501 {db}"), "00 04 0009 aabb", Flaw::Value { value: 4 }),
        (format!("0501 {db}"), "00 08 0001 aa", Flaw::Value { value: 8 }),
        (format!("0501 {db}"), "00 03 0001 01", Flaw::Value { value: 3 }),
        (format!("0501 {db}"), "00 04 0008 aa 00 00", Flaw::Length),
        (format!("0501 {db}"), "00 00 0000", Flaw::Count { count: 0 }),
        (format!("0501 {}", item(1, 1, 1, 0x84, 0)), "00 03 0001 02", Flaw::Value { value: 2 }),
        (format!("0501 {}", item(1, 1, 1, 0x84, 0)), "00 03 0008 01", Flaw::Value { value: 3 }),
        ("f000 0001 0001 01".into(), "", Flaw::Length),
        ("1a 00000000000000 09 5f30".into(), "", Flaw::Length),
        ("28 000000000000fd 0002 43".into(), "", Flaw::Length),
        ("28 000000000000fd 0000 09 505f50524f4752414d 00".into(), "", Flaw::Length),
    ] {
        let frame = job(&parameter, data);
        assert_eq!(flaw(frame.clone()), expected, "{parameter} / {data}");
        let refusal = denied(frame).expect("refused in protocol");
        let echo: String = parameter.chars().take(2).collect();
        let start = format!("32030000000700{:02x}00008500{echo}", echo.len() / 2);
        assert_eq!(refusal[14..], start, "{parameter} / {data}");
    }
}

/// The table of published codes, so that a change of class is seen.
#[test]
fn every_userdata_service_has_a_class() {
    for group in 0..0x40_u8 {
        for function in 0..=255_u8 {
            let expected: &[Class] = match (group, function) {
                (1, 1 | 2 | 0x13) | (2, 8) | (3, 1..=3) | (4, 1 | 0x13) | (7, 1 | 3) => &[Class::Read],
                (1, 3..=5 | 0x10 | 0x11 | 0x16) => &[Class::Diagnostic],
                (1, 8 | 9) => &[Class::Write],
                (1, 0x0A..=0x0D | 0x0F) | (4, 7 | 8 | 0x0B) => &[Class::Control],
                (1, 0x0E | 0x12) => &[Class::Control, Class::Write],
                (2, 1 | 5) | (4, 2) => &[Class::Subscribe],
                (2, 4) => &[Class::Housekeeping],
                (5, 1 | 2) => &[Class::Security],
                (5, _) => &[Class::Security, Class::Unknown],
                (7, 2 | 4) => &[Class::TimeSet],
                (0x20, _) => &[Class::Route],
                (0x3F, 1..=4) => &[Class::ProgramWrite],
                (0x3F, 6..=8) => &[Class::ProgramRead],
                _ => &[Class::Unknown],
            };
            let data = match (group, function) {
                (4, 1) => "ff09 0004 0424 0000".into(),
                (2, 1 | 5) => format!("ff09 0010 0001 0101 {}", item(2, 4, 12, 0x84, 0)),
                _ => "ff09 0004 01020304".into(),
            };
            let operation =
                operation(userdata(&format!("000112 04 11 {:02x} {function:02x} 00", 0x40 | group), &data));
            let classes: Vec<Class> = operation.accesses.iter().map(|access| access.class).collect();
            assert_eq!(classes, expected, "group {group:#x} function {function:#x}");
            for access in &operation.accesses {
                let hidden = matches!(access.values, Values::None | Values::Secret(_));
                assert!(group != 5 || hidden, "a secret is shown");
                assert!(access.class != Class::Write || access.values != Values::None);
            }
            let harmless = matches!(expected, [Class::Read | Class::Subscribe | Class::Housekeeping]);
            assert_eq!(operation.effect() == Effect::Observes, harmless);
        }
    }
}

#[test]
fn every_job_has_a_class() {
    for function in 0..=255_u8 {
        let (rest, data, expected) = match function {
            0x04 => (format!("01 {}", item(2, 1, 1, 0x84, 0)), "", Class::Read),
            0x05 => (format!("01 {}", item(2, 1, 1, 0x84, 0)), "00 04 0008 aa", Class::Write),
            0x1A => ("00000000000000 00".into(), "", Class::ProgramWrite),
            0x1D => ("00000000000000 00".into(), "", Class::ProgramRead),
            0x1E | 0x1F => (String::new(), "", Class::ProgramRead),
            0x28 => ("000000000000fd 0000 05 5f44454c45".into(), "", Class::ProgramWrite),
            0x01 | 0x29 => (String::new(), "", Class::Control),
            0xF0 => ("00 0001 0001 01e0".into(), "", Class::Housekeeping),
            _ => (String::new(), "", Class::Unknown),
        };
        let operation = operation(job(&format!("{function:02x} {rest}"), data));
        assert_eq!(operation.accesses[0].class, expected, "{function:#x}");
    }
}

#[test]
fn program_invocations_go_by_their_name() {
    let invocation = |argument: &str, name: &str| {
        let (argument, name) = (argument.as_bytes(), name.as_bytes());
        let lengths = (format!("{:04x}", argument.len()), format!("{:02x}", name.len()));
        let (argument, name) = (hex::encode(argument), hex::encode(name));
        text(job(&format!("28 000000000000fd {} {argument} {} {name}", lengths.0, lengths.1), ""))
    };
    assert_eq!(invocation("0A00001P", "_INSE"), "program-write = \"0A00001P\" (activate block (_INSE))");
    assert_eq!(invocation("0A00001P", "_INS2"), "program-write = \"0A00001P\" (activate block (_INS2))");
    assert_eq!(invocation("0A00001B", "_DELE"), "program-write = \"0A00001B\" (delete block (_DELE))");
    assert_eq!(invocation("guest secret", "_N_LOGIN_"), "security = *** (log in (_N_LOGIN_))");
    assert_eq!(invocation("x", "_N_F_OPEN"), "unknown = \"_N_F_OPEN\" (an unknown PI service)");
    assert_eq!(invocation("", "P_program"), "unknown = \"P_program\" (an unknown PI service)");
}

/// Whoever keeps the frame can leave out the secret: its place is known, or it
/// is known that it has none.
#[test]
fn a_password_is_secret_in_whatever_shape_it_comes() {
    let whole = userdata("000112 04 11 45 01 00", "ff09 0008 2630101720365543");
    let secret = |frame: &Bytes| {
        let operation = operation(frame.clone());
        assert!(operation.to_string().contains("***"), "{operation}");
        let secrets: Vec<_> = operation.secrets().cloned().collect();
        let [secret] = &secrets[..] else { panic!("{operation}") };
        secret.clone()
    };
    assert_eq!(secret(&whole).place_in(&whole), Some(29..37));
    assert_eq!(secret(&whole).reveal().as_ref(), bytes("2630101720365543"));
    let login = job("28 000000000000fd 0006 68756e746572 09 5f4e5f4c4f47494e5f", "");
    assert_eq!(secret(&login).place_in(&login), Some(27..33));
    assert_eq!(secret(&login).place_in(&Bytes::from_static(b"another frame")), None);
    // In two fragments the unit is put together, and no longer in the frame.
    let unit = &whole[7..];
    let fragment = |data: &[u8], end: u8| {
        let length = u8::try_from(data.len() + 7).unwrap();
        [&[3, 0, 0, length, 2, 0xF0, end][..], data].concat()
    };
    let fragments = Bytes::from([fragment(&unit[..22], 0), fragment(&unit[22..], 0x80)].concat());
    assert_eq!(secret(&fragments).place_in(&fragments), None);
    // What is broken is denied, and as secret as what is not.
    for broken in [
        userdata("000112 04 11 45 01 00", "ff09 0009 2630101720365543"),
        userdata("000112 05 11 45 01 00 00", "ff09 0008 2630101720365543"),
        userdata("000112 04 11 45 01 00", "ff"),
        userdata("000112 08 12 45 01 00 00 01 0000", "ff09 0008 2630101720365543"),
        job("28 000000000000fd 0006 68756e746572 0a 5f4e5f4c4f47494e5f", ""),
    ] {
        let operation = operation(broken.clone());
        assert_eq!(operation.accesses[0].class, Class::Unknown, "{operation}");
        let hidden = secret(&broken).reveal().len();
        assert!(hidden + 7 == broken.len() || broken.ends_with(secret(&broken).reveal()), "{operation}");
    }
}

#[test]
fn cyclic_reads_name_what_they_subscribe_to() {
    let cyclic = |data: String| userdata("000112 04 11 42 01 00", &data);
    let two = format!("ff09 001c 0002 0105 {} {}", item(2, 4, 12, 0x84, 0), item(2, 1, 0, 0x83, 0));
    assert_eq!(text(cyclic(two)), "subscribe db12[0-3] + subscribe m[0]");
    let symbolic = "ff09 000c 0001 0105 1206 b2 ff 000000 00".to_owned();
    assert_eq!(text(cyclic(symbolic)), "unknown (cyclic transfer)");
    assert_eq!(flaw(cyclic("ff09 0004 0000 0105".into())), Flaw::Count { count: 0 });
    assert_eq!(flaw(cyclic(format!("ff09 0010 0002 0105 {}", item(2, 4, 12, 0x84, 0)))), Flaw::Length);
}

#[test]
fn userdata_in_pieces_from_the_client_is_unknown() {
    let service = "000112 08 12 45 01 00 00 01 0000";
    assert_eq!(text(userdata(service, "ff09 0002 0102")), "unknown = *** (set session password)");
    // More of an answer of which nothing was ever seen.
    assert_eq!(text(userdata("000112 08 12 44 01 05 00 00 0000", "0a000000")), "unknown (read SZL)");
    // Not a request at all.
    assert_eq!(text(userdata("000112 08 12 84 01 05 00 00 0000", "0a000000")), "unknown (read SZL)");
    assert_eq!(text(userdata("000112 04 11 02 01 00", "0a000000")), "unknown (cyclic transfer)");
    assert_eq!(flaw(userdata("000112 05 11 44 01 00 00", "0a000000")), Flaw::Length);
    assert_eq!(flaw(userdata("000113 04 11 44 01 00", "0a000000")), Flaw::Length);
    assert_eq!(flaw(userdata("000112 04 11 44 01 00", "ff09 0002 0011")), Flaw::Length);
    assert_eq!(flaw(userdata("000112 04 11 44 02 00", "ff09 0002 00")), Flaw::Length);
}

#[test]
fn every_byte_of_a_unit_is_accounted_for() {
    for unit in ["32010000000700010000 29 00", "32010000000700010001 29", "32010000000700030000 29 00"] {
        assert_eq!(flaw(framed(&bytes(unit))), Flaw::Length, "{unit}");
    }
    assert_eq!(flaw(framed(&bytes("32090000000700010000 29"))), Flaw::Function);
}

#[test]
fn only_class_0_is_spoken_over_tcp() {
    let connect = bytes("0300001611e00000123420c1020100c2020102c0010a");
    assert_eq!(flaw(connect), Flaw::Value { value: 0x20 });
}

#[test]
fn refusals_are_those_that_real_clients_understand() {
    let item = item(2, 1, 1, 0x84, 0);
    for (frame, refusal) in [
        (
            bytes("0300002602f080320100000005000e00070501120a1002000300018400005000040018010203"),
            "0300001602f0803203000000050002000100000501 03",
        ),
        (
            job(&format!("0503 {item} {item} {item}"), "0004000801 00 0004000802 00 0004000803"),
            "0300001802f08032030000000700020003 0000 0503 030303",
        ),
        (
            job(&format!("0402 {item} {item}"), ""),
            "0300001d02f08032030000000700020008 0000 0402 03000000 03000000",
        ),
        (
            bytes("0300002102f0803201000000080010000029000000000009505f50524f4752414d"),
            "0300001402f080320300000008000100008703 29",
        ),
        (
            bytes(
                "0300003102f080320100000022002000001a00010000000000095f30413030303031500d31303030313030303030303634",
            ),
            "0300001402f0803203000000220001000087031a",
        ),
        (
            bytes("0300002702f0803207000000030008000e0001120411470200ff09000a00192403050607080003"),
            "0300002102f080320700000003000c0004000112081287020000 00d241 0a000000",
        ),
        (bytes("0300001611e00000123400c1020100c2020102c0010a"), "0300000b0680 1234 0000 00"),
        // Not in class 0.
        (bytes("0300001611e00000123420c1020100c2020102c0010a"), "0300000b0680 1234 0000 00"),
    ] {
        assert_eq!(denied(frame), Some(refusal.replace(' ', "")), "{refusal}");
    }
}

#[test]
fn what_is_no_request_has_no_refusal() {
    for frame in [
        unit(3, "0000", "1b00", "0002 00fb 0102"),
        unit(2, "0000", "", ""),
        bytes("0300000c0680000100010000"),
        framed(&[]),
        framed(&[0x32, 9, 0, 0, 0, 7, 0, 0, 0, 0]),
        framed(&[0x32, 1, 0, 0, 0]),
    ] {
        assert_eq!(denied(frame.clone()), None, "{frame:?}");
    }
    let request = decode(unit(3, "0000", "1b00", "0002 00fb 0102"));
    assert_eq!(request.expects, Expects::Nothing);
    let Content::Operation(operation) = request.content else { panic!("an acknowledgement is understood") };
    assert_eq!(operation.accesses[0].class, Class::Unknown);
}

#[test]
fn endpoints_of_other_kinds_are_shown_as_they_are() {
    let connect = |called: &str| {
        let called = called.as_bytes();
        let (unit, tpkt) = (8 + called.len(), 13 + called.len());
        let frame =
            format!("0300{tpkt:04x}{unit:02x}e00000000100c2{:02x}{}", called.len(), hex::encode(called));
        bytes(&frame)
    };
    assert_eq!(text(connect("SIMATIC-ROOT-HMI")), "housekeeping = \"SIMATIC-ROOT-HMI\" (connect)");
    assert_eq!(text(connect("\x04\x02")), "housekeeping = \"\\x04\\x02\" (connect)");
    assert_eq!(text(connect("")), "housekeeping = \"\" (connect)");
    let without = bytes("0300000b06e00000000100");
    assert_eq!(text(without), "housekeeping (connect)");
    for broken in ["0300000d08e00000000100c2 05", "0300000d08e00000000100c4 00", "0300000c07e00000000100c2"] {
        assert!(matches!(decode(bytes(broken)).content, Content::Malformed { .. }), "{broken}");
    }
}

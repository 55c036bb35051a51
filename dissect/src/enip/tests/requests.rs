//! Single requests: what each means.

use super::*;
use crate::enip::service;
use crate::operation::{Access, Class, Effect, Values};
use crate::place::{Object, Place};

#[test]
fn commands_of_the_encapsulation_come_with_the_session() {
    for (command, body, text) in [
        (0x00, "0102", "housekeeping (NOP)"),
        (0x65, "0100 0000", "housekeeping (register session)"),
        (0x66, "", "housekeeping (unregister session)"),
        (0x04, "", "identify (list services)"),
        (0x63, "", "identify (list identity)"),
        (0x64, "", "identify (list interfaces)"),
        (0x72, "", "unknown (indicate status)"),
        (0x73, "", "unknown (cancel)"),
        (0x05, "", "unknown (a reserved command)"),
    ] {
        let request = new().decode(frame(command, 0, &bytes(body)));
        assert_eq!(operation_of(&request).to_string(), text);
    }
    for (command, body) in [(0x65, "0200 0000"), (0x65, "0100"), (0x66, "00"), (0x63, "00"), (0x6F, "")] {
        let request = new().decode(frame(command, 0, &bytes(body)));
        assert!(matches!(request.content, Content::Malformed { .. }), "{command:#x} {body}");
    }
}

/// As a tool of another project sends them, through the default route.
#[test]
fn tags_are_read_and_written() {
    for (message, text) in [
        (
            "5202 2006 2401 059d 1200 4d05 9105535045454400 2801 c300 0100 4d00 0100 0100",
            "write symbol[SPEED[1]] = 77",
        ),
        ("5202 2006 2401 059d 0e00 4c05 9105535045454400 2800 0400 0100 0100", "read symbol[SPEED[0-3]]"),
        (
            "5202 2006 2401 059d 1c00 4d09 9108436f6e7665796f72 91054c6576656c00 ca00 0100 00006040 0100 0100",
            "write symbol[Conveyor.Level] = 3.5",
        ),
        (
            "5202 2006 2401 059d 1000 5204 910342494700 2800 9001 00000000 0100 0100",
            "read symbol[BIG[0-399]]",
        ),
    ] {
        assert_eq!(operation(&bytes(message)).to_string(), text);
    }
    for (message, text) in [
        ("4c02 9102 4142 0100", "read symbol[AB]"),
        ("4c03 9102 4142 2805 0100", "read symbol[AB[5]]"),
        ("4c04 9102 4142 2900 0001 0200", "read symbol[AB[256-257]]"),
        ("4c05 9102 4142 2a00 00000100 0100", "read symbol[AB[65536]]"),
        ("4c04 9102 4142 2801 2802 0300", "read symbol[AB[1,2-4]]"),
        ("4c06 9102 4142 2801 9102 4344 2802 0100", "read symbol[AB[1].CD[2]]"),
        ("4c0a 910c 50726f6772616d3a4d61696e 9103 41424300 0100", "read symbol[Program:Main.ABC]"),
        ("4c01 9100 0100", "unknown (read tag)"),
        ("4d02 9102 4142 c100 0200 ff00", "write symbol[AB[0-1]] = 1 0"),
        ("4d02 9102 4142 c200 0100 ff", "write symbol[AB] = -1"),
        ("4d02 9102 4142 c400 0100 ffffffff", "write symbol[AB] = -1"),
        ("4d02 9102 4142 c800 0100 ffffffff", "write symbol[AB] = 4294967295"),
        ("4d02 9102 4142 cb00 0100 000000000000f8bf", "write symbol[AB] = -1.5"),
        ("4d02 9102 4142 a002 ce0f 0100 05000000", "write symbol[AB] = 0x05000000"),
        (
            "4e02 9102 4142 0400 04000000 fffffffe",
            "write symbol[AB] = (old and 0xfefffffb) or (0x0004 and not 0xfefffffb)",
        ),
        // A mask that is wider than it says, and keeps what is beyond.
        (
            "4e02 9102 4142 0400 04000000 fffffffe ffffffff",
            "write symbol[AB] = (old and 0xfefffffb) or (0x0004 and not 0xfefffffb)",
        ),
        ("5302 9102 4142 c400 0300 04000000 01000000", "write symbol[AB[1]] = 1"),
        ("5303 9102 4142 2805 c400 0300 04000000 01000000 02000000", "write symbol[AB[6-7]] = 1 2"),
        ("5302 9102 4142 c400 0300 03000000 01000000", "write symbol[AB[0-2]] = 0x01000000"),
        ("5302 9102 4142 a002 ce0f 0300 03000000 01000000", "write symbol[AB[0-2]] = 0x01000000"),
        ("0e02 9102 4142", "read symbol[AB]"),
        ("1002 9102 4142 01", "write symbol[AB] = 0x01"),
        ("4b02 9102 4142", "unknown symbol[AB]"),
        ("4c03 9104 41422043 0100", "unknown (read tag)"),
    ] {
        assert_eq!(self::text(message), text, "{message}");
    }
}

#[test]
fn what_does_not_add_up_is_malformed() {
    for (message, expected) in [
        ("4c02 9102 4142 0000", Flaw::Count { count: 0 }),
        ("4c02 9102 4142 0100 00", Flaw::Length),
        ("4c02 9102 4142 01", Flaw::Length),
        ("4d02 9102 4142 c400 0200 01000000", Flaw::Length),
        ("4d02 9102 4142 c400 0100 0100000000", Flaw::Length),
        ("5302 9102 4142 c400 0100 04000000 01000000", Flaw::Address),
        ("5302 9102 4142 c400 0100 00000000", Flaw::Address),
        ("4e02 9102 4142 0300 000000 000000", Flaw::Value { value: 3 }),
        ("4e02 9102 4142 0200 0000 0000 00", Flaw::Length),
        ("4e02 9102 4142 0400 04000000 fffffffe fffffffe", Flaw::Length),
        ("4e02 9102 4142 0400 04000000 fffffffe ffff", Flaw::Length),
        ("cd02 9102 4142", Flaw::Function),
        ("4c03 9102 4142", Flaw::Path),
        ("4c01 9103", Flaw::Path),
        ("4c02 9101 4101 0100", Flaw::Path),
        ("4c01 2304 0100", Flaw::Path),
        ("4c02 2101 0400 0100", Flaw::Path),
        ("4c01 e000 0100", Flaw::Path),
        ("0e03 2004 2401 3003 00", Flaw::Length),
        ("1002 2004 2401 00", Flaw::Path),
        ("0302 2004 2401 0000", Flaw::Count { count: 0 }),
        ("0302 2004 2401 0200 0300", Flaw::Length),
        ("0302 2004 2401 0100 0300 00", Flaw::Length),
        ("4c", Flaw::Length),
        ("", Flaw::Length),
    ] {
        assert_eq!(flaw(&bytes(message)), expected, "{message}");
    }
}

#[test]
fn objects_are_named_by_their_numbers_whatever_their_width() {
    for (message, text) in [
        ("0e03 2004 2464 3003", "read class[4.100.3] (get attribute single)"),
        ("0e06 2100 0400 2500 6400 3100 0300", "read class[4.100.3] (get attribute single)"),
        ("0e05 2004 2600 64000000 3003", "read class[4.100.3] (get attribute single)"),
        ("1003 2004 2464 3003 0102", "write class[4.100.3] (set attribute single) = 0x0102"),
        ("1804 2004 2464 3003 2805", "read class[4.100.3] (get member)"),
        ("0101 2004", "read class[4] (get attributes all)"),
        (
            "0302 2004 2464 0200 0100 0300",
            "read class[4.100.1] (get attribute list) + read class[4.100.3] (get attribute list)",
        ),
        ("0402 20f5 2401 0100 0500 00", "program-write class[245.1] (set attribute list) = 0x0100050000"),
        ("0102 2001 2401", "identify class[1.1] (get attributes all)"),
        ("0502 2001 2401", "control class[1.1] (reset)"),
        ("0502 2001 2401 00", "control class[1.1] (reset) = 0x00"),
        ("0502 2001 2401 01", "program-write class[1.1] (reset) = 0x01"),
        ("0702 208e 2401", "control class[142.1] (stop)"),
        ("0e02 2401 2004", "unknown (get attribute single)"),
        ("0e03 2004 2464 2c03", "unknown (get attribute single)"),
        ("0e03 2004 2004 2401", "unknown (get attribute single)"),
        ("0e03 0105 2004 2464", "unknown (get attribute single)"),
    ] {
        assert_eq!(self::text(message), text, "{message}");
    }
}

/// Service and class of object together say what happens.
#[test]
fn every_pair_of_service_and_object_has_its_class() {
    for (service, object, class) in [
        (0x01, Some(0x01), Class::Identify),
        (0x0E, Some(0x01), Class::Identify),
        (0x10, Some(0x01), Class::ProgramWrite),
        (0x01, Some(0x64), Class::Read),
        (0x03, Some(0xAC), Class::Read),
        (0x55, Some(0x6B), Class::Read),
        (0x4C, Some(0x6C), Class::Read),
        (0x02, Some(0x04), Class::Write),
        (0x04, Some(0x0F), Class::Write),
        (0x19, Some(0x04), Class::Write),
        (0x10, Some(0xF5), Class::ProgramWrite),
        (0x10, Some(0xF6), Class::ProgramWrite),
        (0x10, Some(0x43), Class::TimeSet),
        (0x04, Some(0x8B), Class::TimeSet),
        (0x10, Some(0x5D), Class::Security),
        (0x05, Some(0x01), Class::Control),
        (0x06, Some(0x8E), Class::Control),
        (0x07, Some(0x8E), Class::Control),
        (0x08, Some(0x68), Class::ProgramWrite),
        (0x09, Some(0x6B), Class::ProgramWrite),
        (0x15, Some(0x01), Class::ProgramWrite),
        (0x16, Some(0x01), Class::ProgramWrite),
        (0x4B, Some(0xA1), Class::ProgramWrite),
        (0x4D, Some(0xA1), Class::ProgramWrite),
        (0x51, Some(0xA1), Class::ProgramWrite),
        (0x4C, Some(0x8E), Class::Security),
        (0x4C, Some(0x74), Class::Security),
        (0x53, Some(0x68), Class::ProgramWrite),
        (0x4F, Some(0x37), Class::FileRead),
        (0x50, Some(0x37), Class::ProgramWrite),
        (0x51, Some(0x37), Class::ProgramWrite),
        (0x4C, Some(0x6B), Class::Unknown),
        (0x4D, Some(0x6B), Class::Unknown),
        (0x4C, Some(0x99), Class::Unknown),
        (0x4B, Some(0x99), Class::Unknown),
        (0x52, Some(0x04), Class::Unknown),
        (0x05, None, Class::Unknown),
        (0x31, Some(0x04), Class::Unknown),
        (0x7F, Some(0x68), Class::Unknown),
    ] {
        assert_eq!(service::class(service, object), class, "{service:#x} on {object:x?}");
    }
}

#[test]
fn an_access_carries_object_service_and_values_for_policy() {
    let operation = operation(&bytes("1003 2004 2464 3003 0102"));
    let place =
        Place::Object(Object { class: 4, instance: Some(100), attribute: Some(3), service: Some(0x10) });
    let values = Values::Untyped(bytes("0102"));
    assert_eq!(
        operation.accesses[..],
        [Access { class: Class::Write, unit: None, place: Some(place), values }]
    );
    assert_eq!(operation.effect(), Effect::Changes);
}

fn pccc(command: &str) -> String {
    text(&format!("4b02 2067 2401 07 4d00 78563412 {command}"))
}

#[test]
fn pccc_reads_and_writes_have_files_and_all_else_is_unknown() {
    for (command, text) in [
        ("0f00 0100 a2 04 07 89 05 00", "read table[7[5-6]]"),
        ("0f00 0100 a2 04 ff0701 89 05 00", "read table[263[5-6]]"),
        ("0f00 0100 a2 02 04 86 00 02", "read table[4[0].2]"),
        ("0f00 0100 a1 04 08 8a 01", "read table[8[1]]"),
        ("0f00 0100 aa 04 07 89 05 00 0100 0200", "write table[7[5-6]] = 0x01000200"),
        ("0f00 0100 a9 02 07 89 05 0100", "write table[7[5]] = 0x0100"),
        (
            "0f00 0100 ab 02 03 85 05 00 0f00 0300",
            "write table[3[5]] = (old and 0xfff0) or (0x0003 and not 0xfff0)",
        ),
        ("0f00 0100 ab 04 08 8a 01 00 ffff 00002040", "write table[8[1]] = 0x00002040"),
        ("0f00 0100 ab 04 07 89 05 00 ffff 0100 0200", "write table[7[5-6]] = 0x01000200"),
        ("0f00 0100 68 0000 0300 06 07 05 0300", "read table[7[5-7]]"),
        ("0f00 0100 67 0000 0200 06 07 05 4209 0100", "write table[7[5-6]] = 0x42090100"),
        ("0f00 0100 01 0000 0200 07 00 07 05 04", "read table[7[5-6]]"),
        ("0f00 0100 00 0100 0200 06 07 05 0100", "write table[7[5-6]] = 0x0100"),
        (
            "0f00 0100 26 06 07 05 fffe 0001 06 07 06 ffff 0100",
            "write table[7[5]] = (old and 0xfeff) or (0x0100 and not 0xfeff) \
             + write table[7[6]] = (old and 0xfffe) or (0x0001 and not 0xfffe)",
        ),
        ("0f00 0100 68 0000 0300 00244e373a3500 0300", "unknown (PCCC typed read)"),
        ("0f00 0100 a2 04 07 ee 05 00", "unknown (PCCC typed logical read)"),
        ("0f00 0100 3a 01", "unknown (PCCC set CPU mode)"),
        ("0f00 0100 80 06", "unknown (PCCC set CPU mode)"),
        ("0f00 0100 52", "unknown (PCCC download completed)"),
        ("0f00 0100 57", "unknown (PCCC initialize memory)"),
        ("0f00 0100 99", "unknown (PCCC function)"),
        ("0800 0100 0000 01", "unknown (PCCC command)"),
        ("0f01 0100 a2 04 07 89 05 00", "unknown (PCCC command)"),
    ] {
        assert_eq!(pccc(command), text, "{command}");
    }
    for command in [
        "0f00 0100 a2 04 07 89 05 00 00",
        "0f00 0100 aa 04 07 89 05 00 0100",
        "0f00 0100 a2 00 07 89 05 00",
        "0f00 0100 ab 03 07 89 05 00 ffff 010002",
        "0f00 0100 ab 04 07 89 05 00 ffff 0100",
        "0f00 0100 68 0000 0300 06 07 05 0300 00",
        "0f00 0100 26 06 07 05 fffe",
        "0f00 01",
    ] {
        let message = format!("4b02 2067 2401 07 4d00 78563412 {command}");
        let _flaw = flaw(&bytes(&message));
    }
}

//! Requests within requests, routes, connections, and tags by instance.

use super::*;
use crate::enip::connection::MOST_CONNECTIONS;
use crate::enip::message::MOST_REQUESTS;
use crate::name::NameKind;
use crate::operation::Class;
use crate::place::Place;

const READ: &str = "4c02 9102 4142 0100";
const WRITE: &str = "4d02 9102 4142 c300 0100 0700";

fn read() -> Vec<u8> {
    bytes(READ).to_vec()
}

#[test]
fn a_packet_is_all_of_its_requests() {
    let message = multiple(&[read(), bytes(WRITE).to_vec()]);
    assert_eq!(operation(&message).to_string(), "read symbol[AB] + write symbol[AB] = 7");
    assert_eq!(operation(&message).function, "multiple service packet");
    let routed = operation(&wrapped(&message, "0105"));
    assert_eq!(routed.to_string(), "read symbol[AB] + write symbol[AB] = 7 + route path[1.5]");
}

/// As a tool of another project sends it.
#[test]
fn a_packet_with_an_object_that_is_no_tag_is_unknown_in_that_part() {
    let message = "5202 2006 2401 059d 2200 0a02 2002 2401 0200 0600 1200
                   4c04 910342494700 2800 9001 4c03 2099 2401 3002 0100 0100 0100";
    assert_eq!(text(message), "read symbol[BIG[0-399]] + unknown class[153.1.2] (service 0x4c) = 0x0100");
}

#[test]
fn a_packet_has_to_account_for_each_byte() {
    for (data, expected) in [
        ("0000", Flaw::Count { count: 0 }),
        ("0104", Flaw::Count { count: 0x401 }),
        ("0100 0600 00000000", Flaw::Length),
        ("0200 0600 0600 00000000", Flaw::Length),
        ("0200 0600 ff00 00000000", Flaw::Length),
        ("0300 0800 0c00 0a00 0101 2004 0101 2004", Flaw::Length),
        ("0100", Flaw::Length),
    ] {
        assert_eq!(flaw(&bytes(&format!("0a02 2002 2401 {data}"))), expected, "{data}");
    }
    // A part that is longer than its request.
    assert_eq!(flaw(&multiple(&[bytes("4c02 9102 4142 0100 00").to_vec(), read()])), Flaw::Length);
}

#[test]
fn requests_nest_three_deep_and_no_deeper() {
    let twice = multiple(&[multiple(&[read()])]);
    assert_eq!(operation(&twice).to_string(), "read symbol[AB]");
    assert_eq!(flaw(&multiple(std::slice::from_ref(&twice))), Flaw::Depth);
    assert_eq!(flaw(&wrapped(&twice, "")), Flaw::Depth);
    assert_eq!(operation(&wrapped(&multiple(&[read()]), "")).to_string(), "read symbol[AB]");
}

#[test]
fn the_number_of_requests_in_a_frame_is_bounded() {
    let half = multiple(&vec![bytes("0101 2004").to_vec(); MOST_REQUESTS / 2]);
    assert_eq!(operation(&multiple(&[half.clone(), half.clone()])).accesses.len(), MOST_REQUESTS);
    let one_more = multiple(&[half.clone(), half, bytes("0101 2004").to_vec()]);
    assert!(matches!(flaw(&one_more), Flaw::Count { .. }));
}

#[test]
fn a_long_operation_shows_all_that_changes() {
    let parts = [vec![read(); 40], vec![bytes(WRITE).to_vec()]].concat();
    let text = operation(&multiple(&parts)).to_string();
    assert!(text.ends_with(" + write symbol[AB] = 7 + 8 more that change nothing"), "{text}");
}

#[test]
fn a_route_beyond_the_default_slot_is_an_access_of_its_own() {
    for (route, text) in [
        ("", "read symbol[AB]"),
        ("0100", "read symbol[AB]"),
        ("0101", "read symbol[AB] + route path[1.1]"),
        ("0200", "read symbol[AB] + route path[2.0]"),
        ("0102 120c 3139322e3136382e312e3130", "read symbol[AB] + route path[1.2/2.192.168.1.10]"),
        ("0100 0100", "read symbol[AB] + route path[1.0/1.0]"),
        ("0f03 1200", "read symbol[AB] + route path[4611.0]"),
        ("2004 2401", "read symbol[AB] + unknown (read tag)"),
        ("1204 612f6262", "read symbol[AB] + unknown (read tag)"),
    ] {
        assert_eq!(operation(&wrapped(&read(), route)).to_string(), text, "{route}");
    }
    assert_eq!(flaw(&wrapped(&read(), "1205 3139")), Flaw::Path);
    assert_eq!(flaw(&bytes("5202 2006 2401 059d 0800 4c02 9102 4142 0100 0100 0100 00")), Flaw::Length);
}

#[test]
fn only_explicit_messages_to_the_router_get_a_connection() {
    for (service, name) in [(0x54, "forward open"), (0x5B, "large forward open")] {
        for (transport, path, expected) in [
            (0xA3, ROUTER.to_owned(), format!("housekeeping ({name})")),
            (0xA3, format!("0100 {ROUTER}"), format!("housekeeping ({name})")),
            (0xA3, format!("0103 {ROUTER}"), format!("housekeeping ({name}) + route path[1.3]")),
            (0xA3, format!("3404 0000 0000 0000 0000 {ROUTER}"), format!("housekeeping ({name})")),
            (0x01, "2004 2464 2c65 2c66".to_owned(), "unknown (forward open for implicit I/O)".to_owned()),
            (0xA1, ROUTER.to_owned(), "unknown (forward open for implicit I/O)".to_owned()),
            (0xA0, ROUTER.to_owned(), "unknown (forward open for implicit I/O)".to_owned()),
            (0xA2, ROUTER.to_owned(), "unknown (forward open for implicit I/O)".to_owned()),
            (
                0xA3,
                "20a1 2401".to_owned(),
                "unknown (forward open to another object than the message router)".to_owned(),
            ),
        ] {
            let message = forward_open(service, transport, &path);
            assert_eq!(operation(&message).to_string(), expected, "{path}");
        }
    }
    // Where its answer could not be followed it can't be allowed.
    let opening = forward_open(0x54, 0xA3, ROUTER);
    assert_eq!(operation(&wrapped(&opening, "")).to_string(), "unknown (forward open)");
    let mut longer = opening;
    longer.push(0);
    assert_eq!(flaw(&longer), Flaw::Length);
}

#[test]
fn messages_on_a_connection_need_its_opening_on_this_channel() {
    let mut dissector = new();
    let message = unit(0xA349_0F79, 1, &read());
    let unopened = |request: Request| match request.content {
        Content::Malformed { why } => assert_eq!(why.flaw, Flaw::Connection),
        Content::Operation(operation) => panic!("taken for {operation}"),
    };
    unopened(dissector.decode(message.clone()));
    open(&mut dissector, 0xA349_0F79, &forward_open(0x5B, 0xA3, ROUTER));
    assert_eq!(operation_of(&dissector.decode(message.clone())).to_string(), "read symbol[AB]");
    send(&mut dissector, rr(3, &bytes("4e02 2006 2401 0a05 2704 0910 51964a96 02 00 2002 2401")));
    assert_eq!(operation_of(&dissector.decode(message.clone())).to_string(), "read symbol[AB]");
    dissector.answer(rr(3, &bytes("ce00 0000 2704 0910 51964a96 0000")));
    unopened(dissector.decode(message));
}

/// What pycomm3 sends for a single write; anything else behind it would reach
/// the device undecided.
#[test]
fn a_message_may_be_said_twice_and_nothing_else_may_follow_it() {
    let mut dissector = new();
    open(&mut dissector, 5, &forward_open(0x54, 0xA3, ROUTER));
    let once = bytes("4d02 9102 4142 c300 0100 4d00");
    let mut decoded = |message: &[&[u8]]| match dissector.decode(unit(5, 7, &message.concat())).content {
        Content::Operation(operation) => operation.to_string(),
        Content::Malformed { why } => why.to_string(),
    };
    assert_eq!(decoded(&[&once, &[7, 0], &once]), "write symbol[AB] = 77");
    let other = bytes("4d02 9102 4142 c300 0100 4e00");
    let longer = [&once[..], &[0]].concat();
    for wrong in [
        [&once[..], &[8, 0], &once],
        [&once, &[7, 0], &other],
        [&once, &[7, 0], &once[..11]],
        [&once, &[7, 0], &longer],
        [&once, &[], &once],
    ] {
        assert_eq!(decoded(&wrong), "malformed write tag: the fields do not fit the length of the frame");
    }
    // Where it is all data, it is one message.
    let data = bytes("4d02 9102 4142 c200 0d00 4d");
    let whole = [&data[..], &[7, 0], &data[..10]].concat();
    assert_eq!(decoded(&[&whole]), "write symbol[AB[0-12]] = 77 7 0 77 2 -111 2 65 ...");
    let unconnected = [&once[..], &[7, 0], &once].concat();
    assert_eq!(flaw(&unconnected), Flaw::Length);
}

#[test]
fn a_connection_through_the_device_stays_a_route() {
    let mut dissector = new();
    open(&mut dissector, 5, &forward_open(0x54, 0xA3, &format!("0103 {ROUTER}")));
    let request = dissector.decode(unit(5, 1, &read()));
    assert_eq!(operation_of(&request).to_string(), "read symbol[AB] + route path[1.3]");
}

#[test]
fn a_refused_opening_opens_nothing_and_connections_are_bounded() {
    let mut dissector = new();
    send(&mut dissector, rr(9, &forward_open(0x54, 0xA3, ROUTER)));
    dissector.answer(rr(9, &bytes("d400 0101 0001 05000000 27041971")));
    assert!(matches!(dissector.decode(unit(5, 1, &read())).content, Content::Malformed { .. }));
    for number in 0..=u32::try_from(MOST_CONNECTIONS).unwrap() {
        let mut message = forward_open(0x54, 0xA3, ROUTER);
        message[20..24].copy_from_slice(&number.to_le_bytes());
        open(&mut dissector, number, &message);
    }
    assert!(matches!(dissector.decode(unit(0, 1, &read())).content, Content::Malformed { .. }));
    assert!(matches!(dissector.decode(unit(1, 1, &read())).content, Content::Operation(_)));
}

const LISTING: &str = "5503 206b 2500 0000 0200 0100 0200";

/// Reads instance 0x1234 of the symbol class, element 5, member `CD`.
const BY_INSTANCE: &str = "4c06 206b 2500 3412 2805 9102 4344 0100";

fn browse(dissector: &mut Dissector, request: &str, answer: &str) {
    send(dissector, rr(2, &bytes(request)));
    assert!(dissector.answer(rr(2, &bytes(answer))).key.is_some());
}

fn decoded(dissector: &mut Dissector, message: &str) -> String {
    operation_of(&dissector.decode(rr(1, &bytes(message)))).to_string()
}

#[test]
fn a_tag_by_instance_is_unknown_until_its_name_was_listed() {
    let mut dissector = new();
    let unknown = "unknown class[107.4660] (read tag) = 0x0100";
    assert_eq!(decoded(&mut dissector, "4c03 206b 2500 3412 0100"), unknown);
    // Partial: more to come.
    browse(&mut dissector, LISTING, "d500 0600 01000000 0200 4142 c300 34120000 0400 4c696e65 c4a0");
    assert_eq!(decoded(&mut dissector, "4c03 206b 2500 3412 0100"), "read symbol[Line]");
    assert_eq!(decoded(&mut dissector, BY_INSTANCE), "read symbol[Line[5].CD]");
    assert_eq!(
        decoded(&mut dissector, "4d03 206b 2401 2800 c300 0200 0100 0200"),
        "write symbol[AB[0-1]] = 1 2"
    );
    // Listed again under another name, then under none that can be spelled.
    browse(&mut dissector, LISTING, "d500 0000 34120000 0200 5858 c400");
    assert_eq!(decoded(&mut dissector, "4c03 206b 2500 3412 0100"), "read symbol[XX]");
    browse(&mut dissector, LISTING, "d500 0000 34120000 0200 5820 c400");
    assert_eq!(decoded(&mut dissector, "4c03 206b 2500 3412 0100"), unknown);
}

#[test]
fn tags_of_a_program_have_its_name() {
    let mut dissector = new();
    let program = "910c 50726f6772616d3a4d61696e";
    browse(
        &mut dissector,
        &format!("550a {program} 206b 2500 0000 0100 0100"),
        "d500 0000 07000000 0200 4142",
    );
    assert_eq!(
        decoded(&mut dissector, &format!("4c09 {program} 206b 2407 0100")),
        "read symbol[Program:Main.AB]"
    );
    assert!(decoded(&mut dissector, "4c02 206b 2407 0100").starts_with("unknown"));
    assert!(decoded(&mut dissector, "4c05 9104 4f746872 206b 2407 0100").starts_with("unknown"));
}

#[test]
fn what_may_renumber_the_tags_makes_them_unknown_again() {
    let mut dissector = new();
    browse(&mut dissector, LISTING, "d500 0000 34120000 0200 4142 c400");
    send(&mut dissector, rr(1, &bytes("0702 208e 2401")));
    assert_eq!(decoded(&mut dissector, "4c03 206b 2500 3412 0100"), "read symbol[AB]");
    send(&mut dissector, rr(1, &bytes("5302 2068 2401")));
    assert!(decoded(&mut dissector, "4c03 206b 2500 3412 0100").starts_with("unknown"));
}

#[test]
fn what_may_renumber_counts_from_when_it_is_admitted() {
    let mut dissector = new();
    browse(&mut dissector, LISTING, "d500 0000 34120000 0200 4142 c400");
    let download = dissector.decode(rr(1, &bytes("5302 2068 2401")));
    dissector.admitted(&download);
    assert!(decoded(&mut dissector, "4c03 206b 2500 3412 0100").starts_with("unknown"));
    // What was asked for before it goes says nothing about the time after it.
    send(&mut dissector, rr(2, &bytes(LISTING)));
    dissector.forwarded(&download);
    assert!(dissector.answer(rr(2, &bytes("d500 0000 34120000 0200 4142 c400"))).key.is_some());
    assert!(decoded(&mut dissector, "4c03 206b 2500 3412 0100").starts_with("unknown"));
    browse(&mut dissector, LISTING, "d500 0000 34120000 0200 4142 c400");
    assert_eq!(decoded(&mut dissector, "4c03 206b 2500 3412 0100"), "read symbol[AB]");
}

#[test]
fn a_listing_that_cannot_be_read_teaches_nothing() {
    let mut dissector = new();
    browse(&mut dissector, "5503 206b 2500 0000 0200 0900 0100", "d500 0000 34120000 0200 4142 c400");
    browse(&mut dissector, LISTING, "d500 0800 34120000 0200 4142 c400");
    browse(&mut dissector, LISTING, "d500 0000 34120000 0200 41");
    assert!(decoded(&mut dissector, "4c03 206b 2500 3412 0100").starts_with("unknown"));
    // An answer that nobody asked for.
    assert_eq!(dissector.answer(rr(2, &bytes("d500 0000 34120000 0200 4142 c400"))).key, None);
}

#[test]
fn a_rule_covers_a_tag_whatever_the_case_of_its_letters() {
    let operation = operation(&bytes("4d08 9108 434f4e5645594f52 9104 53504545 c300 0100 0700"));
    assert_eq!(operation.accesses[0].class, Class::Write);
    let rule = Place::Name(crate::Name::parse(NameKind::Symbol, "Conveyor").unwrap());
    assert!(operation.accesses[0].place.as_ref().is_some_and(|place| rule.covers(place)));
}

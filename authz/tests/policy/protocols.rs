//! S7 and EtherNet/IP: areas by number, bits, names, objects, and accesses
//! that say less than a rule.

use crate::{ask, circumstances};
use authz::{Files, Policy, Problems, Verdict};
use bytes::Bytes;
use dissect::{
    Access, Area, ByteOrder, Class, Name, NameKind, NumberKind, Object, Operation, Place, Protocol, Range,
    Values,
};

const AT: &str = "2026-06-02T10:00:00Z";

const TARGETS: &str = r#"
[[target]]
id = "line/plc"
zone = "press"
address = "127.0.0.1"
[target.services]
s7 = "102/tcp"
logix = "44818/tcp enip"
hmi = "103/tcp s7plus"
[target.tags]
level = "s7:db12[8]:f32"
valve = "s7:q[0.1]"
speed = "enip:symbol[Line.Speed]:i16"
"#;

fn policy(rules: &[&str]) -> Result<Policy, Problems> {
    let rows: String =
        rules.iter().map(|rule| format!("p, person:tech-1@vendor-a, line/plc, {rule}\n")).collect();
    let files = [
        ("policy.csv", rows.as_str()),
        ("targets.toml", TARGETS),
        ("conditions.toml", ""),
        ("model.conf", Policy::MODEL),
    ];
    let files = Files::from_contents(files.map(|(name, text)| (name, text.as_bytes()))).expect("small");
    Policy::from_files(&files)
}

/// Whether the rules allow the operation; Casbin is asked at the grant.
fn allows(rules: &[&str], operation: &Operation) -> bool {
    let policy = policy(rules).unwrap_or_else(|problems| panic!("{problems}"));
    let grant = ask(&policy, "tech-1@vendor-a", "line/plc", AT).expect("a grant");
    match grant.terms().judge(operation, &circumstances(AT)) {
        Verdict::Allow { .. } => true,
        Verdict::Deny(_) => false,
        Verdict::Needs { .. } => panic!("nothing is owed"),
    }
}

fn operation(protocol: Protocol, access: Access) -> Operation {
    Operation { protocol, function: "test", accesses: [access].into_iter().collect() }
}

/// A write to bits of data block 12.
fn bits(first: u32, count: u32, values: Values) -> Operation {
    let range = Range::counted(first, count).expect("a range");
    let place = Some(Place::Range { area: Area::DataBlock(12), range });
    operation(Protocol::S7, Access { class: Class::Write, unit: None, place, values })
}

/// A write to whole bytes of data block 12.
fn db(first: u32, bytes: &[u8]) -> Operation {
    let count = u32::try_from(bytes.len()).expect("few") * 8;
    bits(first * 8, count, Values::Untyped(Bytes::copy_from_slice(bytes)))
}

fn symbol(class: Class, name: &str, values: Values) -> Operation {
    let place = Some(Place::Name(Name::parse(NameKind::Symbol, name).expect("a name")));
    operation(Protocol::Enip, Access { class, unit: None, place, values })
}

fn read(name: &str) -> Operation {
    symbol(Class::Read, name, Values::None)
}

fn write(name: &str, numbers: &[i16]) -> Operation {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let values = Values::Numbers { kind: NumberKind::I16, order: ByteOrder::Little, bytes: bytes.into() };
    symbol(Class::Write, name, values)
}

fn object(class: Class, object: (u32, Option<u32>, Option<u32>), service: u8) -> Operation {
    let (number, instance, attribute) = object;
    let object = Object { class: number, instance, attribute, service: Some(service) };
    let place = Some(Place::Object(object));
    operation(Protocol::Enip, Access { class, unit: None, place, values: Values::None })
}

#[test]
fn bytes_and_bits_of_a_data_block_are_judged_bit_by_bit() {
    let rules = ["s7:write:db12[0-63], , allow", "s7:write:db12[4.3], , deny"];
    assert!(allows(&rules, &db(0, &[1, 2, 3, 4])));
    assert!(allows(&rules, &db(63, &[1])));
    assert!(!allows(&rules, &db(63, &[1, 2])), "byte 64 is outside");
    assert!(!allows(&rules, &db(4, &[0])), "bit 4.3 is in byte 4");
    assert!(!allows(&rules, &bits(35, 1, Values::Bits(Bytes::from_static(&[1])))));
    assert!(allows(&rules, &bits(36, 1, Values::Bits(Bytes::from_static(&[1])))));
    let halves = ["s7:write:db12[0-3], , allow", "s7:write:db12[4-7], , allow"];
    assert!(allows(&halves, &db(2, &[1, 2, 3, 4])), "each byte has its rule");
}

#[test]
fn another_block_is_another_area() {
    let mut other = db(0, &[1]);
    if let Some(Place::Range { area, .. }) = &mut other.accesses[0].place {
        *area = Area::DataBlock(13);
    }
    assert!(!allows(&["s7:write:db12, , allow"], &other));
    assert!(allows(&["s7:write, , allow", "s7:write:db12, , deny"], &other));
    assert!(!allows(&["s7:write, , allow", "s7:write:db13[0-9], , deny"], &other));
}

#[test]
fn a_write_that_does_not_say_where_may_be_anywhere() {
    let force = operation(Protocol::S7, Access::whole(Class::Write, None));
    assert!(allows(&["s7:write, , allow"], &force));
    assert!(!allows(&["s7:write:db12, , allow"], &force), "no rule with a place covers it");
    assert!(!allows(&["s7:write, , allow", "s7:write:db12[4.3], , deny"], &force), "it may hit the bit");
    assert!(!allows(&["s7:write, , allow", "s7:write:tag[valve], , deny"], &force));
    assert!(allows(&["s7:write, , allow", "s7:read:db12, , deny"], &force), "a deny of another class");
}

#[test]
fn values_of_s7_need_a_tag_and_all_of_its_bytes() {
    let rules = ["s7:write:tag[level], value:0..100, allow"];
    assert!(allows(&rules, &db(8, &12.5_f32.to_be_bytes())));
    assert!(!allows(&rules, &db(8, &100.5_f32.to_be_bytes())));
    assert!(!allows(&rules, &db(8, &[0x41, 0x48])), "half a value");
    assert!(!allows(&rules, &db(7, &[0, 0x41, 0x48, 0, 0])), "a byte before it");
    assert!(!allows(&rules, &bits(64, 1, Values::Bits(Bytes::from_static(&[0])))), "a bit of it");
    let refused = policy(&["s7:write:db12[8-11], value:0..100, allow"]).expect_err("no type").to_string();
    assert!(refused.contains("needs a write to typed addresses"), "{refused}");
    let deny = ["s7:write:db12, , allow", "s7:write:tag[level], value:50..100, deny"];
    assert!(allows(&deny, &db(8, &12.5_f32.to_be_bytes())));
    assert!(!allows(&deny, &db(8, &60.0_f32.to_be_bytes())));
    assert!(!allows(&deny, &db(8, &[0x41])), "what it will be is not known");
}

#[test]
fn each_element_of_a_tag_is_judged() {
    let halves = ["enip:read:symbol[A[0-4]], , allow", "enip:read:symbol[A[5-9]], , allow"];
    assert!(allows(&halves, &read("a[3-6]")), "each element has its rule, in either case");
    assert!(!allows(&halves, &read("A[9-10]")));
    assert!(!allows(&halves, &read("A")), "all of it, or the first: nobody knows");
    let but = ["enip:read:symbol[A], , allow", "enip:read:symbol[A[3]], , deny"];
    assert!(allows(&but, &read("A[4-9]")));
    assert!(!allows(&but, &read("A[2-4]")));
    assert!(!allows(&but, &read("A")), "it may include element 3");
    assert!(!allows(&but, &read("A[3].Speed")));
    assert!(allows(&["enip:read:symbol[A], , allow"], &read("A")));
    assert!(allows(&["enip:read:symbol[A], , allow"], &read("A[2].B[1,2].C")));
    assert!(!allows(&["enip:read:symbol[A], , allow"], &read("AB")));
}

#[test]
fn a_run_of_too_many_elements_is_not_judged_one_by_one() {
    let plain = ["enip:read:symbol[A], , allow", "enip:read:symbol[A[65000]], , deny"];
    assert!(allows(&plain, &read("A[0-60000]")), "no rule tells its elements apart");
    let halves = ["enip:read:symbol[A[0-30000]], , allow", "enip:read:symbol[A[30001-65000]], , allow"];
    assert!(allows(&halves, &read("A[29000-31000]")));
    assert!(!allows(&halves, &read("A[0-60000]")), "more than are judged one by one");
}

#[test]
fn values_of_tags_are_those_of_the_request_and_of_the_tag() {
    let rules = ["enip:write:symbol[A], value:0..100, allow", "enip:write:tag[speed], value:0..9, allow"];
    assert!(allows(&rules, &write("A[3]", &[100])));
    assert!(!allows(&rules, &write("A[3]", &[101])));
    assert!(allows(&rules, &write("A[3-5]", &[1, 2, 3])));
    assert!(!allows(&rules, &write("A[3-5]", &[1, 2, 101])), "each element has to fit");
    assert!(!allows(&rules, &write("A[3-5]", &[1, 2])), "fewer values than elements");
    assert!(allows(&rules, &write("Line.Speed", &[9])));
    assert!(!allows(&rules, &write("Line.Speed", &[10])));
    let bytes = Values::Untyped(Bytes::from_static(&[1, 0, 0, 0]));
    assert!(!allows(&rules, &symbol(Class::Write, "A[3]", bytes)), "a structure has no value");
    let double = Values::Numbers {
        kind: NumberKind::F64,
        order: ByteOrder::Little,
        bytes: Bytes::copy_from_slice(&99.9_f64.to_le_bytes()),
    };
    assert!(allows(&rules, &symbol(Class::Write, "A[3]", double.clone())));
    assert!(!allows(&rules, &symbol(Class::Write, "Line.Speed", double)), "not the type of the tag");
    let refused = policy(&["enip:write:table[7[0-9]], value:0..9, allow"]).expect_err("no type");
    assert!(refused.to_string().contains("needs a write to typed addresses"));
}

#[test]
fn objects_are_judged_by_what_a_rule_says_of_them() {
    let rules = ["enip:control:class[142.1]:service[6], , allow", "enip:read:class[4.100], , allow"];
    assert!(allows(&rules, &object(Class::Control, (142, Some(1), None), 6)));
    assert!(!allows(&rules, &object(Class::Control, (142, Some(1), None), 7)));
    assert!(!allows(&rules, &object(Class::Control, (142, Some(2), None), 6)));
    assert!(allows(&rules, &object(Class::Read, (4, Some(100), Some(3)), 14)));
    assert!(!allows(&rules, &object(Class::Read, (4, None, None), 1)), "the whole class");
    let but = ["enip:read, , allow", "enip:read:class[4.100.3], , deny"];
    assert!(!allows(&but, &object(Class::Read, (4, Some(100), None), 1)), "all attributes, this one too");
    assert!(allows(&but, &object(Class::Read, (4, Some(101), None), 1)));
}

#[test]
fn housekeeping_and_identify_come_with_any_grant_and_unknown_with_none() {
    let rules = ["s7:read:m[0], , allow"];
    for protocol in [Protocol::S7, Protocol::Enip] {
        for class in [Class::Housekeeping, Class::Identify] {
            assert!(allows(&rules, &operation(protocol, Access::whole(class, None))), "{protocol}:{class}");
        }
        assert!(!allows(&rules, &operation(protocol, Access::whole(Class::Unknown, None))));
        let denied = ["s7:read:m[0], , allow", "*:identify, , deny"];
        assert!(!allows(&denied, &operation(protocol, Access::whole(Class::Identify, None))));
    }
}

#[test]
fn an_opaque_service_has_to_be_accepted_as_such() {
    let refused = policy(&["s7plus:use, , allow"]).expect_err("not accepted").to_string();
    assert!(refused.contains("nobody understands"), "{refused}");
    let used = operation(Protocol::S7Plus, Access::whole(Class::Use, None));
    assert!(allows(&["s7plus:use, opaque-accepted, allow"], &used));
    assert!(!allows(&["tcp:use, opaque-accepted, allow", "s7:read, , allow"], &used));
}

#[test]
fn a_tag_is_of_one_protocol() {
    let refused = policy(&["enip:write:tag[level], , allow"]).expect_err("a tag of s7").to_string();
    assert!(refused.contains("none of the rule's targets has a tag level"), "{refused}");
    let refused = policy(&["s7:control:tag[level], , allow"]).expect_err("no address").to_string();
    assert!(refused.contains("control never touches db"), "{refused}");
}

//! Four judges held equal over random policies, people, targets, operations
//! and times: Casbin over the rows, the compiled terms, what the tools work
//! out for people, and a model of the language in plain loops that imports
//! nothing of the other three.

use crate::analysis::{Calendar, Cell, Meeting, Outcome, Point, Reach, Spot, Unit, cells};
use crate::crosscheck::compare;
use crate::enforcer::Judge;
use crate::reference::{self, Answer, Case, Model, Touch};
use crate::tag::value_at;
use crate::{Ask, Assurance, Circumstances, Files, Handle, Policy, TargetId, Terms, Verdict};
use bytes::Bytes;
use dissect::{
    Access, Area, ByteOrder, Class, Name, NameKind, NumberKind, Operation, Place, Protocol, Range, Values,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const TARGETS: &str = r#"
[[target]]
id = "plc"
zone = "press"
address = "127.0.0.1"
[target.services]
plc = "502/tcp modbus"
s7 = "102/tcp"
logix = "44818/tcp enip"
vnc = "5900/tcp"
[target.tags]
power = "s7:db1[1]:i16"
flag = "s7:db1[4.3]"
rate = "enip:symbol[B]:i16"
pump = "modbus:holding[4]:f32:be-swap"
valve = "modbus:unit[2]:coil[3]"
level = "modbus:holding[8]:i16"

[[target]]
id = "other"
zone = "packaging"
address = "127.0.0.2"
[target.services]
plc = "502/tcp modbus"
"#;

const CONDITIONS: &str = r#"
[windows.now]
time_zone = "UTC"
weekly = ["mon 00:00 - sun 24:00"]
[windows.day]
time_zone = "Europe/Berlin"
weekly = ["tue 08:00 - tue 18:00"]
[windows.never]
time_zone = "UTC"
dated = ["2001-01-01 00:00 - 2001-01-02 00:00"]
[groups.lead]
members = ["c"]
[groups.chief]
members = ["c"]
"#;

const LINKS: &str = "\
g, person:a, role:one
g, role:one, role:two
g, person:b, role:three
g2, zone:press, group:hall
g2, zone:packaging, group:yard
";

/// A Tuesday in Berlin, around the edges of the window `day`, with its hour.
const TIMES: [(&str, u32); 5] = [
    ("2026-06-02T05:59:59Z", 7),
    ("2026-06-02T06:00:00Z", 8),
    ("2026-06-02T10:00:00Z", 12),
    ("2026-06-02T15:59:59Z", 17),
    ("2026-06-02T16:00:00Z", 18),
];

fn term() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("window:now".to_owned()),
        Just("window:never".to_owned()),
        Just("window:day".to_owned()),
        Just("from:192.0.2.0/24".to_owned()),
        Just("from:198.51.100.0/24".to_owned()),
        Just("mfa:webauthn".to_owned()),
    ]
}

fn duty() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["approval:lead", "hold:chief", "supervised:lead", "rate:5/s"])
        .prop_map(str::to_owned)
}

fn bounds() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["value:0..3", "value:-5..1.5", "value:2..70000", "value:0.1..0.2"])
        .prop_map(str::to_owned)
}

/// An action with the conditions that it may carry.
fn action() -> impl Strategy<Value = (String, Option<String>, Option<&'static str>)> {
    let range = (0_u32..12, 0_u32..6).prop_map(|(first, more)| format!("[{first}-{}]", first + more));
    let place = prop_oneof![Just(String::new()), range];
    let unit = prop::sample::select(vec!["", ":unit[1]", ":unit[2]"]);
    let holding = (unit.clone(), place.clone(), prop::option::of(bounds()))
        .prop_map(|(unit, place, value)| (format!("modbus:write{unit}:holding{place}"), value, None));
    let coil = (unit.clone(), place.clone())
        .prop_map(|(unit, place)| (format!("modbus:write{unit}:coil{place}"), None, None));
    let reading = (unit.clone(), prop::sample::select(vec!["coil", "discrete", "input", "holding"]), place)
        .prop_map(|(unit, area, place)| (format!("modbus:read{unit}:{area}{place}"), None, None));
    let tag = (prop::sample::select(vec!["pump", "level"]), prop::option::of(bounds()))
        .prop_map(|(tag, value)| (format!("modbus:write:tag[{tag}]"), value, None));
    let whole = (
        prop::sample::select(vec![
            "modbus",
            "modbus:write",
            "modbus:read",
            "modbus:control",
            "*:control",
            "modbus:identify",
            "*:write",
            "modbus:write:tag[valve]",
            "modbus:file-read:file[1]",
        ]),
        unit,
    )
        .prop_map(|(action, unit)| {
            let unit =
                if action.matches(':').count() == 1 && action.starts_with("modbus") { unit } else { "" };
            (format!("{action}{unit}"), None, None)
        });
    let opaque = prop::sample::select(vec!["tcp", "tcp:use", "*"])
        .prop_map(|action| (action.to_owned(), None, Some("opaque-accepted")));
    prop_oneof![
        4 => holding,
        2 => coil,
        2 => reading,
        2 => tag,
        3 => whole,
        1 => opaque,
        4 => s7_action(),
        4 => enip_action(),
    ]
}

fn s7_action() -> impl Strategy<Value = (String, Option<String>, Option<&'static str>)> {
    let bytes = (0_u32..6, 0_u32..4).prop_map(|(first, more)| format!("[{first}-{}]", first + more));
    let bit = (0_u32..6, 0_u32..8).prop_map(|(byte, bit)| format!("[{byte}.{bit}]"));
    let place = prop_oneof![Just(String::new()), bytes, bit];
    let area = prop::sample::select(vec!["write:db1", "write:m", "read:db1", "read:m", "subscribe:db1"]);
    let addressed = (area, place).prop_map(|(area, place)| (format!("s7:{area}{place}"), None, None));
    let tag = (prop::sample::select(vec!["power", "flag"]), prop::option::of(bounds()))
        .prop_map(|(tag, value)| (format!("s7:write:tag[{tag}]"), value, None));
    let whole = prop::sample::select(vec!["s7", "s7:write", "s7:read", "s7:control", "*:write"])
        .prop_map(|action| (action.to_owned(), None, None));
    prop_oneof![3 => addressed, 1 => tag, 1 => whole]
}

fn enip_action() -> impl Strategy<Value = (String, Option<String>, Option<&'static str>)> {
    let elements = (0_u32..6, 0_u32..4).prop_map(|(first, more)| format!("[{first}-{}]", first + more));
    let place = prop_oneof![Just(String::new()), elements];
    let write = (prop::sample::select(vec!["A", "a", "B"]), place.clone(), prop::option::of(bounds()))
        .prop_map(|(name, place, value)| (format!("enip:write:symbol[{name}{place}]"), value, None));
    let read = (prop::sample::select(vec!["A", "b"]), place)
        .prop_map(|(name, place)| (format!("enip:read:symbol[{name}{place}]"), None, None));
    let tag = prop::option::of(bounds()).prop_map(|value| ("enip:write:tag[rate]".to_owned(), value, None));
    let whole = prop::sample::select(vec!["enip", "enip:write", "enip:read", "enip:control"])
        .prop_map(|action| (action.to_owned(), None, None));
    prop_oneof![3 => write, 2 => read, 1 => tag, 1 => whole]
}

prop_compose! {
    fn rule()(
        subject in prop::sample::select(vec!["*", "role:one", "role:two", "role:three", "person:a", "person:b"]),
        object in prop::sample::select(vec!["*", "*", "plc", "other", "zone:press", "group:hall", "group:yard"]),
        (action, value, opaque) in action(),
        terms in prop::collection::vec(term(), 0..3),
        duties in prop::collection::vec(duty(), 0..2),
        allow in prop::bool::weighted(0.7),
    ) -> [String; 5] {
        let mut all: Vec<String> = terms.into_iter().chain(value).collect();
        if allow {
            all.extend(duties);
            all.extend(opaque.map(str::to_owned));
        }
        all.sort();
        all.dedup();
        let effect = if allow { "allow" } else { "deny" };
        [subject.to_owned(), object.to_owned(), action, all.join(" & "), effect.to_owned()]
    }
}

fn access() -> impl Strategy<Value = Access> {
    let unit = 1_u8..3;
    let word = prop_oneof![0_u16..6, Just(0xFFFF), Just(0x3DCC), Just(0xCCCD), Just(0x7FC0), any::<u16>()];
    let writing =
        (unit.clone(), 0_u32..14, prop::collection::vec(word, 1..4)).prop_map(|(unit, first, words)| {
            let range = Range::counted(first, u32::try_from(words.len()).unwrap()).unwrap();
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let place = Some(Place::Range { area: Area::Holding, range });
            Access { class: Class::Write, unit: Some(unit), place, values: Values::Words(Bytes::from(bytes)) }
        });
    let other = (unit.clone(), 0_usize..4, 0_u32..14, 1_u32..5).prop_map(|(unit, area, first, count)| {
        let place =
            Some(Place::Range { area: Area::ALL[area], range: Range::counted(first, count).unwrap() });
        Access { class: Class::Read, unit: Some(unit), place, values: Values::None }
    });
    let coil = (unit.clone(), 0_u32..6).prop_map(|(unit, first)| {
        let place = Some(Place::Range { area: Area::Coil, range: Range::counted(first, 2).unwrap() });
        Access {
            class: Class::Write,
            unit: Some(unit),
            place,
            values: Values::Bits(Bytes::from_static(&[1])),
        }
    });
    let masked = (unit.clone(), 0_u32..14).prop_map(|(unit, first)| {
        let place = Some(Place::Range { area: Area::Holding, range: Range::counted(first, 1).unwrap() });
        Access { class: Class::Write, unit: Some(unit), place, values: Values::Masked { and: 0, or: 1 } }
    });
    let whole = (unit, 0_usize..Class::ALL.len())
        .prop_map(|(unit, class)| Access::whole(Class::ALL[class], Some(unit)));
    prop_oneof![5 => writing, 3 => other, 2 => coil, 1 => masked, 2 => whole]
}

fn s7_access() -> impl Strategy<Value = Access> {
    let place =
        |area, first, count| Some(Place::Range { area, range: Range::counted(first, count).unwrap() });
    let byte = prop_oneof![Just(0_u8), Just(0xFF), 0_u8..4, any::<u8>()];
    let writing = (0_u32..6, prop::collection::vec(byte, 1..5)).prop_map(move |(first, bytes)| {
        let place = place(Area::DataBlock(1), first * 8, u32::try_from(bytes.len()).unwrap() * 8);
        Access { class: Class::Write, unit: None, place, values: Values::Untyped(bytes.into()) }
    });
    let bit = (0_u32..48, 0_u8..2).prop_map(move |(bit, value)| {
        let place = place(Area::DataBlock(1), bit, 1);
        Access { class: Class::Write, unit: None, place, values: Values::Bits(vec![value].into()) }
    });
    let reading = (any::<bool>(), 0_u32..6, 1_u32..4).prop_map(move |(block, first, count)| {
        let area = if block { Area::DataBlock(1) } else { Area::Merkers };
        let place = place(area, first * 8, count * 8);
        Access { class: Class::Read, unit: None, place, values: Values::None }
    });
    let whole = (0_usize..Class::ALL.len()).prop_map(|class| Access::whole(Class::ALL[class], None));
    prop_oneof![3 => writing, 2 => bit, 2 => reading, 2 => whole]
}

fn enip_access() -> impl Strategy<Value = Access> {
    let name = |text: String| Some(Place::Name(Name::parse(NameKind::Symbol, &text).unwrap()));
    let numbers = |numbers: &[i16]| Values::Numbers {
        kind: NumberKind::I16,
        order: ByteOrder::Little,
        bytes: numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>().into(),
    };
    let number = || prop_oneof![-6_i16..6, any::<i16>()];
    let elements = (0_u32..6, prop::collection::vec(number(), 1..4)).prop_map(move |(first, all)| {
        let last = first + u32::try_from(all.len()).unwrap() - 1;
        let place = name(format!("A[{first}-{last}]"));
        Access { class: Class::Write, unit: None, place, values: numbers(&all) }
    });
    let single = (prop::sample::select(vec!["A", "B", "b"]), number()).prop_map(move |(text, number)| {
        Access { class: Class::Write, unit: None, place: name(text.to_owned()), values: numbers(&[number]) }
    });
    let reading = prop::sample::select(vec!["A", "a[2]", "A[1-4]", "B"]).prop_map(move |text| Access {
        class: Class::Read,
        unit: None,
        place: name(text.to_owned()),
        values: Values::None,
    });
    let whole = (0_usize..Class::ALL.len()).prop_map(|class| Access::whole(Class::ALL[class], None));
    prop_oneof![3 => elements, 3 => single, 2 => reading, 1 => whole]
}

fn operation() -> impl Strategy<Value = Operation> {
    let s7 = prop::collection::vec(s7_access(), 1..=2).prop_map(|accesses| (Protocol::S7, accesses));
    let enip = prop::collection::vec(enip_access(), 1..=2).prop_map(|accesses| (Protocol::Enip, accesses));
    let decoded = prop::collection::vec(access(), 1..=2).prop_map(|accesses| (Protocol::Modbus, accesses));
    let opaque = Just((Protocol::Tcp, vec![Access::whole(Class::Use, None)]));
    prop_oneof![8 => decoded, 1 => opaque, 5 => s7, 5 => enip].prop_map(|(protocol, accesses)| Operation {
        protocol,
        function: "random",
        accesses: accesses.into(),
    })
}

/// The same operation in the model's own words.
fn touches(operation: &Operation) -> Vec<Touch> {
    let one = |access: &Access, address: Option<u32>| {
        let registers = match (&access.values, &access.place) {
            (Values::Words(bytes), Some(Place::Range { range, .. })) => bytes
                .chunks(2)
                .zip(range.first()..)
                .map(|(word, address)| (address, [word[0], word[1]]))
                .collect(),
            (_, _) => Vec::new(),
        };
        Touch {
            protocol: operation.protocol.name(),
            class: access.class.name(),
            unit: access.unit,
            area: access.place.as_ref().map(|place| match place {
                Place::Range { area, .. } => area.to_string(),
                Place::Name(name) => name.as_str().split('[').next().unwrap().to_uppercase(),
                Place::Object(_) => panic!("no objects here"),
            }),
            address,
            registers,
            bytes: match (&access.values, &access.place) {
                (Values::Untyped(bytes), Some(Place::Range { range, .. })) => {
                    (range.first() / 8..).zip(bytes.iter().copied()).collect()
                }
                (_, _) => Vec::new(),
            },
            bit: if let (Values::Bits(bits), Protocol::S7) = (&access.values, operation.protocol) {
                Some(bits[0])
            } else {
                None
            },
            number: match (&access.values, &access.place) {
                (Values::Numbers { bytes, .. }, Some(Place::Name(name))) => {
                    let first = name.elements().map_or(0, |elements| elements.first());
                    let at = 2 * usize::try_from(address.unwrap_or(first) - first).unwrap();
                    Some(i16::from_le_bytes([bytes[at], bytes[at + 1]]))
                }
                (_, _) => None,
            },
        }
    };
    let all = operation.accesses.iter().flat_map(|access| {
        let addresses = match &access.place {
            Some(Place::Range { range, .. }) => Some(*range),
            Some(Place::Name(name)) => name.elements(),
            Some(Place::Object(_)) | None => None,
        };
        match addresses {
            Some(range) => (range.first()..=range.last()).map(|address| one(access, Some(address))).collect(),
            None => vec![one(access, None)],
        }
    });
    all.collect()
}

fn answer(verdict: &Verdict) -> Answer {
    match verdict {
        Verdict::Allow { rule } => Answer::Allow(rule.line),
        Verdict::Needs { rule, .. } => Answer::Needs(rule.line),
        Verdict::Deny(_) => Answer::Deny,
    }
}

/// A policy of random rules, as the model and as files.
fn policy(rules: &[[String; 5]]) -> (Model, Policy) {
    let mut text = LINKS.to_owned();
    let mut model = Model::default();
    let mut line = u32::try_from(LINKS.lines().count()).unwrap();
    for rule in rules {
        // Either would refuse the whole policy.
        let known = model.rules.iter().any(|(_, known)| known == rule);
        let untagged = ["other", "group:yard"].contains(&rule[1].as_str()) && rule[2].contains("tag[");
        if known || untagged {
            continue;
        }
        line += 1;
        text.push_str(&format!("p, {}\n", rule.join(", ")));
        model.rules.push((line, rule.clone()));
    }
    let contents =
        [("policy.csv", text.as_str()), ("targets.toml", TARGETS), ("conditions.toml", CONDITIONS)];
    let files = Files::from_contents(contents.map(|(name, text)| (name, text.as_bytes()))).unwrap();
    let policy = Policy::from_files(&files).unwrap_or_else(|problems| panic!("{text}{problems}"));
    (model, policy)
}

/// Casbin over the whole of the policy, not only over what can apply.
fn whole_judge(policy: &Policy, terms: &Terms) -> Judge {
    let with_the_grant = crate::grant::WITH_THE_GRANT.map(|(_, row)| row.map(str::to_owned));
    let rows = terms.content.rules.iter().skip(with_the_grant.len()).map(|term| {
        let rule = policy.rules.all.iter().find(|rule| rule.line == term.id.line);
        rule.expect("a rule of this policy").row.clone()
    });
    let others = policy
        .rules
        .all
        .iter()
        .filter(|rule| terms.content.rules.iter().all(|term| term.id.line != rule.line));
    let rows: Vec<[String; 5]> =
        with_the_grant.into_iter().chain(rows).chain(others.map(|rule| rule.row.clone())).collect();
    let people = policy.rules.people.iter().map(|link| (link.member.as_str(), link.group.as_str()));
    let targets = policy.rules.targets.iter().map(|link| (link.member.as_str(), link.group.as_str()));
    Judge::new(rows.iter(), people, targets).unwrap()
}

/// The single addresses or elements of an access.
fn atoms(access: &Access) -> Vec<Option<Place>> {
    match &access.place {
        None => vec![None],
        Some(Place::Range { area, range }) => (range.first()..=range.last())
            .map(|address| Some(Place::Range { area: *area, range: Range::new(address, address).unwrap() }))
            .collect(),
        Some(Place::Name(name)) => match name.elements() {
            Some(range) if name.element(range.first()).is_some() => {
                (range.first()..=range.last()).map(|index| name.element(index).map(Place::Name)).collect()
            }
            Some(_) | None => vec![access.place.clone()],
        },
        Some(Place::Object(_)) => vec![access.place.clone()],
    }
}

/// The same from what the tools work out, atom by atom.
fn tools_answer(
    policy: &Policy,
    case: &Case<'_>,
    operation: &Operation,
    circumstances: &Circumstances,
) -> Answer {
    let target = policy.inventory().target(&TargetId::parse(case.target).unwrap()).unwrap();
    let standing = Reach::new(policy, &format!("person:{}", case.person)).on(target);
    let cells = cells(&[&standing]);
    let mut calendar = Calendar::new(circumstances.now, &[policy]);
    let mut answers = Vec::new();
    for access in &operation.accesses {
        for atom in atoms(access) {
            let here = |cell: &&Cell| cell.has(operation.protocol, access.class, access.unit, atom.as_ref());
            // A place that no rule names has a cell of its own making.
            let own = atom.clone().map(|atom| Cell {
                protocol: operation.protocol,
                class: access.class,
                unit: access.unit.map_or(Unit::Any, Unit::One),
                spot: match atom {
                    Place::Range { area, range } => Spot::Range(area, range),
                    Place::Name(_) | Place::Object(_) => Spot::Named(atom),
                },
            });
            let Some(cell) = cells.iter().find(here).or(own.as_ref()) else {
                answers.push(Answer::Deny);
                continue;
            };
            let tag = atom.as_ref().and_then(|atom| {
                target.tags.iter().find(|tag| {
                    tag.protocol == operation.protocol
                        && tag.place.covers(atom)
                        && tag.unit.is_none_or(|unit| Some(unit) == access.unit)
                })
            });
            let value = atom.as_ref().and_then(|atom| value_at(access, atom, tag));
            let point = Point {
                at: circumstances.now,
                source: circumstances.source.to_canonical(),
                assurance: circumstances.assurance,
                value,
            };
            let outcome =
                Meeting::at(&standing, cell).judge(|predicate| point.truth(predicate, 0, &mut calendar));
            answers.push(match outcome {
                Outcome::Allow(rule) => Answer::Allow(rule.line),
                Outcome::Needs(rule, _) => Answer::Needs(rule.line),
                Outcome::Deny(_) => Answer::Deny,
            });
        }
    }
    if answers.contains(&Answer::Deny) {
        return Answer::Deny;
    }
    let needs = answers.iter().find(|answer| matches!(answer, Answer::Needs(_)));
    needs.or_else(|| answers.first()).copied().unwrap_or(Answer::Deny)
}

/// Somebody who asks for a target.
type Asked = (&'static str, &'static str, bool, &'static str, (&'static str, u32));

fn asked() -> impl Strategy<Value = Asked> {
    (
        prop::sample::select(vec!["a", "a", "a", "b", "c"]),
        prop::sample::select(vec!["plc", "plc", "plc", "other"]),
        any::<bool>(),
        prop::sample::select(vec!["192.0.2.7", "198.51.100.7", "::ffff:192.0.2.9", "2001:db8::1"]),
        prop::sample::select(TIMES.to_vec()),
    )
}

/// All four about some operations; gives back how many were compared.
fn compare_all(
    rules: &[[String; 5]],
    operations: &[Operation],
    asked: Asked,
) -> Result<usize, TestCaseError> {
    let (person, target, webauthn, source, (at, hour)) = asked;
    let (model, policy) = policy(rules);
    let assurance = if webauthn { Assurance::CertificateAndWebauthn } else { Assurance::CertificateAndTotp };
    let circumstances =
        Circumstances { now: at.parse().unwrap(), source: source.parse().unwrap(), assurance };
    let (handle, id) = (Handle::parse(person).unwrap(), TargetId::parse(target).unwrap());
    let ask =
        Ask { person: &handle, target: &id, at: circumstances.now, source: circumstances.source, assurance };
    let case = Case { person, target, webauthn, source, hour };
    let granted = policy.grant(&ask);
    prop_assert_eq!(granted.is_ok(), model.grants(&case), "{:?}", granted.map(|_| ()));
    let Ok(grant) = granted else { return Ok(1) };
    let terms = Terms::from_bytes(&grant.terms().to_bytes()).unwrap();
    let mut judge = whole_judge(&policy, &terms);
    let offered =
        |operation: &&Operation| terms.content.services.iter().any(|(_, own)| *own == operation.protocol);
    let mut compared = 0;
    for operation in operations.iter().filter(offered) {
        let verdict = terms.judge(operation, &circumstances);
        let told = compare(&terms, &mut judge, operation, &circumstances);
        prop_assert_eq!(told, Ok(()));
        let expected = reference::judge(&model, &case, &touches(operation));
        prop_assert_eq!(answer(&verdict), expected, "{:?}\n{:?}\n{:#?}", operation, verdict, model);
        let of_tools = tools_answer(&policy, &case, operation, &circumstances);
        prop_assert_eq!(of_tools, expected, "{:?}\n{:?}\n{:#?}", operation, verdict, model);
        compared += 1;
    }
    Ok(compared)
}

/// Random cases until so many were compared.
fn compare_cases(count: usize) {
    let strategy = (prop::collection::vec(rule(), 0..16), prop::collection::vec(operation(), 1..24), asked());
    let mut compared = 0;
    while compared < count {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 256,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let so_far = std::cell::Cell::new(compared);
        let ran = runner.run(&strategy, |(rules, operations, asked)| {
            so_far.set(so_far.get() + compare_all(&rules, &operations, asked)?);
            Ok(())
        });
        ran.unwrap_or_else(|failure| panic!("{failure}"));
        compared = so_far.get();
    }
    println!("{compared} cases, no difference");
}

#[test]
fn casbin_terms_tools_and_model_say_the_same() {
    compare_cases(20_000);
}

#[test]
#[ignore = "a million cases take many minutes"]
fn casbin_terms_tools_and_model_say_the_same_a_million_times() {
    compare_cases(1_000_000);
}

#[test]
fn the_model_knows_nothing_of_what_it_is_compared_with() {
    let source = include_str!("reference.rs");
    assert!(
        !source.contains("crate::") && !source.contains("super::") && !source.contains("use "),
        "{source}"
    );
}

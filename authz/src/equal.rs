//! Three judges held equal over random policies and operations: Casbin over
//! the rows, the compiled terms, and a model of the language in plain loops
//! that imports nothing of the other two.

use crate::crosscheck::compare;
use crate::enforcer::Judge;
use crate::reference::{self, Answer, Case, Model, Touch};
use crate::{Ask, Assurance, Circumstances, Files, Handle, Policy, TargetId, Terms, Verdict};
use bytes::Bytes;
use dissect::{Access, Area, Class, Operation, Place, Protocol, Range, Values};
use proptest::prelude::*;

const TARGETS: &str = r#"
[[target]]
id = "plc"
zone = "press"
address = "127.0.0.1"
[target.services]
plc = "502/tcp modbus"
vnc = "5900/tcp"
[target.tags]
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

const AT: &str = "2026-06-02T10:00:00Z";

fn term() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("window:now".to_owned()),
        Just("window:never".to_owned()),
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
    prop_oneof![4 => holding, 2 => coil, 2 => reading, 2 => tag, 3 => whole, 1 => opaque]
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
            let place = Some(Place { area: Area::Holding, range });
            Access { class: Class::Write, unit: Some(unit), place, values: Values::Words(Bytes::from(bytes)) }
        });
    let other = (unit.clone(), 0_usize..4, 0_u32..14, 1_u32..5).prop_map(|(unit, area, first, count)| {
        let place = Some(Place { area: Area::ALL[area], range: Range::counted(first, count).unwrap() });
        Access { class: Class::Read, unit: Some(unit), place, values: Values::None }
    });
    let coil = (unit.clone(), 0_u32..6).prop_map(|(unit, first)| {
        let place = Some(Place { area: Area::Coil, range: Range::counted(first, 2).unwrap() });
        Access {
            class: Class::Write,
            unit: Some(unit),
            place,
            values: Values::Bits(Bytes::from_static(&[1])),
        }
    });
    let masked = (unit.clone(), 0_u32..14).prop_map(|(unit, first)| {
        let place = Some(Place { area: Area::Holding, range: Range::counted(first, 1).unwrap() });
        Access { class: Class::Write, unit: Some(unit), place, values: Values::Masked { and: 0, or: 1 } }
    });
    let whole = (unit, 0_usize..Class::ALL.len())
        .prop_map(|(unit, class)| Access::whole(Class::ALL[class], Some(unit)));
    prop_oneof![5 => writing, 3 => other, 2 => coil, 1 => masked, 2 => whole]
}

fn operation() -> impl Strategy<Value = Operation> {
    let decoded = prop::collection::vec(access(), 1..=2).prop_map(|accesses| (Protocol::Modbus, accesses));
    let opaque = Just((Protocol::Tcp, vec![Access::whole(Class::Use, None)]));
    prop_oneof![8 => decoded, 1 => opaque].prop_map(|(protocol, accesses)| Operation {
        protocol,
        function: "random",
        accesses: accesses.into(),
    })
}

/// The same operation in the model's own words.
fn touches(operation: &Operation) -> Vec<Touch> {
    let one = |access: &Access, address: Option<u32>| {
        let registers = match (&access.values, access.place) {
            (Values::Words(bytes), Some(place)) => bytes
                .chunks(2)
                .zip(place.range.first()..)
                .map(|(word, address)| (address, [word[0], word[1]]))
                .collect(),
            (_, _) => Vec::new(),
        };
        Touch {
            protocol: operation.protocol.name(),
            class: access.class.name(),
            unit: access.unit,
            area: access.place.map(|place| place.area.name()),
            address,
            registers,
        }
    };
    let all = operation.accesses.iter().flat_map(|access| match access.place {
        None => vec![one(access, None)],
        Some(place) => {
            (place.range.first()..=place.range.last()).map(|address| one(access, Some(address))).collect()
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn casbin_terms_and_model_say_the_same(
        rules in prop::collection::vec(rule(), 0..16),
        operations in prop::collection::vec(operation(), 1..24),
        person in prop::sample::select(vec!["a", "a", "a", "b", "c"]),
        target in prop::sample::select(vec!["plc", "plc", "plc", "other"]),
        webauthn in any::<bool>(),
        source in prop::sample::select(vec!["192.0.2.7", "198.51.100.7", "::ffff:192.0.2.9", "2001:db8::1"]),
    ) {
        let (model, policy) = policy(&rules);
        let assurance =
            if webauthn { Assurance::CertificateAndWebauthn } else { Assurance::CertificateAndTotp };
        let circumstances = Circumstances { now: AT.parse().unwrap(), source: source.parse().unwrap(), assurance };
        let (handle, id) = (Handle::parse(person).unwrap(), TargetId::parse(target).unwrap());
        let ask = Ask {
            person: &handle,
            target: &id,
            at: circumstances.now,
            source: circumstances.source,
            assurance,
        };
        let case = Case { person, target, webauthn, source };
        let granted = policy.grant(&ask);
        prop_assert_eq!(granted.is_ok(), model.grants(&case), "{:?}", granted.map(|_| ()));
        let Ok(grant) = granted else { return Ok(()) };
        let terms = Terms::from_bytes(&grant.terms().to_bytes()).unwrap();
        let mut judge = whole_judge(&policy, &terms);
        let offered = |operation: &&Operation| terms.content.services.iter().any(|(_, own)| *own == operation.protocol);
        for operation in operations.iter().filter(offered) {
            let verdict = terms.judge(operation, &circumstances);
            let told = compare(&terms, &mut judge, operation, &circumstances);
            prop_assert_eq!(told, Ok(()));
            let expected = reference::judge(&model, &case, &touches(operation));
            prop_assert_eq!(answer(&verdict), expected, "{:?}\n{:?}\n{:#?}", operation, verdict, model);
        }
    }
}

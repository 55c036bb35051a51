//! The sample plant: what its documents promise about it.

use crate::{NOON, ask, circumstances, modbus, read, sample_folder, write};
use authz::{Assurance, Obligation, Policy, Reason, Refusal, RuleId, Terms, Verdict};
use dissect::{Access, Area, Class, Denial, Operation, Place, Protocol, Range, Values};
use smallvec::smallvec;

const TECH: &str = "tech-1@vendor-a";

fn sample() -> Policy {
    Policy::load(&sample_folder()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The line of the rule that contains a text.
fn line(text: &str) -> RuleId {
    let rules = std::fs::read_to_string(sample_folder().join("policy.csv")).expect("readable");
    let index = rules.lines().position(|line| !line.starts_with('#') && line.contains(text)).expect(text);
    RuleId { line: u32::try_from(index + 1).expect("few lines") }
}

fn refused(verdict: Verdict) -> (Option<RuleId>, String, Denial) {
    match verdict {
        Verdict::Deny(refused) => (refused.rule, refused.reason.to_string(), refused.denial),
        other @ (Verdict::Allow { .. } | Verdict::Needs { .. }) => panic!("not denied: {other:?}"),
    }
}

#[test]
fn the_press_technician_reads_all_and_writes_within_bounds() {
    let grant = ask(&sample(), TECH, "press-line/plc7", NOON).unwrap();
    let judge = |access| grant.terms().judge(&modbus([access]), &circumstances(NOON));
    for area in [Area::Coil, Area::Discrete, Area::Input, Area::Holding] {
        let rule = line("zone:press, modbus:read");
        assert_eq!(judge(read(area, 0, 0x10000)), Verdict::Allow { rule }, "{area}");
    }
    let rule = line("value:0..900");
    assert_eq!(judge(write(100, &[731])), Verdict::Allow { rule });
    assert_eq!(judge(write(198, &[0, 900])), Verdict::Allow { rule });
    assert_eq!(
        refused(judge(write(100, &[731, 901]))),
        (Some(rule), "value 901 is not in 0..900".to_owned(), Denial::Value)
    );
    assert_eq!(
        refused(judge(write(99, &[1, 1]))),
        (None, "no rule allows modbus:write:unit[1]:holding[99]".to_owned(), Denial::Address)
    );
    assert_eq!(
        refused(judge(write(199, &[1, 1]))),
        (
            Some(line("holding[200-299]")),
            "a rule denies modbus:write:unit[1]:holding[200]".to_owned(),
            Denial::Address
        )
    );
    let (rule, reason, denial) = refused(judge(Access::whole(Class::ProgramWrite, Some(1))));
    assert_eq!((rule, denial), (Some(line("*:program-write")), Denial::Function), "{reason}");
}

#[test]
fn one_denied_part_denies_the_whole() {
    let grant = ask(&sample(), TECH, "press-line/plc7", NOON).unwrap();
    let both = modbus([read(Area::Holding, 0, 10), write(250, &[1])]);
    assert!(matches!(grant.terms().judge(&both, &circumstances(NOON)), Verdict::Deny(_)));
}

#[test]
fn a_masked_write_is_unknown_and_never_allowed() {
    let grant = ask(&sample(), TECH, "press-line/plc7", NOON).unwrap();
    let mut access = write(100, &[0]);
    access.values = Values::Masked { and: 0xFFFF, or: 0 };
    let (_, reason, denial) = refused(grant.terms().judge(&modbus([access]), &circumstances(NOON)));
    assert_eq!((reason.as_str(), denial), ("the new value can't be known", Denial::Value));
}

#[test]
fn what_is_unknown_always_denies() {
    let rules = "p, *, *, modbus:write, , allow\np, *, *, modbus:write:holding, value:0..5, deny\n";
    let policy = crate::policy(rules).unwrap();
    let grant = ask(&policy, TECH, "press-line/plc7", NOON).unwrap();
    let judge = |access| grant.terms().judge(&modbus([access]), &circumstances(NOON));
    assert_eq!(judge(write(300, &[6])), Verdict::Allow { rule: RuleId { line: 1 } });
    assert_eq!(refused(judge(write(300, &[5]))).0, Some(RuleId { line: 2 }));
    let mut access = write(300, &[6]);
    access.values = Values::Masked { and: 0, or: 6 };
    let (rule, reason, denial) = refused(judge(access));
    assert_eq!((rule, denial), (Some(RuleId { line: 2 }), Denial::Value));
    assert_eq!(reason, "a rule denies modbus:write:unit[1]:holding[300]: the new value can't be known");
}

/// A clock that was set back leaves the times for which windows are known.
#[test]
fn windows_are_unknown_before_the_grant() {
    let night = "2026-06-02T21:00:00Z";
    let rules = "p, *, *, modbus:read, window:tue-night, allow\n";
    let grant = ask(&crate::policy(rules).unwrap(), TECH, "press-line/plc7", night).unwrap();
    let access = modbus([read(Area::Holding, 0, 1)]);
    assert!(matches!(grant.terms().judge(&access, &circumstances(night)), Verdict::Allow { .. }));
    let (_, reason, _) = refused(grant.terms().judge(&access, &circumstances("2026-06-02T20:59:59Z")));
    assert_eq!(reason, "it is not known whether window tue-night is open");
}

#[test]
fn what_every_session_needs_comes_with_the_grant() {
    let grant = ask(&sample(), TECH, "press-line/plc7", NOON).unwrap();
    for class in [Class::Housekeeping, Class::Identify] {
        let verdict = grant.terms().judge(&modbus([Access::whole(class, Some(1))]), &circumstances(NOON));
        assert_eq!(verdict, Verdict::Allow { rule: RuleId::GRANT });
    }
    assert_eq!(RuleId::GRANT.to_string(), "comes with the grant");
}

#[test]
fn the_unknown_is_never_allowed() {
    let policy = crate::policy("p, *, *, *, opaque-accepted, allow\n").unwrap();
    let grant = ask(&policy, TECH, "press-line/plc7", NOON).unwrap();
    let unknown = modbus([Access::whole(Class::Unknown, Some(1))]);
    let (_, reason, denial) = refused(grant.terms().judge(&unknown, &circumstances(NOON)));
    assert!(reason.contains("is not known") && denial == Denial::Function, "{reason}");
    let nowhere = modbus([Access::whole(Class::Write, Some(1))]);
    let (_, reason, _) = refused(grant.terms().judge(&nowhere, &circumstances(NOON)));
    assert_eq!(reason, "modbus:write names no address that could be judged");
    let (_, reason, _) = refused(grant.terms().judge(&modbus([]), &circumstances(NOON)));
    assert!(reason.contains("touches nothing"), "{reason}");
}

#[test]
fn windows_hold_and_tags_work_together() {
    // Tuesday 23:00 in Berlin; 7.25 as f32 is 40E8 0000, low register first.
    let night = "2026-06-02T21:00:00Z";
    let rule = line("tag[pump_setpoint]");
    let grant = ask(&sample(), TECH, "press-line/plc7", NOON).unwrap();
    let setpoint = modbus([write(40, &[0x0000, 0x40E8])]);
    let (_, reason, _) = refused(grant.terms().judge(&setpoint, &circumstances(NOON)));
    assert_eq!(reason, "window tue-night is not open");
    let verdict = grant.terms().judge(&setpoint, &circumstances("2026-06-02T17:59:59Z"));
    assert_eq!(refused(verdict).1, "window tue-night is not open", "until the grant's last second");
    let grant = ask(&sample(), TECH, "press-line/plc7", night).unwrap();
    let Verdict::Needs { rule: by, obligations } = grant.terms().judge(&setpoint, &circumstances(night))
    else {
        panic!("not held");
    };
    assert_eq!((by, obligations.len()), (rule, 1));
    assert_eq!(obligations[0].unmet(), "needs release by shift-lead, which this gateway cannot take yet");
    let half = modbus([write(41, &[0x40E8])]);
    let (_, reason, denial) = refused(grant.terms().judge(&half, &circumstances(night)));
    assert_eq!((reason.as_str(), denial), ("the new value of pump_setpoint can't be known", Denial::Value));
    // 7.25 with its registers the wrong way round is far too small.
    let swapped = modbus([write(40, &[0x40E8, 0x0000])]);
    let (_, reason, _) = refused(grant.terms().judge(&swapped, &circumstances(night)));
    assert!(reason.ends_with("is not in 0.5..12.5"), "{reason}");
}

#[test]
fn a_grant_ends() {
    let grant = ask(&sample(), TECH, "press-line/plc7", NOON).unwrap();
    assert_eq!(grant.expires().to_string(), "2026-06-02T18:00:00Z");
    let access = modbus([read(Area::Holding, 0, 1)]);
    assert!(matches!(
        grant.terms().judge(&access, &circumstances("2026-06-02T17:59:59Z")),
        Verdict::Allow { .. }
    ));
    let verdict = grant.terms().judge(&access, &circumstances("2026-06-02T18:00:00Z"));
    assert!(matches!(verdict, Verdict::Deny(refused) if refused.reason == Reason::Expired));
}

#[test]
fn opaque_services_are_used_whole() {
    let of_kind = |protocol| Operation {
        protocol,
        function: "use",
        accesses: smallvec![Access::whole(Class::Use, None)],
    };
    let uses = of_kind(Protocol::Rfb);
    let operator = ask(&sample(), "operator-1", "press-line/hmi2", NOON).unwrap();
    assert!(matches!(operator.terms().judge(&uses, &circumstances(NOON)), Verdict::Allow { .. }));
    // A rule about one kind is about no other.
    let other = operator.terms().judge(&of_kind(Protocol::Tcp), &circumstances(NOON));
    assert!(matches!(other, Verdict::Deny(_)));
    let technician = ask(&sample(), TECH, "press-line/hmi2", NOON).unwrap();
    let verdict = technician.terms().judge(&uses, &circumstances(NOON));
    let expected = "supervision by shift-lead";
    assert!(matches!(verdict, Verdict::Needs { obligations, .. } if obligations[0].to_string() == expected));
    // The press technician may decode the PLC's Modbus but not use its screen.
    let plc = ask(&sample(), TECH, "press-line/plc7", NOON).unwrap();
    assert!(matches!(plc.terms().judge(&uses, &circumstances(NOON)), Verdict::Deny(_)));
    let services: Vec<_> = plc.terms().services().map(|(name, _)| name.to_string()).collect();
    assert_eq!(services, ["plc"]);
}

/// What UMAS writes is not known by address: a rule about registers is not
/// about it.
#[test]
fn umas_is_an_area_of_its_own() {
    let umas = |code: u32| {
        let place = Some(Place::Range { area: Area::Umas, range: Range::counted(code, 1).expect("one") });
        let values = Values::Untyped(bytes::Bytes::from_static(&[1]));
        modbus([Access { class: Class::Write, unit: Some(1), place, values }])
    };
    let allows = |rule: &str, code| {
        let policy = crate::policy(&format!("p, *, *, {rule}, , allow\n")).unwrap();
        let grant = ask(&policy, TECH, "press-line/plc7", NOON).unwrap();
        matches!(grant.terms().judge(&umas(code), &circumstances(NOON)), Verdict::Allow { .. })
    };
    assert!(!allows("modbus:write:holding", 0x23) && !allows("modbus:write:umas[34]", 0x23));
    assert!(allows("modbus:write:umas[35]", 0x23) && allows("modbus:write:umas", 0x25));
    assert!(allows("modbus:write", 0x23));
}

#[test]
fn units_and_factors_count() {
    let grant = ask(&sample(), "operator-1", "substation/meters", NOON).unwrap();
    let trip = |unit| {
        let mut access = read(Area::Coil, 2, 1);
        (access.class, access.unit, access.values) = (Class::Write, Some(unit), Values::Bits(vec![1].into()));
        modbus([access])
    };
    let mut with_key = circumstances(NOON);
    with_key.assurance = Assurance::CertificateAndWebauthn;
    assert!(matches!(grant.terms().judge(&trip(3), &with_key), Verdict::Allow { .. }));
    let (_, reason, _) = refused(grant.terms().judge(&trip(3), &circumstances(NOON)));
    assert_eq!(reason, "needs a sign-in with a security key");
    let (rule, _, denial) = refused(grant.terms().judge(&trip(4), &with_key));
    assert_eq!((rule, denial), (None, Denial::Unit));
}

#[test]
fn a_pace_is_owed_and_told() {
    let grant = ask(&sample(), "tech-2@vendor-b", "packaging/plc1", NOON).unwrap();
    assert_eq!(grant.terms().rate().map(|rate| rate.get()), Some(2));
    let minus_five = modbus([write(10, &[0xFFFB])]);
    let verdict = grant.terms().judge(&minus_five, &circumstances(NOON));
    let Verdict::Needs { obligations, .. } = verdict else { panic!("{verdict:?}") };
    assert!(matches!(obligations.as_slice(), [Obligation::Rate(rate)] if rate.get() == 2));
    assert_eq!(ask(&sample(), TECH, "press-line/plc7", NOON).unwrap().terms().rate(), None);
}

#[test]
fn the_source_counts() {
    let grant = ask(&sample(), TECH, "press-line/plc7", NOON).unwrap();
    let diagnostic = modbus([Access::whole(Class::Diagnostic, Some(1))]);
    assert!(matches!(grant.terms().judge(&diagnostic, &circumstances(NOON)), Verdict::Allow { .. }));
    let mut elsewhere = circumstances(NOON);
    elsewhere.source = "192.0.2.7".parse().unwrap();
    let (_, reason, _) = refused(grant.terms().judge(&diagnostic, &elsewhere));
    assert_eq!(reason, "only allowed from 127.0.0.0/8");
}

#[test]
fn strangers_and_strange_targets_look_alike() {
    let policy = sample();
    let unknown = ask(&policy, TECH, "press-line/plc8", NOON).unwrap_err();
    let forbidden = ask(&policy, "tech-2@vendor-b", "press-line/plc7", NOON);
    // Vendors may diagnose in the whole hall; the substation is closed to them.
    assert!(forbidden.is_ok());
    let forbidden = ask(&policy, "tech-2@vendor-b", "substation/meters", NOON).unwrap_err();
    let stranger = ask(&policy, "nobody@nowhere", "press-line/plc7", NOON).unwrap_err();
    assert_eq!((&unknown, &forbidden), (&Refusal::UnknownTarget, &Refusal::NotPermitted));
    assert_eq!(unknown.to_string(), forbidden.to_string());
    assert_eq!(unknown.to_string(), stranger.to_string());
    assert_ne!(unknown.audit(), forbidden.audit());
}

#[test]
fn everyone_sees_only_their_own_targets() {
    let policy = sample();
    let targets = |person: &str| {
        let handle = authz::Handle::parse(person).unwrap();
        policy.targets_for(&handle).into_iter().map(|target| target.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(targets(TECH), ["packaging/plc1", "press-line/hmi2", "press-line/plc7"]);
    assert_eq!(
        targets("operator-1"),
        ["packaging/plc1", "press-line/hmi2", "press-line/plc7", "substation/meters"]
    );
    assert!(targets("nobody").is_empty());
}

#[test]
fn terms_survive_being_written_down() {
    let grant = ask(&sample(), TECH, "press-line/plc7", NOON).unwrap();
    let bytes = grant.terms().to_bytes();
    let read_back = Terms::from_bytes(&bytes).unwrap();
    assert_eq!(&read_back, grant.terms().as_ref());
    let operation = modbus([write(100, &[731])]);
    assert_eq!(
        read_back.judge(&operation, &circumstances(NOON)),
        grant.terms().judge(&operation, &circumstances(NOON))
    );
    for cut in 0..bytes.len() {
        assert!(Terms::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(Terms::from_bytes(&longer).is_err(), "one byte more");
    let mut other_version = bytes.clone();
    other_version[0] += 1;
    assert!(
        matches!(Terms::from_bytes(&other_version), Err(authz::TermsError::Version(version)) if version == bytes[0] + 1)
    );
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x80;
        // Never a panic, never a second form of the same terms.
        if let Ok(terms) = Terms::from_bytes(&flipped) {
            assert_eq!(terms.to_bytes(), flipped);
        }
    }
}

#[test]
fn terms_describe_themselves() {
    let grant = ask(&sample(), TECH, "press-line/plc7", NOON).unwrap();
    let lines = grant.terms().describe();
    let has = |text: &str| assert!(lines.iter().any(|line| line.contains(text)), "{text} in {lines:#?}");
    has("tech-1@vendor-a on press-line/plc7");
    has(": allow modbus:write:holding[100-199] if value:0..900");
    has(": deny modbus:write:holding[200-299]");
    has("comes with the grant: allow *:identify");
    has("window tue-night: never");
}

//! Applies that race with traffic, and folders that change under them.

use super::*;
use crate::config::Manifest;
use crate::fixture::Plant;
use authz::{Ask, Assurance, Circumstances, Handle, TargetId, Verdict};
use dissect::{Access, Area, Class, Operation, Place, Protocol, Range, Values};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const PERSON: &str = "tech-1@vendor-a";
const TARGET: &str = "press-line/plc7";
const APPLIES: usize = 2000;

/// A policy that lets exactly one register be read.
fn rules(register: u32) -> String {
    format!("p, person:{PERSON}, *, modbus:read:holding[{register}], , allow\n")
}

fn reading(register: u32) -> Operation {
    let place = Place::Range { area: Area::Holding, range: Range::new(register, register).unwrap() };
    let access = Access { class: Class::Read, unit: Some(1), place: Some(place), values: Values::None };
    Operation { protocol: Protocol::Modbus, function: "test", accesses: [access].into_iter().collect() }
}

/// What the policy in force says about both registers, with its hash.
fn judged(holder: &PolicyHolder) -> (PolicyHash, [bool; 2]) {
    let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
    let circumstances =
        Circumstances { now, source: [127, 0, 0, 1].into(), assurance: Assurance::CertificateAndTotp };
    let (person, target) = (Handle::parse(PERSON).unwrap(), TargetId::parse(TARGET).unwrap());
    let policy = holder.current();
    let grant = policy
        .grant(&Ask {
            person: &person,
            target: &target,
            at: now,
            source: circumstances.source,
            assurance: circumstances.assurance,
        })
        .unwrap();
    let allowed =
        |register| matches!(grant.terms().judge(&reading(register), &circumstances), Verdict::Allow { .. });
    (grant.policy(), [allowed(1), allowed(2)])
}

/// Whatever is applied when: a verdict is the old policy's or the new one's,
/// and says which.
#[test]
fn thousands_of_applies_never_make_a_third_policy() {
    let plant = Plant::new();
    plant.write_policy(&rules(1));
    let office = plant.office();
    let (one, _) = judged(&office.policy);
    plant.write_policy(&rules(2));
    office.policy.apply("uid 0").unwrap();
    let (two, _) = judged(&office.policy);
    assert_ne!(one, two);
    let (over, seen) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let (hash, verdicts) = judged(&office.policy);
                    let which = [one, two].iter().position(|known| *known == hash).expect("one of the two");
                    assert_eq!(verdicts, [which == 0, which == 1], "the verdicts of another policy");
                    seen[which].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let applied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for count in 0..APPLIES {
                plant.write_policy(&rules(if count % 2 == 0 { 1 } else { 2 }));
                office.policy.apply("uid 0").unwrap();
            }
        }));
        over.store(true, Ordering::Relaxed);
        applied.unwrap();
    });
    assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) > 0), "both were in force: {seen:?}");
    let events = plant.audit_lines().iter().filter(|line| line["event"] == "policy_applied").count();
    assert_eq!(events, APPLIES + 2);
}

/// The folder is rewritten without pause while it is applied, so that halves
/// are read. With a manifest only whole policies come into force.
#[test]
fn half_written_folders_are_never_applied_where_a_manifest_is_demanded() {
    let plant = Plant::new();
    plant.configure("dir = \"policies\"", "dir = \"policies\"\nrequire_manifest = true");
    plant.write_policy(&rules(1));
    seal(&plant.path("policies"), None).unwrap();
    let office = plant.office();
    let (one, _) = judged(&office.policy);
    plant.write_policy(&rules(2));
    seal(&plant.path("policies"), None).unwrap();
    office.policy.apply("uid 0").unwrap();
    let (two, _) = judged(&office.policy);
    let over = AtomicBool::new(false);
    let (mut applied, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for count in 0_u32.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                // Written in place and in pieces, as editors and copiers do.
                let text = rules(1 + count % 2);
                for cut in [0, text.len() / 2, text.len()] {
                    plant.write_policy(&text[..cut]);
                }
                // A policy that is not valid can't be sealed; this one is.
                seal(&plant.path("policies"), None).unwrap();
            }
        });
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while applied < 50 {
                match office.policy.apply("uid 0") {
                    Ok(_) => {
                        applied += 1;
                        let (hash, verdicts) = judged(&office.policy);
                        assert!([one, two].contains(&hash), "a third policy is in force: {hash}");
                        assert_eq!(verdicts, [hash == one, hash == two]);
                    }
                    Err(PolicyError::Invalid(_) | PolicyError::Manifest(_)) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
            }
        }));
        over.store(true, Ordering::Relaxed);
        tried.unwrap();
    });
    assert!(refused > 0, "no half was ever read");
}

/// Every bit of every file, and of the manifest itself.
#[test]
fn with_a_manifest_no_flipped_bit_and_no_cut_gets_through() {
    let plant = Plant::new();
    let folder = plant.path("policies");
    let key = recording::SigningKey::generate("plant").unwrap();
    key.write(&plant.path("policy.key")).unwrap();
    seal(&folder, Some(&plant.path("policy.key"))).unwrap();
    // Read back under the name that reading a key gives it.
    let public = recording::SigningKey::read(&plant.path("policy.key")).unwrap().public().clone();
    for demanded in [Manifest::Required, Manifest::Signed(public)] {
        let settings = PolicySettings { dir: folder.clone(), manifest: demanded.clone() };
        read_folder(&settings).unwrap();
        for name in ["policy.csv", "targets.toml", "model.conf", "MANIFEST"] {
            let path = folder.join(name);
            let whole = std::fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << (at % 8);
                std::fs::write(&path, &damaged).unwrap();
                let signature = name == "MANIFEST" && demanded == Manifest::Required;
                // Without a key to check by, a signature is only text; and the
                // case of a hexadecimal digit means nothing.
                let same = signature
                    && (at >= whole.windows(2).position(|pair| pair == b"\n\n").unwrap()
                        || damaged[at].eq_ignore_ascii_case(&whole[at]));
                assert!(same || read_folder(&settings).is_err(), "{name}: bit of byte {at}");
                if at % 5 == 0 {
                    std::fs::write(&path, &whole[..at]).unwrap();
                    let unsigned =
                        signature && at > whole.windows(2).position(|pair| pair == b"\n\n").unwrap_or(0);
                    assert!(unsigned || read_folder(&settings).is_err(), "{name}: cut at {at}");
                }
            }
            std::fs::write(&path, &whole).unwrap();
        }
        read_folder(&settings).unwrap();
    }
}

#[test]
fn a_manifest_has_to_be_signed_by_the_configured_key() {
    let plant = Plant::new();
    let folder = plant.path("policies");
    let public = |name: &str| {
        recording::SigningKey::generate("plant").unwrap().write(&plant.path(name)).unwrap();
        recording::SigningKey::read(&plant.path(name)).unwrap().public().clone()
    };
    let (own, other) = (public("own.key"), public("other.key"));
    let settings = PolicySettings { dir: folder.clone(), manifest: Manifest::Signed(own) };
    let told = || read_folder(&settings).unwrap_err().to_string();
    assert!(told().contains("there is no MANIFEST"), "{}", told());
    seal(&folder, None).unwrap();
    assert!(told().contains("is not signed"), "{}", told());
    seal(&folder, Some(&plant.path("other.key"))).unwrap();
    assert!(told().contains("is not signed by the key"), "{}", told());
    seal(&folder, Some(&plant.path("own.key"))).unwrap();
    read_folder(&settings).unwrap();
    plant.write_policy(&rules(1));
    assert!(told().contains("does not match its sum"), "{}", told());
    // By the configuration.
    seal(&folder, Some(&plant.path("other.key"))).unwrap();
    plant.write("policy.pub", &format!("{other}\n"));
    plant.configure("dir = \"policies\"", "dir = \"policies\"\nmanifest_key = \"policy.pub\"");
    assert_eq!(plant.config().unwrap().policy.manifest, Manifest::Signed(other));
    plant.write("policy.pub", "nonsense");
    let problems = plant.config().unwrap_err();
    assert!(problems[0].to_string().contains("[policy] manifest_key"), "{problems:?}");
}

#[test]
fn what_was_shown_is_what_is_taken() {
    let plant = Plant::new();
    let office = plant.office();
    let shown = |office: &crate::office::Office| {
        office
            .policy
            .preview("uid 0", crate::fixture::noon(), &std::collections::BTreeSet::new(), &[])
            .unwrap()
    };
    let first = shown(&office);
    assert!(first.effect.is_empty() && first.hash == first.before);
    assert!(
        first.warnings.iter().any(|warning| warning.contains("has no certificate")),
        "{:?}",
        first.warnings
    );
    plant.write_policy(&rules(1));
    let preview = shown(&office);
    assert!(preview.effect.has_narrowed() && !preview.effect.has_widened());
    plant.write_policy(&rules(2));
    let refused = office.policy.apply_expected("uid 0", &preview.hash).unwrap_err();
    assert!(matches!(refused, PolicyError::Moved { .. }), "{refused}");
    assert_eq!(office.policy.current().hash().to_string(), first.hash);
    plant.write_policy(&rules(1));
    assert_eq!(office.policy.apply_expected("uid 0", &preview.hash).unwrap().hash, preview.hash);
    let refusals = plant.audit_lines().iter().filter(|line| line["event"] == "policy_refused").count();
    assert_eq!(refusals, 1);
}

/// A session is granted, then a policy comes, then the session listens.
#[test]
fn a_policy_that_came_between_grant_and_listening_is_heard_of() {
    let plant = Plant::new();
    let office = plant.office();
    let granted = office.policy.current().hash();
    let (receiver, policy) = office.policy.subscribe_since(granted);
    assert!(!receiver.has_changed().unwrap() && policy.is_some_and(|policy| policy.hash() == granted));
    plant.write_policy(&rules(1));
    office.policy.apply("uid 0").unwrap();
    let (receiver, policy) = office.policy.subscribe_since(granted);
    assert!(receiver.has_changed().unwrap() && policy.is_none());
}

#[test]
fn an_apply_from_a_checkout_names_the_commit() {
    let plant = Plant::new();
    std::fs::create_dir(plant.path(".git")).unwrap();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    plant.write(".git/HEAD", &format!("{commit}\n"));
    let office = plant.office();
    assert_eq!(office.policy.apply("uid 0").unwrap().commit.as_deref(), Some(commit));
    let events = plant.audit_lines();
    let what = events.iter().rfind(|line| line["event"] == "policy_applied").unwrap()["what"].to_string();
    assert!(what.contains(commit) && what.contains("is not known"), "{what}");
}

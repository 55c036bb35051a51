use super::*;
use proptest::prelude::*;
use std::collections::hash_map::DefaultHasher;

fn symbol(text: &str) -> Name {
    Name::parse(NameKind::Symbol, text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn hash(name: &Name) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn names_have_one_spelling_and_no_case() {
    let name = symbol("Program:Main.Line[007,2].Data[3-3]");
    assert_eq!(name.as_str(), "Program:Main.Line[7,2].Data[3]");
    assert_eq!(name, symbol("PROGRAM:main.line[7,2].data[3]"));
    assert_eq!(hash(&name), hash(&symbol("program:MAIN.LINE[7,2].DATA[3]")));
    assert_ne!(name, Name::parse(NameKind::Table, name.as_str()).unwrap());
    assert_eq!(name.elements(), Range::new(3, 3));
    assert_eq!(symbol("Speed").elements(), None);
    assert_eq!(symbol("A[1,4-6]").elements(), Range::new(4, 6));
}

#[test]
fn what_is_no_name_is_refused() {
    let longest = "x".repeat(LONGEST_NAME);
    assert!(Name::parse(NameKind::Symbol, &longest).is_ok());
    for text in
        ["", ".", "A.", "A..B", "[1]", "A[", "A[]", "A[1", "A[1]B", "A[2-1]", "A[-1]", "A[4294967296]"]
    {
        assert!(Name::parse(NameKind::Symbol, text).is_err(), "{text}");
    }
    for text in ["A B", "A,B", "A*", "Ä", "A\u{0}", "A/B", &format!("{longest}x")] {
        assert!(Name::parse(NameKind::Symbol, text).is_err(), "{text}");
    }
}

#[test]
fn a_rule_covers_members_and_elements() {
    for (rule, touched) in [
        ("Conveyor", "conveyor"),
        ("Conveyor", "Conveyor.Speed"),
        ("Conveyor", "Conveyor[3].Speed"),
        ("Conveyor[0-3]", "Conveyor[3].Speed"),
        ("Line[0-3].Data", "Line[1].Data[0-9]"),
        ("Line[0-3].Data[0-9]", "Line[1].Data[0-9]"),
        ("M[0-3,0-9]", "M[2,5]"),
        ("M[2,0-9]", "M[2,5-9]"),
    ] {
        assert!(symbol(rule).covers(&symbol(touched)), "{rule} {touched}");
        assert!(symbol(rule).overlaps(&symbol(touched)), "{rule} {touched}");
    }
    for (rule, touched) in [
        ("Conveyor.Speed", "Conveyor"),
        ("Conveyor[0-3]", "Conveyor"),
        ("Conveyor[0-3]", "Conveyor[3-4]"),
        ("M[0-3,0-9]", "M[2]"),
        ("M[0-49]", "M[2,5]"),
        ("Line[0-3].Data", "Line.Data"),
    ] {
        assert!(!symbol(rule).covers(&symbol(touched)), "{rule} {touched}");
        assert!(symbol(rule).overlaps(&symbol(touched)), "{rule} {touched}");
    }
    for (rule, touched) in [
        ("Conveyor", "Conveyor2"),
        ("Conveyor.Speed", "Conveyor.Stop"),
        ("Conveyor[0-3]", "Conveyor[4]"),
        ("M[2,0-9]", "M[3,5]"),
        ("Line[0-3].Data", "Line[4].Data"),
    ] {
        assert!(!symbol(rule).covers(&symbol(touched)), "{rule} {touched}");
        assert!(!symbol(rule).overlaps(&symbol(touched)), "{rule} {touched}");
    }
}

#[test]
fn a_run_through_a_row_may_reach_the_next_row() {
    assert!(symbol("M[3,0-9]").overlaps(&symbol("M[2,5-24]")));
    assert!(!symbol("M[2,0-9]").covers(&symbol("M[2,5-24]")));
}

#[test]
fn a_run_starts_at_the_last_index() {
    let run = |text: &str, skipped, count| {
        let mut name = symbol(text);
        name.run(skipped, count).map(|()| name.as_str().to_owned())
    };
    assert_eq!(run("A", 0, 1).unwrap(), "A");
    assert_eq!(run("A", 0, 10).unwrap(), "A[0-9]");
    assert_eq!(run("A", 4, 1).unwrap(), "A[4]");
    assert_eq!(run("A[5]", 0, 1).unwrap(), "A[5]");
    assert_eq!(run("A[1,5]", 2, 3).unwrap(), "A[1,7-9]");
    assert_eq!(run("A[4294967295]", 0, 2), Err(NotAName));
    assert_eq!(run("A", 0, 0), Err(NotAName));
}

#[test]
fn a_path_is_covered_by_itself_alone() {
    let path = |text| Name::parse(NameKind::Path, text).unwrap();
    assert!(path("1.5").covers(&path("1.5")) && path("1.5").overlaps(&path("1.5")));
    for other in ["1.50", "1.5/2.192.168.1.10", "1.4"] {
        assert!(!path("1.5").covers(&path(other)) && !path("1.5").overlaps(&path(other)));
    }
}

proptest! {
    #[test]
    fn a_name_comes_back_from_its_own_words(text in "[A-Za-z0-9_:.,\\[\\]-]{0,40}") {
        for kind in NameKind::ALL {
            let Ok(name) = Name::parse(kind, &text) else { continue };
            let again = Name::try_from(String::from(name.clone())).unwrap();
            prop_assert_eq!(&again, &name);
            prop_assert_eq!(again.as_str(), name.as_str());
            prop_assert!(name.covers(&name) && name.overlaps(&name));
        }
    }

    #[test]
    fn what_is_covered_overlaps(
        rule in "[AB](\\[[0-3](-[4-6])?(,[0-2])?\\])?(\\.[AB](\\[[0-3]\\])?)?",
        touched in "[ab](\\[[0-3](-[4-6])?(,[0-2])?\\])?(\\.[ab](\\[[0-3]\\])?)?",
    ) {
        let (rule, touched) = (symbol(&rule), symbol(&touched));
        prop_assert!(!rule.covers(&touched) || rule.overlaps(&touched));
    }
}

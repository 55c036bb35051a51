//! The committed corpus says what this verifier says: another verifier that
//! agrees with its `expected.json` agrees with this one.

use recording::{PublicKey, Verdict, verify};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(serde::Deserialize)]
struct Corpus {
    key: String,
    files: BTreeMap<String, Answer>,
}

#[derive(serde::Deserialize)]
struct Answer {
    exit: u8,
    answer: String,
    offset: Option<u64>,
}

#[test]
fn the_committed_corpus_verifies_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/corpus");
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let corpus: Corpus = serde_json::from_str(&text).unwrap();
    let key: PublicKey = corpus.key.parse().unwrap();
    assert!(corpus.files.len() > 30, "{}", corpus.files.len());
    let mut exits = BTreeMap::new();
    for (name, expected) in &corpus.files {
        let report = verify(std::fs::File::open(folder.join(name)).unwrap(), &key).unwrap();
        let (exit, answer, offset) = match report.verdict {
            Verdict::Clean => (0, "clean", None),
            Verdict::Untrimmed => (2, "untrimmed", None),
            Verdict::Unclean => (3, "unclean", report.tail.broken),
            Verdict::Altered { offset, .. } => (1, "altered", Some(offset)),
        };
        assert_eq!((exit, answer), (expected.exit, expected.answer.as_str()), "{name}");
        assert_eq!(offset, expected.offset, "{name}");
        *exits.entry(exit).or_insert(0) += 1;
    }
    assert_eq!(exits.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3], "every answer is there");
}

//! The committed recording of `FORMAT.md` reads as it did when it was made:
//! by the crate and by the independent reading of the format.

use crate::format::{Keys, frames, key_block, kind, leaf, root};
use crate::sample::{at, bytes, moment};
use recording::{
    Body, Decision, Event, Identity, Mode, Opened, PublicKey, Statement, Stop, Tap, Verdict, verify,
};
use std::io::Cursor;
use std::path::Path;

const PUBLIC_KEY: &str = "plant-a+47805c2b+AZNRBGcFU2x05dOxCQ+oGfpvPH3YEhA43algbPPAiluG";
const IDENTITY: &str = "AGE-SECRET-KEY-1J8ZQ5HE0P889G9CX8Y4R0RQRDUNYSELZJXJMVZ3ZUHW3WLCJFFUQ3JKZHK";
const REQUEST: &[u8] = &[0, 1, 0, 0, 0, 6, 1, 6, 0, 100, 2, 219];

fn file() -> Vec<u8> {
    let text: String = include_str!("../../vectors/small.hex").split_whitespace().collect();
    hex::decode(text).unwrap()
}

#[test]
fn the_vector_verifies_and_reads() {
    let key: PublicKey = PUBLIC_KEY.parse().unwrap();
    let report = verify(Cursor::new(file()), &key).unwrap();
    assert_eq!(report.verdict, Verdict::Clean);
    assert_eq!(report.header.unwrap().mode, Mode::Default);
    let identity = Identity::parse(IDENTITY).unwrap();
    let mut opened = Opened::decrypt(Cursor::new(file()), &identity).unwrap();
    let entries: Vec<_> = opened.by_ref().map(|recorded| recorded.unwrap().entry).collect();
    assert_eq!(entries[0], at(2, bytes(1, Tap::FromClient, 0, REQUEST)));
    assert_eq!(entries[2], at(2, bytes(1, Tap::ToDevice, 0, REQUEST)));
    let Body::Event(Event::Operation { request: 1, decision, text, .. }) = &entries[1].body else {
        panic!("{entries:?}");
    };
    assert_eq!((*decision, text.as_str()), (Decision::Allow, "write holding[100] = 731"));
    assert_eq!(entries.len(), 3);
    assert!(matches!(opened.stop(), Stop::Ended(end) if end.reason == "client closed"));
}

#[test]
fn the_vector_follows_the_format_by_an_independent_reading() {
    let file = file();
    let keys = Keys::unwrap(&file, IDENTITY);
    assert_eq!(keys.commitment, file[83..115]);
    let all = frames(&file);
    let kinds: Vec<u8> = all.iter().map(|frame| kind(&file[frame.clone()])).collect();
    assert_eq!(kinds, [2, 1, 2, 3, 2]);
    assert_eq!(all.last().unwrap().end, file.len());
    let mut leaves = vec![leaf(&file[..key_block(&file).end])];
    for frame in &all {
        let bytes = &file[frame.clone()];
        assert_eq!(bytes[17..49], leaves.last().unwrap()[..], "chain");
        if kind(bytes) == 2 {
            let key = PUBLIC_KEY.parse().unwrap();
            let statement = Statement::verify(&bytes[49..], &key).unwrap();
            assert_eq!(statement.root.to_vec(), root(&leaves));
            assert_eq!(statement.leaves, leaves.len() as u64);
            assert_eq!(statement.bytes, frame.start as u64);
        }
        leaves.push(leaf(bytes));
    }
    let plaintext = keys.open(&file[all[1].clone()]).unwrap();
    let documented: String = include_str!("../../vectors/small.plaintext.hex").split_whitespace().collect();
    assert_eq!(hex::encode(&plaintext), documented);
    let last = Statement::verify(&file[all[4].start + 49..], &PUBLIC_KEY.parse().unwrap()).unwrap();
    assert_eq!(last.time, moment(50).wall);
}

#[test]
fn the_format_s_page_shows_the_vector() {
    let page = include_str!("../../FORMAT.md");
    for text in [PUBLIC_KEY, IDENTITY] {
        assert!(page.contains(text), "{text}");
    }
    for line in include_str!("../../vectors/small.hex").lines() {
        assert!(page.contains(line), "{line}");
    }
    for line in include_str!("../../vectors/small.plaintext.hex").lines() {
        assert!(page.contains(line), "{line}");
    }
}

/// A longer length in front of the last checkpoint makes it look like one that
/// is torn; but the whole of it is still there.
#[test]
fn a_checkpoint_behind_a_broken_frame_is_no_torn_one() {
    let mut file = file();
    file[1532..1536].copy_from_slice(&[0x2e, 1, 0, 0]);
    file.extend_from_slice(&[0; 20]);
    let key: PublicKey = PUBLIC_KEY.parse().unwrap();
    let report = verify(Cursor::new(&file), &key).unwrap();
    assert!(matches!(report.verdict, Verdict::Altered { offset: 1532, .. }), "{:?}", report.verdict);
    // Without its last line it is torn.
    file.truncate(1800);
    file.extend_from_slice(&[0; 46]);
    assert_eq!(verify(Cursor::new(&file), &key).unwrap().verdict, Verdict::Unclean);
}

/// Unclosed and untrimmed ones, two recipients under a site log, other modes,
/// channels used anew, an event in parts: `examples/kinds.rs` made them.
#[test]
fn every_kind_of_recording_verifies_and_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/kinds");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let key: PublicKey = text("signing.pub").parse().unwrap();
    let [auditor, recovery] =
        ["auditor.age", "recovery.age"].map(|name| Identity::parse(&text(name)).unwrap());
    let expected: serde_json::Value = serde_json::from_str(&text("expected.json")).unwrap();
    let expected = expected.as_object().unwrap();
    assert_eq!(expected.len(), 7);
    for (name, expected) in expected {
        let file = std::fs::read(folder.join(name)).unwrap();
        let report = verify(Cursor::new(&file), &key).unwrap();
        let exit = match report.verdict {
            Verdict::Clean => 0,
            Verdict::Untrimmed => 2,
            Verdict::Unclean => 3,
            Verdict::Altered { .. } => 1,
        };
        assert_eq!(expected["exit"], exit, "{name}");
        assert_eq!(expected["signed_bytes"], report.signed.unwrap().bytes, "{name}");
        let opened = Opened::decrypt(Cursor::new(&file), &auditor).unwrap();
        let entries: Vec<_> = opened.map(|recorded| recorded.unwrap().entry).collect();
        assert_eq!(expected["entries"], entries.len(), "{name}");
        let recovered = Opened::decrypt(Cursor::new(&file), &recovery);
        assert_eq!(recovered.is_ok(), name == "two-recipients.ghr", "{name}");
    }
}

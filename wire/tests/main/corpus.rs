//! The fuzz targets' corpus, replayed.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/src/protocol.rs"]
mod protocol;

/// Runs every input of a target; gives the names of those that gave something.
fn replay(target: &str, run: impl Fn(&[u8]) -> bool) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let inputs = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
    let mut gave: Vec<String> = inputs
        .filter(|input| run(&fs::read(input.path()).unwrap()))
        .map(|input| input.file_name().into_string().unwrap())
        .collect();
    gave.sort();
    gave
}

#[test]
fn messages_are_read_in_the_one_way_in_which_they_are_written() {
    assert_eq!(
        replay("messages", |input| protocol::messages(input) > 0),
        [
            "after-the-sign-in",
            "answers-after-the-sign-in",
            "answers-before-the-sign-in",
            "answers-to-an-enrolment",
            "channel",
            "channel-refused",
            "enrolment-token",
            "enrolment-with-a-code",
            "enrolment-with-a-known-passkey",
            "enrolment-with-a-passkey",
            "sign-in-with-a-code",
            "sign-in-with-a-page",
            "sign-in-without-a-page",
        ]
    );
}

#[test]
fn a_token_has_one_spelling() {
    assert_eq!(replay("token", protocol::token), ["content", "whole", "with-blanks"]);
}

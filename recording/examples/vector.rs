//! Records a small session and prints it, with everything that a reader of
//! `FORMAT.md` needs to follow it: this is how `vectors/` was made.
//!
//! ```text
//! cargo run -p recording --example vector
//! ```

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use bytes::Bytes;
use recording::{
    Body, Decision, Entry, Event, FileStorage, Identity, LogPosition, Mode, Moment, Opening, SigningKey, Tap,
    Writer,
};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let auditor = Identity::generate();
    let signer = Arc::new(SigningKey::generate("plant-a")?);
    let path = std::env::temp_dir().join(format!("vector-{}.ghr", std::process::id()));
    let opening = Opening {
        session: recording::random_session()?,
        mode: Mode::Default,
        log: LogPosition::none(),
        started_wall: "2026-10-31T10:31:07.412Z".parse()?,
        started_mono: Duration::from_secs(60),
        recipients: &auditor.recipients(),
        signer: Arc::clone(&signer),
        reserve: 0,
    };
    let mut writer = Writer::create(FileStorage::create(&path)?, opening)?;
    writer.append_signed(&entries(), moment(40)?)?;
    writer.finish(moment(50)?, "client closed")?;
    let content = std::fs::read(&path)?;
    std::fs::remove_file(&path)?;
    println!("public key: {}", signer.public());
    println!("identity:\n{}", *auditor.to_text());
    for line in content.chunks(32) {
        println!("{}", hex::encode(line));
    }
    Ok(())
}

fn moment(ms: u64) -> Result<Moment, Box<dyn Error>> {
    let at = Duration::from_millis(ms);
    let start: jiff::Timestamp = "2026-10-31T10:31:07.412Z".parse()?;
    Ok(Moment { wall: start.checked_add(at)?, at })
}

fn entries() -> [Entry; 3] {
    let at = Duration::from_millis(2);
    let request = Bytes::from_static(&[0, 1, 0, 0, 0, 6, 1, 6, 0, 100, 2, 219]);
    let operation = Event::Operation {
        request: 1,
        channel: 1,
        offset: 0,
        length: 12,
        function: "write single register".to_owned(),
        text: "write holding[100] = 731".to_owned(),
        effect: "changes".to_owned(),
        decision: Decision::Allow,
        rule: "policy.csv:3".to_owned(),
        reason: String::new(),
    };
    [
        Entry { at, body: Body::Bytes { channel: 1, tap: Tap::FromClient, offset: 0, bytes: request } },
        Entry { at, body: Body::Event(operation) },
        Entry {
            at,
            body: Body::Same {
                channel: 1,
                tap: Tap::ToDevice,
                offset: 0,
                length: 12,
                of: Tap::FromClient,
                of_offset: 0,
            },
        },
    ]
}

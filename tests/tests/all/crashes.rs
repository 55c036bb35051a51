//! `kill -9`, again and again.

use tests::crashes::{LEAST_FORWARDED, kill_again_and_again};

/// What fits into the time of a run for every change; `crashes --kills N`
/// does more.
const KILLS: u32 = 200;

#[test]
fn whenever_the_gateway_is_killed_the_device_got_nothing_that_is_not_recorded() {
    let tally = kill_again_and_again(KILLS, |_| ()).unwrap();
    assert_eq!(tally.kills, KILLS);
    assert!(tally.least >= LEAST_FORWARDED);
    let text = format!("crashes: {tally:?}\n");
    std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
}

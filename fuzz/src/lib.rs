//! What has to hold for any input. The targets are a line each; the tests of
//! `dissect` replay the corpus through the same functions.

use bytes::{Bytes, BytesMut};
use dissect::{
    Content, Denial, Direction, Dissector, EXAMINED, Fact, Framing, LONGEST_VALUE, Observer, Place, Protocol,
    Unframed,
};

/// The most that a channel ever has to keep of an unfinished frame, in bytes.
const LONGEST: usize = 65_536;

/// A stream is cut into the same frames whether it comes at once or in
/// pieces, and the frames are the stream. The first byte gives the direction
/// and the size of the pieces.
pub fn framing(protocol: Protocol, input: &[u8]) {
    let Some((choice, stream)) = input.split_first() else { return };
    let direction = if choice & 1 == 0 { Direction::FromClient } else { Direction::FromDevice };
    let at_once = cut(protocol, direction, stream, stream.len().max(1));
    let in_pieces = cut(protocol, direction, stream, usize::from(choice >> 1) + 1);
    assert_eq!(at_once, in_pieces);
    assert!(stream.starts_with(&at_once.0.concat()));
}

fn cut(
    protocol: Protocol,
    direction: Direction,
    stream: &[u8],
    size: usize,
) -> (Vec<Bytes>, Option<Unframed>) {
    let dissector = Dissector::new(protocol);
    let (mut buffered, mut frames) = (BytesMut::new(), Vec::new());
    for piece in stream.chunks(size) {
        buffered.extend_from_slice(piece);
        loop {
            match dissector.frame(direction, &buffered) {
                Framing::Whole(length) => frames.push(buffered.split_to(length.get()).freeze()),
                Framing::Partial => break,
                Framing::Lost(unframed) => return (frames, Some(unframed)),
            }
        }
        assert!(buffered.len() < LONGEST + size);
    }
    (frames, None)
}

/// A channel, frame by frame: before each stands a byte that says who sends
/// it and whether it is denied. Gives how many frames there were.
pub fn channel(protocol: Protocol, input: &[u8]) -> usize {
    let mut dissector = Dissector::new(protocol);
    let mut frames = 0;
    let mut rest = input;
    while let Some((choice, stream)) = rest.split_first() {
        let direction = if choice & 1 == 0 { Direction::FromClient } else { Direction::FromDevice };
        let Framing::Whole(length) = dissector.frame(direction, stream) else {
            // What is no frame must be survived as well.
            let _request = dissector.decode(Bytes::copy_from_slice(stream));
            let _answer = dissector.answer(Bytes::copy_from_slice(stream));
            return frames;
        };
        frames += 1;
        let (frame, later) = stream.split_at(length.get());
        rest = later;
        let frame = Bytes::copy_from_slice(frame);
        match direction {
            Direction::FromClient => request(&mut dissector, frame, choice & 2 != 0),
            Direction::FromDevice => {
                let answer = dissector.answer(frame.clone());
                assert_eq!(answer.frame, frame);
                let _text = answer.outcome.to_string();
            }
        }
        let _state = (dissector.sequence(), dissector.parallel());
    }
    frames
}

fn request(dissector: &mut Dissector, frame: Bytes, denied: bool) {
    let request = dissector.decode(frame.clone());
    assert_eq!(request.frame, frame);
    match &request.content {
        Content::Operation(operation) => {
            assert!(!operation.accesses.is_empty());
            for place in operation.accesses.iter().filter_map(|access| access.place.as_ref()) {
                match place {
                    Place::Range { area, range } => assert!(range.last() <= area.last_address()),
                    Place::Name(name) => assert!(!name.as_str().is_empty()),
                    Place::Object(_) => {}
                }
            }
            let _text = operation.to_string();
            let _effect = operation.effect();
            if !denied {
                dissector.admitted(&request);
                dissector.forwarded(&request);
                return;
            }
        }
        Content::Malformed { why } => {
            let _text = why.to_string();
        }
    }
    if let Some(denial) = dissector.deny(&request, Denial::Function) {
        let framing = dissector.frame(Direction::FromDevice, &denial);
        assert!(matches!(framing, Framing::Whole(length) if length.get() == denial.len()));
    }
}

/// The bytes of an opaque connection in the order in which they came: before
/// each piece stand a byte for its direction and one for its length.
pub fn pieces(input: &[u8]) -> Vec<(Direction, &[u8])> {
    let mut pieces = Vec::new();
    let mut rest = input;
    while let [choice, length, stream @ ..] = rest {
        let direction = if choice & 1 == 0 { Direction::FromClient } else { Direction::FromDevice };
        let (piece, later) = stream.split_at(stream.len().min((*length).into()));
        pieces.push((direction, piece));
        rest = later;
    }
    pieces
}

/// An opaque connection shows the same facts however its bytes arrive, and
/// their number and size are bounded.
pub fn observed(protocol: Protocol, input: &[u8]) -> Vec<Fact> {
    let pieces = pieces(input);
    let mut runs: Vec<(Direction, Vec<u8>)> = Vec::new();
    for (direction, piece) in &pieces {
        match runs.last_mut() {
            Some((last, run)) if last == direction => run.extend_from_slice(piece),
            Some(_) | None => runs.push((*direction, piece.to_vec())),
        }
    }
    let in_pieces = observe(protocol, pieces.iter().copied());
    let at_once = observe(protocol, runs.iter().map(|(direction, run)| (*direction, run.as_slice())));
    let bytes = runs.iter().flat_map(|(direction, run)| run.chunks(1).map(|byte| (*direction, byte)));
    assert_eq!(in_pieces, at_once);
    assert_eq!(observe(protocol, bytes), at_once);
    let (most, reach) = match protocol {
        Protocol::S7Plus => (128, u64::MAX),
        Protocol::Modbus
        | Protocol::S7
        | Protocol::Enip
        | Protocol::Ssh
        | Protocol::Rfb
        | Protocol::Rdp
        | Protocol::Http
        | Protocol::Tcp => (32, EXAMINED as u64),
    };
    assert!(at_once.len() <= most, "{at_once:?}");
    for fact in &at_once {
        assert!(fact.value.len() <= LONGEST_VALUE && fact.offset < reach, "{fact:?}");
    }
    at_once
}

fn observe<'a>(protocol: Protocol, pieces: impl Iterator<Item = (Direction, &'a [u8])>) -> Vec<Fact> {
    let mut observer = Observer::new(protocol).expect("an opaque protocol has one");
    let mut facts = Vec::new();
    for (direction, piece) in pieces {
        observer.observe(direction, piece, &mut facts);
    }
    facts
}

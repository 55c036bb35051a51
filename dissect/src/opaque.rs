//! A TCP service that is carried without being understood: every piece that
//! arrives is whole, means `use`, and has no answer and no refusal.

use crate::dissector::{Answer, Content, Expects, Framing, Key, Outcome, Request};
use crate::operation::{Access, Class, Operation, Protocol};
use bytes::Bytes;
use smallvec::smallvec;
use std::num::NonZeroUsize;

pub(crate) fn frame(buffered: &[u8]) -> Framing {
    NonZeroUsize::new(buffered.len()).map_or(Framing::Partial, Framing::Whole)
}

pub(crate) fn decode(protocol: Protocol, frame: Bytes) -> Request {
    let operation = Operation {
        protocol,
        function: "use of the service",
        accesses: smallvec![Access::whole(Class::Use, None)],
    };
    Request { frame, key: Key(0), expects: Expects::Nothing, content: Content::Operation(operation) }
}

pub(crate) fn answer(frame: Bytes) -> Answer {
    Answer { frame, key: None, outcome: Outcome::Done }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Carriage, Denial, Direction, Dissector};

    #[test]
    fn every_piece_is_whole_and_has_no_refusal() {
        for protocol in Protocol::ALL.into_iter().filter(|protocol| protocol.carriage() == Carriage::Opaque) {
            is_opaque(protocol);
        }
    }

    fn is_opaque(protocol: Protocol) {
        let mut dissector = Dissector::new(protocol);
        assert_eq!(dissector.frame(Direction::FromClient, b""), Framing::Partial);
        assert_eq!(
            dissector.frame(Direction::FromDevice, b"SSH-2.0"),
            Framing::Whole(NonZeroUsize::new(7).unwrap())
        );
        let request = dissector.decode(Bytes::from_static(b"SSH-2.0"));
        let Content::Operation(operation) = &request.content else {
            panic!("opaque bytes are one operation")
        };
        assert_eq!(operation.protocol, protocol);
        assert_eq!(operation.to_string(), "use (use of the service)");
        assert_eq!(dissector.deny(&request, Denial::Function), None);
    }
}

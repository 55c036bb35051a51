use super::*;
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

fn address(last: u8, port: u16, wide: bool) -> Address {
    let ip = if wide {
        IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()])
    } else {
        IpAddr::from([192, 0, 2, last])
    };
    Address { hardware: [2, 0, 0, 0, 0, last], socket: SocketAddr::new(ip, port) }
}

#[derive(Debug, Clone)]
enum Step {
    Send(End, usize),
    Finish(End),
    Reset(End),
    Take,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![prop::strategy::Just(End::Opener), prop::strategy::Just(End::Taker)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (end(), 0..70_000_usize).prop_map(|(end, bytes)| Step::Send(end, bytes)),
        1 => end().prop_map(Step::Finish),
        1 => end().prop_map(Step::Reset),
        1 => prop::strategy::Just(Step::Take),
    ];
    prop::collection::vec(step, 0..12)
}

/// A receiver that accepts nothing but the next byte, as TCP demands.
#[derive(Debug, Default)]
struct Receiver {
    expects: Option<u32>,
    received: Vec<u8>,
    /// What the sender has learnt is here.
    acknowledged: Option<u32>,
    over: bool,
}

/// Gives a segment to the end that receives it.
fn receive(ends: &mut [Receiver; 2], segment: &Segment<'_>) {
    let (here, there) = match segment.from {
        End::Opener => (0, 1),
        End::Taker => (1, 0),
    };
    assert!(!ends[there].over, "nothing follows an end: {segment:?}");
    let expects = *ends[there].expects.get_or_insert(segment.sequence);
    assert_eq!(segment.sequence, expects, "neither a gap nor a repetition: {segment:?}");
    if let Some(number) = segment.acknowledged {
        assert_eq!(Some(number), ends[here].expects, "acknowledges what has come, all of it");
        let repeated = ends[here].acknowledged == Some(number);
        assert!(segment.sign != Sign::Acknowledge || !repeated, "no acknowledgement twice: {segment:?}");
        ends[here].acknowledged = Some(number);
    }
    let length = u32::try_from(segment.payload.len()).unwrap();
    let counts = match segment.sign {
        Sign::Open | Sign::Finish => 1,
        Sign::Data => length,
        Sign::Acknowledge | Sign::Reset => 0,
    };
    assert_eq!(segment.payload.is_empty(), segment.sign != Sign::Data);
    let next = expects.wrapping_add(counts);
    ends[there].expects = Some(next);
    ends[there].received.extend(segment.payload);
    ends[there].over |= matches!(segment.sign, Sign::Reset);
    if let Some(known) = ends[there].acknowledged {
        assert!(next.wrapping_sub(known) <= u32::from(WINDOW), "within the window: {segment:?}");
    }
}

proptest! {
    /// Whatever is sent arrives in order and once, near the end of the
    /// sequence numbers too, in frames that fit, and is decoded from them.
    #[test]
    fn a_receiver_gets_every_byte_in_order(
        steps in steps(),
        initial in (any::<u32>(), (u32::MAX - 100_000)..u32::MAX),
        wide in any::<bool>(),
    ) {
        let (mut conversation, first) =
            Conversation::ask(address(1, 49_152, wide), address(2, 502, wide), initial.into());
        let mut ends = [Receiver::default(), Receiver::default()];
        let mut sent: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
        receive(&mut ends, &first);
        let (mut taken, mut over) = (false, false);
        for (number, step) in steps.into_iter().enumerate() {
            let bytes = vec![u8::try_from(number).unwrap(); 70_000];
            let segments = match step {
                Step::Take => {
                    taken |= !over;
                    conversation.take()
                }
                Step::Send(from, count) => {
                    let payload = &bytes[..count];
                    if taken && !over {
                        sent[usize::from(from == End::Opener)].extend(payload);
                    }
                    conversation.send(from, payload)
                }
                Step::Finish(end) => {
                    over = true;
                    conversation.finish(end)
                }
                Step::Reset(end) => {
                    over = true;
                    conversation.reset(end)
                }
            };
            for segment in segments {
                receive(&mut ends, &segment);
                let frame = conversation.frame(&segment).unwrap();
                prop_assert!(frame.len() <= 14 + usize::from(MTU));
                let parsed = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
                let Some(etherparse::TransportSlice::Tcp(tcp)) = parsed.transport else { panic!("no TCP") };
                prop_assert_eq!(tcp.sequence_number(), segment.sequence);
                prop_assert_eq!(tcp.payload(), segment.payload);
                prop_assert_eq!(tcp.ack().then(|| tcp.acknowledgment_number()), segment.acknowledged);
            }
        }
        prop_assert_eq!(&ends[0].received, &sent[0]);
        prop_assert_eq!(&ends[1].received, &sent[1]);
    }
}

#[test]
fn a_connection_that_nobody_takes_carries_nothing() {
    for by in [End::Opener, End::Taker] {
        let (mut conversation, _) =
            Conversation::ask(address(1, 1, false), address(2, 2, false), [u32::MAX, 7]);
        assert!(conversation.send(End::Opener, b"too early").is_empty());
        let [segment] = conversation.finish(by).try_into().unwrap();
        assert_eq!((segment.from, segment.sign), (by, Sign::Reset));
        assert!(conversation.take().is_empty() && conversation.finish(by).is_empty());
    }
}

#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "inputs are the test's own")]

mod answers;
mod carriers;
mod denials;
mod properties;
mod requests;

use crate::dissector::{Answer, Content, Denial, Direction, Dissector, Flaw, Framing, Request};
use crate::operation::{Operation, Protocol};
use bytes::{BufMut, Bytes, BytesMut};

fn bytes(text: &str) -> Bytes {
    let digits: String = text.split_whitespace().collect();
    hex::decode(digits).unwrap_or_else(|error| panic!("{text}: {error}")).into()
}

/// A frame with the session handle 0x11223344 and that context.
fn frame(command: u16, context: u64, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u16_le(command);
    frame.put_u16_le(body.len().try_into().unwrap());
    frame.put_u32_le(0x1122_3344);
    frame.put_u32_le(0);
    frame.put_u64_le(context);
    frame.put_u32_le(0);
    frame.put_slice(body);
    frame.freeze()
}

/// SendRRData with the CIP message.
fn rr(context: u64, message: &[u8]) -> Bytes {
    let mut body = BytesMut::from(&bytes("00000000 0800 0200 0000 0000 b200")[..]);
    body.put_u16_le(message.len().try_into().unwrap());
    body.put_slice(message);
    frame(0x6F, context, &body)
}

/// SendUnitData with the CIP message.
fn unit(connection: u32, sequence: u16, message: &[u8]) -> Bytes {
    let mut body = BytesMut::from(&bytes("00000000 0000 0200 a100 0400")[..]);
    body.put_u32_le(connection);
    body.put_u16_le(0xB1);
    body.put_u16_le((message.len() + 2).try_into().unwrap());
    body.put_u16_le(sequence);
    body.put_slice(message);
    frame(0x70, 7, &body)
}

/// An Unconnected Send of the message by that route.
fn wrapped(message: &[u8], route: &str) -> Vec<u8> {
    let (mut outer, route) = (bytes("52 02 2006 2401 05 9d").to_vec(), bytes(route));
    outer.put_u16_le(message.len().try_into().unwrap());
    outer.put_slice(message);
    if message.len() % 2 == 1 {
        outer.push(0);
    }
    outer.push((route.len() / 2).try_into().unwrap());
    outer.push(0);
    outer.put_slice(&route);
    outer
}

/// A Multiple Service Packet, or what follows the status in its answer.
fn packet(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut data = Vec::new();
    data.put_u16_le(parts.len().try_into().unwrap());
    let mut offset = 2 + 2 * parts.len();
    for part in parts {
        data.put_u16_le(offset.try_into().unwrap());
        offset += part.len();
    }
    data.extend(parts.concat());
    data
}

fn multiple(parts: &[Vec<u8>]) -> Vec<u8> {
    [bytes("0a 02 2002 2401").to_vec(), packet(parts)].concat()
}

fn new() -> Dissector {
    Dissector::new(Protocol::Enip)
}

fn operation_of(request: &Request) -> &Operation {
    match &request.content {
        Content::Operation(operation) => operation,
        Content::Malformed { why } => panic!("{why}"),
    }
}

/// The operation of a message sent unconnected.
fn operation(message: &[u8]) -> Operation {
    operation_of(&new().decode(rr(1, message))).clone()
}

fn text(message: &str) -> String {
    operation(&bytes(message)).to_string()
}

fn flaw(message: &[u8]) -> Flaw {
    match new().decode(rr(1, message)).content {
        Content::Malformed { why } => why.flaw,
        Content::Operation(operation) => panic!("taken for {operation}"),
    }
}

/// Decodes and forwards.
fn send(dissector: &mut Dissector, frame: Bytes) -> Request {
    let request = dissector.decode(frame);
    dissector.forwarded(&request);
    request
}

/// What the answer to a request says, both unconnected.
fn outcome(request: &[u8], answer: &[u8]) -> String {
    let mut dissector = new();
    let request = send(&mut dissector, rr(1, request));
    let Answer { key, outcome, .. } = dissector.answer(rr(1, answer));
    assert_eq!(key, Some(request.key));
    outcome.to_string()
}

/// A Forward Open of the connection to_client 0x71190427, by that path.
fn forward_open(service: u8, transport: u8, path: &str) -> Vec<u8> {
    let parameters =
        if service == 0x5B { "01402000 a00f0042 01402000 a00f0042" } else { "01402000 f443 01402000 f443" };
    let path = bytes(path);
    let start = bytes("02 2006 2401 0a05 00000000 27041971 2704 0910 51964a96 07 000000");
    let words = u8::try_from(path.len() / 2).unwrap();
    [&[service][..], &start, &bytes(parameters), &[transport, words], &path].concat()
}

const ROUTER: &str = "2002 2401";

/// Opens a connection on the channel: `to_device` is what the device answers.
fn open(dissector: &mut Dissector, to_device: u32, message: &[u8]) {
    send(dissector, rr(9, message));
    let mut reply = vec![message[0] | 0x80, 0, 0, 0];
    reply.put_u32_le(to_device);
    reply.put_slice(&bytes("27041971 2704 0910 51964a96 01402000 01402000 0000"));
    assert_eq!(dissector.answer(rr(9, &reply)).outcome.to_string(), "ok");
}

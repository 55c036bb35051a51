//! What clients and devices say in each protocol, built and read byte by byte
//! without the product's own dissectors: the same questions in all of them.
//! Register n is `holding[n]`, the bytes 2n and 2n + 1 of `db1`, or the tag
//! `Data[n]`.

use crate::sim::{Rights, adu, exception, read, write};
use dissect::Protocol;

/// A request without its identifier.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    Read(u16),
    Write(u16, u16),
    Broken,
}

impl Ask {
    pub(crate) fn frame(self, protocol: Protocol, id: u16) -> Vec<u8> {
        match protocol {
            Protocol::Modbus => match self {
                Self::Read(register) => read(id, register, 1),
                Self::Write(register, value) => write(id, register, value),
                Self::Broken => adu(id, &[6, 0, 100]),
            },
            Protocol::S7 => match self {
                Self::Read(register) => s7_job(id, &s7_item(4, register), &[]),
                Self::Write(register, value) => {
                    s7_job(id, &s7_item(5, register), &[&[0, 4, 0, 16][..], &value.to_be_bytes()].concat())
                }
                Self::Broken => s7_job(id, &s7_item(5, 100), &[]),
            },
            Protocol::Enip => match self {
                Self::Read(register) => rr(id.into(), &[&tag(0x4C, register)[..], &[1, 0]].concat()),
                Self::Write(register, value) => {
                    let data = [&[0xC7, 0, 1, 0][..], &value.to_le_bytes()].concat();
                    rr(id.into(), &[tag(0x4D, register), data].concat())
                }
                Self::Broken => rr(id.into(), &tag(0x4C, 100)),
            },
            Protocol::S7Plus
            | Protocol::Ssh
            | Protocol::Rfb
            | Protocol::Rdp
            | Protocol::Http
            | Protocol::Tcp => b"key".to_vec(),
        }
    }

    /// What the gateway answers in the device's stead; `None` if the request
    /// is allowed under the wide rights.
    pub(crate) fn refusal(self, protocol: Protocol, id: u16) -> Option<Vec<u8>> {
        let frame = self.frame(protocol, id);
        let broken = matches!(self, Self::Broken);
        if !broken && allowed(protocol, Rights::Wide, &frame) {
            return None;
        }
        Some(match protocol {
            Protocol::Modbus => {
                let code = match self {
                    Self::Broken | Self::Write(100..=199, _) => 3,
                    Self::Write(300, _) => 1,
                    Self::Read(_) | Self::Write(..) => 2,
                };
                exception(&frame, code)
            }
            Protocol::S7 if broken => s7_answer(id, 0x8500, &[5], &[]),
            Protocol::S7 => match self {
                Self::Read(_) | Self::Broken => s7_answer(id, 0, &[4, 1], &[3, 0, 0, 0]),
                Self::Write(..) => s7_answer(id, 0, &[5, 1], &[3]),
            },
            Protocol::Enip => {
                let service = frame[40] | 0x80;
                let mut refusal = rr(id.into(), &[service, 0, if broken { 0x13 } else { 0x0F }, 0]);
                // An answer has no time-out.
                refusal[28] = 0;
                refusal
            }
            Protocol::S7Plus
            | Protocol::Ssh
            | Protocol::Rfb
            | Protocol::Rdp
            | Protocol::Http
            | Protocol::Tcp => Vec::new(),
        })
    }
}

/// What a client says before it asks for anything.
pub(crate) fn opening(protocol: Protocol) -> Vec<Vec<u8>> {
    match protocol {
        Protocol::Modbus
        | Protocol::S7Plus
        | Protocol::Ssh
        | Protocol::Rfb
        | Protocol::Rdp
        | Protocol::Http
        | Protocol::Tcp => Vec::new(),
        Protocol::S7 => {
            let connect = [3, 0, 0, 22, 17, 0xE0, 0, 0, 0, 1, 0, 0xC1, 2, 1, 0, 0xC2, 2, 1, 2, 0xC0, 1, 10];
            vec![connect.to_vec(), s7_job(u16::MAX, &[0xF0, 0, 0, 8, 0, 8, 3, 0xC0], &[])]
        }
        Protocol::Enip => vec![enip(0x65, 1 << 32, &[1, 0, 0, 0])],
    }
}

/// The frames that a stream of bytes consists of.
pub(crate) fn frames(protocol: Protocol, mut stream: &[u8]) -> Vec<&[u8]> {
    let length = |stream: &[u8]| {
        Some(match protocol {
            Protocol::Modbus => 6 + usize::from(u16::from_be_bytes([*stream.get(4)?, *stream.get(5)?])),
            Protocol::S7 => usize::from(u16::from_be_bytes([*stream.get(2)?, *stream.get(3)?])),
            Protocol::Enip => 24 + usize::from(u16::from_le_bytes([*stream.get(2)?, *stream.get(3)?])),
            Protocol::S7Plus
            | Protocol::Ssh
            | Protocol::Rfb
            | Protocol::Rdp
            | Protocol::Http
            | Protocol::Tcp => stream.len(),
        })
    };
    let mut frames = Vec::new();
    while let Some((frame, rest)) = length(stream).and_then(|length| stream.split_at_checked(length)) {
        if frame.is_empty() {
            break;
        }
        frames.push(frame);
        stream = rest;
    }
    frames
}

/// What a well-behaved device answers. S7 devices agree to four jobs at once.
pub(crate) fn answer(protocol: Protocol, request: &[u8]) -> Vec<u8> {
    match protocol {
        Protocol::Modbus => crate::sim::answer(request),
        Protocol::S7 if request[5] == 0xE0 => {
            [&[3, 0, 0, 22, 17, 0xD0, 0, 1, 0, 9][..], &request[10..]].concat()
        }
        Protocol::S7 => {
            let id = u16::from_be_bytes([request[11], request[12]]);
            match request[17] {
                4 => s7_answer(id, 0, &[4, 1], &[0xFF, 4, 0, 16, request[29], request[30]]),
                5 => s7_answer(id, 0, &[5, 1], &[0xFF]),
                _ => s7_answer(id, 0, &[0xF0, 0, 0, 4, 0, 4, 1, 0xE0], &[]),
            }
        }
        Protocol::Enip if request[0] == 0x65 => request.to_vec(),
        Protocol::Enip => {
            let id = u64::from_le_bytes(request[12..20].try_into().unwrap());
            match request[40] {
                0x4C => rr(id, &[0xCC, 0, 0, 0, 0xC7, 0, request[50], request[51]]),
                service => rr(id, &[service | 0x80, 0, 0, 0]),
            }
        }
        Protocol::S7Plus | Protocol::Ssh | Protocol::Rfb | Protocol::Rdp | Protocol::Http | Protocol::Tcp => {
            b"screen".to_vec()
        }
    }
}

/// The reference model of the policies, for open windows, on raw bytes.
pub(crate) fn allowed(protocol: Protocol, rights: Rights, frame: &[u8]) -> bool {
    let (writes, register, value) = match protocol {
        Protocol::Modbus => return crate::sim::allowed(rights, frame),
        Protocol::S7Plus | Protocol::Ssh | Protocol::Rfb | Protocol::Rdp | Protocol::Http | Protocol::Tcp => {
            return true;
        }
        Protocol::S7 => {
            if frame[5] == 0xE0 || frame[17] == 0xF0 {
                return true;
            }
            let bit = u32::from_be_bytes([0, frame[28], frame[29], frame[30]]);
            let value = if frame[17] == 5 { u16::from_be_bytes([frame[35], frame[36]]) } else { 0 };
            (frame[17] == 5, bit / 16, value)
        }
        Protocol::Enip => {
            if frame[0] != 0x6F {
                return [0, 4, 0x63, 0x64, 0x65, 0x66].contains(&frame[0]);
            }
            let register = u16::from_le_bytes([frame[50], frame[51]]);
            let writes = frame[40] == 0x4D;
            let value = if writes { u16::from_le_bytes([frame[56], frame[57]]) } else { 0 };
            (writes, register.into(), value)
        }
    };
    match rights {
        Rights::Wide => !writes || ((100..=199).contains(&register) && value <= 900),
        Rights::Narrow => !writes && register < 10,
        Rights::Evening | Rights::Paced => false,
    }
}

/// Whether the frame can change the device.
pub(crate) fn changes(protocol: Protocol, frame: &[u8]) -> bool {
    match protocol {
        Protocol::Modbus => !(1..=4).contains(&frame[7]),
        Protocol::S7 => frame[5] == 0xF0 && frame[17] == 5,
        Protocol::Enip => frame[0] == 0x6F && frame[40] == 0x4D,
        Protocol::S7Plus | Protocol::Ssh | Protocol::Rfb | Protocol::Rdp | Protocol::Http | Protocol::Tcp => {
            true
        }
    }
}

fn tpkt(unit: &[u8]) -> Vec<u8> {
    let length = u16::try_from(unit.len() + 7).unwrap().to_be_bytes();
    [&[3, 0][..], &length, &[2, 0xF0, 0x80], unit].concat()
}

/// A job with that reference.
pub(crate) fn s7_job(id: u16, parameter: &[u8], data: &[u8]) -> Vec<u8> {
    s7_unit(1, id, parameter, data, &[])
}

/// An acknowledgement with an error of its header.
pub(crate) fn s7_answer(id: u16, error: u16, parameter: &[u8], data: &[u8]) -> Vec<u8> {
    s7_unit(3, id, parameter, data, &error.to_be_bytes())
}

/// Userdata with that purpose: 0 push, 4 request, 8 answer.
pub(crate) fn s7_userdata(id: u16, purpose: u8, function: u8, data: &[u8]) -> Vec<u8> {
    let method = if purpose == 4 { 0x11 } else { 0x12 };
    let head = [0, 1, 0x12, if purpose == 8 { 8 } else { 4 }, method, purpose << 4 | 4, function, 1];
    let parameter = [&head[..], if purpose == 8 { &[0, 0, 0, 0] } else { &[] }].concat();
    s7_unit(7, id, &parameter, data, &[])
}

fn s7_unit(kind: u8, id: u16, parameter: &[u8], data: &[u8], error: &[u8]) -> Vec<u8> {
    let length = |part: &[u8]| u16::try_from(part.len()).unwrap().to_be_bytes();
    let head = [&[0x32, kind, 0, 0][..], &id.to_be_bytes(), &length(parameter), &length(data)].concat();
    tpkt(&[&head, error, parameter, data].concat())
}

fn s7_item(function: u8, register: u16) -> Vec<u8> {
    let [_, high, middle, low] = (u32::from(register) * 16).to_be_bytes();
    vec![function, 1, 0x12, 10, 0x10, 4, 0, 1, 0, 1, 0x84, high, middle, low]
}

/// An encapsulation frame with that sender context.
pub(crate) fn enip(command: u8, context: u64, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_le_bytes();
    let head = [&[command, 0][..], &length, &[0x44, 0x33, 0x22, 0x11], &[0; 4], &context.to_le_bytes()];
    [&head.concat()[..], &[0; 4], body].concat()
}

/// A CIP message outside of a connection.
pub(crate) fn rr(context: u64, message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap().to_le_bytes();
    let items = [0, 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0xB2, 0, length[0], length[1]];
    enip(0x6F, context, &[&items[..], message].concat())
}

fn tag(service: u8, register: u16) -> Vec<u8> {
    let [low, high] = register.to_le_bytes();
    [&[service, 5, 0x91, 4][..], b"Data", &[0x29, 0, low, high]].concat()
}

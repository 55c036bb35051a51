//! A small Modbus/TCP client: the technician's tool of tests and demo.
//!
//! It blocks, with a time-out on every step, and keeps each request and
//! answer apart by transaction id. It never retries: what a test sends is
//! what went out.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long a tool waits for one answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of the MBAP header: transaction, protocol, length, unit.
const HEADER: usize = 7;

/// What an answer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The PDU's data after the function code.
    Data(Vec<u8>),
    /// A Modbus exception with its code (V1.1b3, section 7).
    Exception(u8),
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The connection broke or the time ran out.
    #[error("no answer: {0}")]
    Io(#[from] io::Error),
    /// Bytes came that are no answer to what was asked.
    #[error("not an answer to this request: {0}")]
    Mismatch(String),
}

/// One connection to a device, or to the listener that leads to it.
#[derive(Debug)]
pub struct Tool {
    stream: TcpStream,
    unit: u8,
    transaction: u16,
}

impl Tool {
    /// Connects to `address`; requests go to unit 1.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, unit: 1, transaction: 0 })
    }

    /// A second hand on the same connection: one sends, the other receives.
    pub fn try_clone(&self) -> io::Result<Self> {
        let stream = self.stream.try_clone()?;
        Ok(Self { stream, unit: self.unit, transaction: self.transaction })
    }

    /// The same connection, aimed at another unit behind the address.
    pub fn with_unit(mut self, unit: u8) -> Self {
        self.unit = unit;
        self
    }

    /// Reads `count` holding registers from `at`.
    pub fn read_holding(&mut self, at: u16, count: u16) -> Result<Result<Vec<u16>, u8>, Failure> {
        let answer = self.ask(&pdu(3, &[at, count]))?;
        words(answer)
    }

    /// Reads `count` input registers from `at`.
    pub fn read_input(&mut self, at: u16, count: u16) -> Result<Result<Vec<u16>, u8>, Failure> {
        let answer = self.ask(&pdu(4, &[at, count]))?;
        words(answer)
    }

    /// Writes one holding register.
    pub fn write_holding(&mut self, at: u16, value: u16) -> Result<Answer, Failure> {
        self.ask(&pdu(6, &[at, value]))
    }

    /// Writes one coil.
    pub fn write_coil(&mut self, at: u16, on: Coil) -> Result<Answer, Failure> {
        self.ask(&pdu(5, &[at, on as u16]))
    }

    /// Sends one PDU and waits for its answer.
    pub fn ask(&mut self, pdu: &[u8]) -> Result<Answer, Failure> {
        let transaction = self.send(pdu)?;
        let (answered, answer) = self.receive()?;
        if answered != transaction {
            return Err(Failure::Mismatch(format!("asked as {transaction}, answered as {answered}")));
        }
        Ok(answer)
    }

    /// Sends one PDU without waiting; gives its transaction id.
    pub fn send(&mut self, pdu: &[u8]) -> io::Result<u16> {
        self.transaction = self.transaction.wrapping_add(1);
        self.stream.write_all(&frame(self.transaction, self.unit, pdu))?;
        Ok(self.transaction)
    }

    /// Sends bytes as they are: broken frames, several at once.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Waits for the next answer; gives its transaction id too.
    pub fn receive(&mut self) -> Result<(u16, Answer), Failure> {
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header)?;
        let [t0, t1, 0, 0, l0, l1, _unit] = header else {
            return Err(Failure::Mismatch(format!("header {header:02x?}")));
        };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if !(3..=254).contains(&length) {
            return Err(Failure::Mismatch(format!("length {length}")));
        }
        let mut pdu = vec![0; length - 1];
        self.stream.read_exact(&mut pdu)?;
        let answer = match pdu.as_slice() {
            [function, code] if function & 0x80 != 0 => Answer::Exception(*code),
            [_, data @ ..] => Answer::Data(data.to_vec()),
            [] => return Err(Failure::Mismatch("empty".to_owned())),
        };
        Ok((u16::from_be_bytes([t0, t1]), answer))
    }

    /// Whether the other side has closed: waits for its end of stream or
    /// reset, an error if there is data instead or nothing in time.
    pub fn expect_closed(&mut self) -> Result<(), Failure> {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Failure::Mismatch(format!("a byte {:02x} instead of the end", byte[0]))),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// State to give a coil; the values are the protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coil {
    /// 0x0000
    Off = 0,
    /// 0xFF00
    On = 0xFF00,
}

/// A PDU of a function code and big-endian words.
pub fn pdu(function: u8, words: &[u16]) -> Vec<u8> {
    let mut bytes = vec![function];
    bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    bytes
}

/// A whole frame: MBAP header and PDU.
///
/// # Panics
/// If the PDU is longer than a length field can say.
pub fn frame(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).expect("a PDU is at most 253 bytes");
    let mut bytes = transaction.to_be_bytes().to_vec();
    bytes.extend([0, 0]);
    bytes.extend(length.to_be_bytes());
    bytes.push(unit);
    bytes.extend(pdu);
    bytes
}

/// The registers of a read's answer, or the exception's code.
fn words(answer: Answer) -> Result<Result<Vec<u16>, u8>, Failure> {
    match answer {
        Answer::Exception(code) => Ok(Err(code)),
        Answer::Data(data) => match data.split_first() {
            Some((&count, bytes)) if usize::from(count) == bytes.len() && bytes.len() % 2 == 0 => {
                Ok(Ok(bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()))
            }
            _ => Err(Failure::Mismatch(format!("read answer {data:02x?}"))),
        },
    }
}

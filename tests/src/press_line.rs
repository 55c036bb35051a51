//! A press line's controller as Modbus sees it: registers, coils and answers.
//!
//! What it is for: a believable device behind the gateway. It holds the set
//! points that a technician tunes, the safety limits that nobody may touch
//! from afar, and live values that follow the set points, and it answers
//! Modbus requests (MODBUS Application Protocol V1.1b3, section 6) with the
//! exceptions of section 7.
//!
//! What it never does: open a socket or read a clock. [`crate::plc`] puts it
//! on the network.

/// Zero-based addresses of the press line's registers.
pub mod address {
    /// Holding: pressing force to reach, kN, 0 to 900.
    pub const FORCE_SET_POINT: u16 = 100;
    /// Holding: speed of the ram, mm/s.
    pub const RAM_SPEED: u16 = 101;
    /// Holding: time under full force, ms.
    pub const DWELL: u16 = 102;
    /// Holding: the highest force that the safety relay lets through, kN.
    pub const SAFETY_FORCE_LIMIT: u16 = 200;
    /// Holding: the speed at which the light curtain stops the ram, mm/s.
    pub const SAFETY_SPEED_LIMIT: u16 = 201;
    /// Input: force measured now, kN.
    pub const FORCE: u16 = 0;
    /// Input: position of the ram now, tenths of a millimetre.
    pub const RAM_POSITION: u16 = 1;
    /// Input: oil temperature, tenths of a degree Celsius.
    pub const OIL_TEMPERATURE: u16 = 2;
    /// Input: strokes since the counter was set back.
    pub const STROKES: u16 = 3;
    /// Coil: hydraulic pump runs.
    pub const PUMP: u16 = 0;
    /// Coil: lamp in the control cabinet.
    pub const CABINET_LAMP: u16 = 1;
}

/// Registers of each kind that the controller has.
const HOLDING: usize = 1000;
const INPUTS: usize = 32;
const COILS: usize = 64;
const DISCRETE: usize = 32;

/// A Modbus exception, by its code of section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exception {
    Function = 1,
    Address = 2,
    Value = 3,
}

/// The memory of one controller and its answers.
#[derive(Debug, Clone)]
pub struct PressLine {
    holding: Vec<u16>,
    coils: Vec<bool>,
    discrete: Vec<bool>,
    strokes: u16,
}

impl Default for PressLine {
    fn default() -> Self {
        let mut line = Self {
            holding: vec![0; HOLDING],
            coils: vec![false; COILS],
            discrete: vec![false; DISCRETE],
            strokes: 41_200,
        };
        for (at, value) in [
            (address::FORCE_SET_POINT, 650),
            (address::RAM_SPEED, 120),
            (address::DWELL, 400),
            (address::SAFETY_FORCE_LIMIT, 900),
            (address::SAFETY_SPEED_LIMIT, 10),
        ] {
            line.holding[usize::from(at)] = value;
        }
        line.coils[usize::from(address::PUMP)] = true;
        line
    }
}

impl PressLine {
    /// The holding register at `at`, `None` beyond the last one.
    pub fn holding(&self, at: u16) -> Option<u16> {
        self.holding.get(usize::from(at)).copied()
    }

    /// The coil at `at`, `None` beyond the last one.
    pub fn coil(&self, at: u16) -> Option<bool> {
        self.coils.get(usize::from(at)).copied()
    }

    /// Answers one PDU (function code and data) with a PDU.
    pub fn answer(&mut self, pdu: &[u8]) -> Vec<u8> {
        let Some((&function, data)) = pdu.split_first() else {
            return vec![0x80, Exception::Function as u8];
        };
        match self.perform(function, data) {
            Ok(body) => [&[function], body.as_slice()].concat(),
            Err(exception) => vec![function | 0x80, exception as u8],
        }
    }

    fn perform(&mut self, function: u8, data: &[u8]) -> Result<Vec<u8>, Exception> {
        match function {
            1 => read_bits(&self.coils, data),
            2 => read_bits(&self.discrete, data),
            3 => read_words(&self.holding, data),
            4 => {
                let inputs = self.inputs();
                read_words(&inputs, data)
            }
            5 => self.write_coil(data),
            6 => self.write_register(data),
            15 => self.write_coils(data),
            16 => self.write_registers(data),
            22 => self.mask_register(data),
            23 => self.read_write_registers(data),
            43 => identify(data),
            _ => Err(Exception::Function),
        }
    }

    /// The live values: they follow the set points, and each look at them is
    /// one stroke later, so that two reads differ as on a running machine.
    fn inputs(&mut self) -> Vec<u16> {
        let running = self.coils.first().copied().unwrap_or_default();
        if running {
            self.strokes = self.strokes.wrapping_add(1);
        }
        let ripple = self.strokes % 5;
        let set = self.holding(address::FORCE_SET_POINT).unwrap_or_default();
        let force = if running { set.saturating_add(ripple).saturating_sub(2) } else { 0 };
        let mut inputs = vec![0; INPUTS];
        for (at, value) in [
            (address::FORCE, force),
            (address::RAM_POSITION, (self.strokes % 40) * 100),
            (address::OIL_TEMPERATURE, 412 + ripple),
            (address::STROKES, self.strokes),
        ] {
            inputs[usize::from(at)] = value;
        }
        inputs
    }

    fn write_coil(&mut self, data: &[u8]) -> Result<Vec<u8>, Exception> {
        let [at, value] = words(data)?;
        let on = match value {
            0xFF00 => true,
            0 => false,
            _ => return Err(Exception::Value),
        };
        *self.coils.get_mut(usize::from(at)).ok_or(Exception::Address)? = on;
        Ok(data.to_vec())
    }

    fn write_register(&mut self, data: &[u8]) -> Result<Vec<u8>, Exception> {
        let [at, value] = words(data)?;
        *self.holding.get_mut(usize::from(at)).ok_or(Exception::Address)? = value;
        Ok(data.to_vec())
    }

    fn write_coils(&mut self, data: &[u8]) -> Result<Vec<u8>, Exception> {
        let (head, [count, bits @ ..]) = data.split_at_checked(4).ok_or(Exception::Value)? else {
            return Err(Exception::Value);
        };
        let [at, quantity] = words(head)?;
        let quantity = usize::from(quantity);
        if quantity == 0 || quantity > 0x7B0 || bits.len() != usize::from(*count) {
            return Err(Exception::Value);
        }
        if bits.len() != quantity.div_ceil(8) {
            return Err(Exception::Value);
        }
        let at = usize::from(at);
        let cells = self.coils.get_mut(at..at + quantity).ok_or(Exception::Address)?;
        for (index, cell) in cells.iter_mut().enumerate() {
            *cell = bits[index / 8] >> (index % 8) & 1 == 1;
        }
        Ok(head.to_vec())
    }

    fn write_registers(&mut self, data: &[u8]) -> Result<Vec<u8>, Exception> {
        let (head, [count, bytes @ ..]) = data.split_at_checked(4).ok_or(Exception::Value)? else {
            return Err(Exception::Value);
        };
        let [at, quantity] = words(head)?;
        let quantity = usize::from(quantity);
        if quantity == 0 || quantity > 0x7B || bytes.len() != usize::from(*count) {
            return Err(Exception::Value);
        }
        if bytes.len() != 2 * quantity {
            return Err(Exception::Value);
        }
        let at = usize::from(at);
        let cells = self.holding.get_mut(at..at + quantity).ok_or(Exception::Address)?;
        for (cell, pair) in cells.iter_mut().zip(bytes.chunks_exact(2)) {
            *cell = u16::from_be_bytes([pair[0], pair[1]]);
        }
        Ok(head.to_vec())
    }

    /// New value = (old AND and-mask) OR (or-mask AND NOT and-mask),
    /// section 6.16.
    fn mask_register(&mut self, data: &[u8]) -> Result<Vec<u8>, Exception> {
        let [at, and, or] = words(data)?;
        let cell = self.holding.get_mut(usize::from(at)).ok_or(Exception::Address)?;
        *cell = (*cell & and) | (or & !and);
        Ok(data.to_vec())
    }

    /// The write comes first (section 6.17).
    fn read_write_registers(&mut self, data: &[u8]) -> Result<Vec<u8>, Exception> {
        let (read, write) = data.split_at_checked(4).ok_or(Exception::Value)?;
        self.write_registers(write)?;
        read_words(&self.holding, read)
    }
}

/// `data` as exactly `N` big-endian words.
fn words<const N: usize>(data: &[u8]) -> Result<[u16; N], Exception> {
    let mut all = [0; N];
    if data.len() != 2 * N {
        return Err(Exception::Value);
    }
    for (word, pair) in all.iter_mut().zip(data.chunks_exact(2)) {
        *word = u16::from_be_bytes([pair[0], pair[1]]);
    }
    Ok(all)
}

fn read_words(cells: &[u16], data: &[u8]) -> Result<Vec<u8>, Exception> {
    let [at, quantity] = words(data)?;
    if quantity == 0 || quantity > 0x7D {
        return Err(Exception::Value);
    }
    let (at, quantity) = (usize::from(at), usize::from(quantity));
    let cells = cells.get(at..at + quantity).ok_or(Exception::Address)?;
    let mut body = vec![2 * quantity as u8];
    body.extend(cells.iter().flat_map(|cell| cell.to_be_bytes()));
    Ok(body)
}

fn read_bits(cells: &[bool], data: &[u8]) -> Result<Vec<u8>, Exception> {
    let [at, quantity] = words(data)?;
    if quantity == 0 || quantity > 0x7D0 {
        return Err(Exception::Value);
    }
    let (at, quantity) = (usize::from(at), usize::from(quantity));
    let cells = cells.get(at..at + quantity).ok_or(Exception::Address)?;
    let mut body = vec![quantity.div_ceil(8) as u8];
    body.extend(
        cells
            .chunks(8)
            .map(|eight| eight.iter().enumerate().fold(0, |byte, (index, &on)| byte | u8::from(on) << index)),
    );
    Ok(body)
}

/// Read Device Identification, basic objects as one stream (section 6.21).
fn identify(data: &[u8]) -> Result<Vec<u8>, Exception> {
    let [0x0E, 0x01, 0x00] = data else {
        return Err(Exception::Value);
    };
    let objects = ["Press Works", "PL-7", "1.4"];
    let mut body = vec![0x0E, 0x01, 0x01, 0x00, 0x00, objects.len() as u8];
    for (id, text) in objects.iter().enumerate() {
        body.extend([id as u8, text.len() as u8]);
        body.extend(text.as_bytes());
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_set_point_reads_back_and_the_live_force_follows() {
        let mut line = PressLine::default();
        assert_eq!(line.answer(&[6, 0, 100, 2, 0xDB]), [6, 0, 100, 2, 0xDB]);
        assert_eq!(line.answer(&[3, 0, 100, 0, 1]), [3, 2, 2, 0xDB]);
        let answer = line.answer(&[4, 0, 0, 0, 1]);
        let force = u16::from_be_bytes([answer[2], answer[3]]);
        assert!((729..=733).contains(&force), "{force}");
    }

    #[test]
    fn exceptions_name_the_fault() {
        let mut line = PressLine::default();
        assert_eq!(line.answer(&[3, 0x03, 0xE8, 0, 1]), [0x83, 2]);
        assert_eq!(line.answer(&[3, 0, 0, 0, 0]), [0x83, 3]);
        assert_eq!(line.answer(&[5, 0, 0, 1, 0]), [0x85, 3]);
        assert_eq!(line.answer(&[0x63]), [0xE3, 1]);
    }

    #[test]
    fn coils_and_registers_are_written_in_bulk() {
        let mut line = PressLine::default();
        assert_eq!(line.answer(&[15, 0, 2, 0, 3, 1, 0b101]), [15, 0, 2, 0, 3]);
        assert_eq!(line.answer(&[1, 0, 2, 0, 3]), [1, 1, 0b101]);
        assert_eq!(line.answer(&[16, 0, 10, 0, 2, 4, 0, 1, 0, 2]), [16, 0, 10, 0, 2]);
        assert_eq!(line.answer(&[22, 0, 10, 0, 0, 0, 7]), [22, 0, 10, 0, 0, 0, 7]);
        assert_eq!(line.answer(&[23, 0, 10, 0, 2, 0, 11, 0, 1, 2, 0, 9]), [23, 4, 0, 7, 0, 9]);
    }
}

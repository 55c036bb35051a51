//! Single values in DER (ITU-T X.690), written as asked, right or wrong.

use time::OffsetDateTime;

pub(super) const EC_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
pub(super) const EC_SHA1: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 1];
pub(super) const RSA_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 11];

pub(super) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
pub(super) const ORGANISATION: &[u8] = &[0x55, 4, 10];

pub(super) const UTF8: u8 = 0x0C;
pub(super) const PRINTABLE: u8 = 0x13;
pub(super) const TELETEX: u8 = 0x14;
pub(super) const BMP: u8 = 0x1E;

/// Tag, length, content.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if length < 0x80 {
        out.push(u8::try_from(length).unwrap());
    } else {
        let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        out.push(0x80 | u8::try_from(bytes.len()).unwrap());
        out.extend(bytes);
    }
    out.extend(content);
    out
}

pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    value(0x30, &parts.concat())
}

pub(super) fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    value(0x31, &parts.concat())
}

pub(super) fn integer(content: &[u8]) -> Vec<u8> {
    value(0x02, content)
}

pub(super) fn object(identifier: &[u8]) -> Vec<u8> {
    value(0x06, identifier)
}

pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    value(0x04, content)
}

pub(super) fn bits(content: &[u8]) -> Vec<u8> {
    value(0x03, &[&[0], content].concat())
}

pub(super) fn truth() -> Vec<u8> {
    value(0x01, &[0xFF])
}

/// An explicitly tagged value.
pub(super) fn explicit(number: u8, content: &[u8]) -> Vec<u8> {
    value(0xA0 | number, content)
}

/// RFC 5280, 4.1.2.5: UTCTime until 2049, GeneralizedTime from then on.
pub(super) fn moment(at: OffsetDateTime) -> Vec<u8> {
    let (year, month, day) = at.to_calendar_date();
    let rest = format!("{:02}{day:02}{:02}{:02}{:02}Z", u8::from(month), at.hour(), at.minute(), at.second());
    if year < 2050 {
        value(0x17, format!("{:02}{rest}", year % 100).as_bytes())
    } else {
        value(0x18, format!("{year:04}{rest}").as_bytes())
    }
}

/// A name of one attribute for each part: identifier, kind of string, bytes.
pub(super) fn name(parts: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
    sequence(&parts.iter().map(|part| set(&[attribute(part)])).collect::<Vec<_>>())
}

pub(super) fn attribute((identifier, kind, text): &(&[u8], u8, &[u8])) -> Vec<u8> {
    sequence(&[object(identifier), value(*kind, text)])
}

/// A name that is a common name in UTF-8 and nothing else.
pub(super) fn common(text: &str) -> Vec<u8> {
    name(&[(COMMON_NAME, UTF8, text.as_bytes())])
}

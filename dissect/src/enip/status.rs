//! What devices say in answers, in words (CIP Volume 1, appendix B; CIP Volume
//! 2, 2-3.5).

/// The general status of an answer. With 0xFF a Logix controller gives an
/// extended one of its own (1756-PM020).
pub(super) fn general(status: u8, extended: u16) -> &'static str {
    match (status, extended) {
        (0x01, 0x0100) => "connection in use",
        (0x01, 0x0103) => "transport class and trigger not supported",
        (0x01, 0x0107) => "connection not found",
        (0x01, 0x0109) => "invalid connection size",
        (0x01, 0x0113) => "no more connections",
        (0x01, 0x0119) => "connection request from a stranger",
        (0x01, 0x0203) => "connection timed out",
        (0x01, 0x0204) => "unconnected request timed out",
        (0x01, 0x0311) => "no such port on the way",
        (0x01, 0x0312) => "no such address on the way",
        (0x01, 0x0315) => "invalid segment in the path",
        (0x01, _) => "connection failure",
        (0x02, _) => "resource unavailable",
        (0x03, _) => "invalid parameter value",
        (0x04, _) => "path segment error",
        (0x05, _) => "path destination unknown",
        (0x06, _) => "partial transfer",
        (0x07, _) => "connection lost",
        (0x08, _) => "service not supported",
        (0x09, _) => "invalid attribute value",
        (0x0A, _) => "attribute list error",
        (0x0B, _) => "already in requested mode",
        (0x0C, _) => "object state conflict",
        (0x0D, _) => "object already exists",
        (0x0E, _) => "attribute not settable",
        (0x0F, _) => "privilege violation",
        (0x10, _) => "device state conflict",
        (0x11, _) => "reply data too large",
        (0x12, _) => "fragmentation of a primitive value",
        (0x13, _) => "not enough data",
        (0x14, _) => "attribute not supported",
        (0x15, _) => "too much data",
        (0x16, _) => "object does not exist",
        (0x17, _) => "fragmentation not in progress",
        (0x18, _) => "no stored attribute data",
        (0x19, _) => "store operation failure",
        (0x1A, _) => "routing failure, request too large",
        (0x1B, _) => "routing failure, response too large",
        (0x1C, _) => "missing attribute list entry data",
        (0x1D, _) => "invalid attribute value list",
        (0x1E, _) => "embedded service error",
        (0x1F, _) => "vendor specific error",
        (0x20, _) => "invalid parameter",
        (0x21, _) => "write-once value already written",
        (0x22, _) => "invalid reply received",
        (0x25, _) => "key failure in path",
        (0x26, _) => "invalid path size",
        (0x27, _) => "unexpected attribute in list",
        (0x28, _) => "invalid member ID",
        (0x29, _) => "member not settable",
        (0xFF, 0x2104) => "offset past the end of the tag",
        (0xFF, 0x2105) => "elements past the end of the tag",
        (0xFF, 0x2107) => "type does not match the tag",
        (0xFF, _) => "general error",
        (_, _) => "an error without a name",
    }
}

/// The status of the encapsulation.
pub(super) fn encapsulation(status: u32) -> &'static str {
    match status {
        0x0001 => "invalid or unsupported command",
        0x0002 => "insufficient memory",
        0x0003 => "incorrect data",
        0x0064 => "invalid session handle",
        0x0065 => "invalid length",
        0x0069 => "unsupported protocol version",
        0x006A => "CIP service not allowed",
        _ => "an encapsulation error without a name",
    }
}

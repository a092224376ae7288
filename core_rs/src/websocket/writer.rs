//! Frames of the server: final, unmasked (RFC 6455 §5.1), with the shortest length encoding (§5.2).
use super::{MAX_CONTROL, code, opcode};

const FIN: u8 = 0x80;

/// Appends the header of an unfragmented frame with `length` bytes of payload: 2, 4 or 10 bytes.
pub fn write_header(opcode: u8, length: usize, out: &mut Vec<u8>) {
    out.push(FIN | opcode);
    if length <= MAX_CONTROL {
        out.push(length as u8);
    } else if let Ok(short) = u16::try_from(length) {
        out.push(126);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// Appends an unfragmented frame. The payload of a control frame is at most [`MAX_CONTROL`] bytes.
pub fn write_frame(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(10 + payload.len());
    write_header(opcode, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Appends a close frame (RFC 6455 §5.5.1).
///
/// `reason` is cut at a character to the 123 bytes that fit. Code 1005 stands for "no code" and gives an empty body
/// (§7.1.5), so that a peer's close can be echoed as it was reported.
pub fn write_close(code: u16, reason: &str, out: &mut Vec<u8>) {
    if code == code::NONE {
        return write_header(opcode::CLOSE, 0, out);
    }
    let mut end = reason.len().min(MAX_CONTROL - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    write_header(opcode::CLOSE, 2 + end, out);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&reason.as_bytes()[..end]);
}

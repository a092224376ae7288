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

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: usize) -> Vec<u8> {
        let mut out = Vec::new();
        write_header(opcode::BINARY, length, &mut out);
        out
    }

    fn close(code: u16, reason: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_close(code, reason, &mut out);
        out
    }

    #[test]
    fn test_rfc6455_5_2_lengths_are_in_their_shortest_form() {
        assert_eq!(header(0), [0x82, 0]);
        assert_eq!(header(125), [0x82, 125]);
        assert_eq!(header(126), [0x82, 126, 0, 126]);
        assert_eq!(header(65_535), [0x82, 126, 0xFF, 0xFF]);
        assert_eq!(header(65_536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn test_rfc6455_5_7_an_unmasked_text_message() {
        let mut out = b"before".to_vec();
        write_frame(opcode::TEXT, b"Hello", &mut out);
        assert_eq!(out, b"before\x81\x05Hello");
    }

    #[test]
    fn test_rfc6455_5_5_1_a_close_frame_carries_code_and_reason() {
        assert_eq!(close(1000, "bye"), b"\x88\x05\x03\xE8bye");
    }

    #[test]
    fn test_rfc6455_7_1_5_code_1005_does_not_travel() {
        assert_eq!(close(1005, "ignored"), [0x88, 0]);
    }

    #[test]
    fn test_rfc6455_5_5_a_long_reason_is_cut_at_a_character() {
        let frame = close(1011, &"é".repeat(100));
        assert_eq!(frame[1], 124);
        assert_eq!(std::str::from_utf8(&frame[4..]), Ok("é".repeat(61).as_str()));
    }
}

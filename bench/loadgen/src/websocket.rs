//! The client's half of RFC 6455, as much as a server without fragments and extensions needs.

/// Bytes before the payload of a server's frame, and of the payload; `None` until they are there. Server frames are
/// not masked (RFC 6455 §5.1).
pub(crate) fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let length = usize::from(*bytes.get(1)? & 0x7F);
    match length {
        126 => Some((4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)))),
        127 => Some((10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?)),
        _ => Some((2, length)),
    }
}

/// Appends a text frame, masked with `key` (§5.3).
pub(crate) fn write_text(payload: &[u8], key: [u8; 4], out: &mut Vec<u8>) {
    out.push(0x81);
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// The request that upgrades (§4.1).
pub(crate) fn request(host: &str, path: &str, subprotocol: Option<&str>) -> Vec<u8> {
    let protocol = subprotocol.map_or(String::new(), |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{protocol}\r\n"
    )
    .into_bytes()
}

/// Where the head of the response ends, once it is there; an error names a status other than 101.
pub(crate) fn response(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let line = head.lines().next().unwrap_or_default();
    if line.split(' ').nth(1) == Some("101") {
        Ok(Some(end + 4))
    } else {
        Err(format!("the handshake was answered with {line:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_rfc6455_5_7_a_masked_text_message() {
        let mut out = Vec::new();
        write_text(b"Hello", [0x37, 0xfa, 0x21, 0x3d], &mut out);
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn test_rfc6455_5_2_headers_of_each_length() {
        assert_eq!(header(&[0x81]), None);
        assert_eq!(header(&[0x81, 5]), Some((2, 5)));
        assert_eq!(header(&[0x81, 126, 1]), None);
        assert_eq!(header(&[0x81, 126, 1, 0]), Some((4, 256)));
        assert_eq!(header(&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Some((10, 65_536)));
    }

    #[test]
    fn only_101_opens_a_link() {
        assert_eq!(response(b"HTTP/1.1 101 Switching"), Ok(None));
        assert_eq!(response(b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\nrest"), Ok(Some(42)));
        assert!(response(b"HTTP/1.1 429 Too Many Requests\r\n\r\n").is_err());
    }
}

//! No message of a client makes the wire parser panic; it and serde_json agree on what JSON is; and what a typed frame
//! promises holds.
#![no_main]
use chiron_core::wire::{self, ClientFrame};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;

const MAX_INTEGER: u64 = (1 << 53) - 1;

fn is_json(message: &[u8]) -> bool {
    std::str::from_utf8(message).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// An object as it is spliced into other frames.
fn check_object(bytes: &[u8]) {
    assert!(bytes.starts_with(b"{") && bytes.ends_with(b"}"));
    assert!(is_json(bytes));
    // A number that a float cannot hold is JSON, but no `Value`.
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        assert!(!has_nul(&value));
    }
}

fuzz_target!(|message: &[u8]| {
    let frames = match wire::parse(message) {
        Ok(frames) => frames,
        Err(violation) => {
            assert!(violation.code == 1002 || !is_json(message), "{violation:?}");
            return;
        }
    };
    assert!(is_json(message) && frames.len() <= wire::MAX_FRAMES);
    for frame in &frames {
        match frame {
            ClientFrame::Publish { id, client_id, body, .. } => {
                assert!(*id <= MAX_INTEGER);
                assert!(
                    client_id.len() == 26 && client_id.bytes().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
                );
                check_object(body);
            }
            ClientFrame::Command { id, params, .. } => {
                assert!(*id <= MAX_INTEGER);
                check_object(params);
            }
            ClientFrame::Sync { after, before, .. } => assert!(after.is_some() != before.is_some()),
            _ => {}
        }
    }
});

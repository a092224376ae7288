//! No message of a client makes the wire parser panic, and it means the same when it is read again.
#![no_main]
use chiron_core::wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    let first = format!("{:?}", wire::parse(message));
    assert_eq!(first, format!("{:?}", wire::parse(message)));
});

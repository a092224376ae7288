//! No head makes its reader panic; what was read before changes nothing; and what is read keeps its promises.
#![no_main]
use chiron_core::http3::{Limits, Make, Reader};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { field_section_bytes: 4_096, header_fields: 20, target_bytes: 200 };

struct Octets;

impl Make for Octets {
    type Text = Vec<u8>;
    type Field = (Vec<u8>, Vec<u8>);

    fn text(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn name(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn field(&self, name: Vec<u8>, value: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        (name, value)
    }

    fn same_text(&self, text: &Vec<u8>) -> Vec<u8> {
        text.clone()
    }

    fn same_field(&self, field: &(Vec<u8>, Vec<u8>)) -> (Vec<u8>, Vec<u8>) {
        field.clone()
    }

    fn equal(&self, one: &Vec<u8>, other: &Vec<u8>) -> bool {
        one == other
    }
}

fuzz_target!(|input: (Vec<Vec<u8>>, bool)| {
    let (sections, whole) = input;
    let mut reader = Reader::new(&Octets, LIMITS);
    for section in &sections {
        // Most begins as a request does, or it would take long to find one that is any.
        let front: &[u8] = if whole { b"\0\0\xd1\xd7\xc1\x50\x01a" } else { b"" };
        let Ok(length @ ..0x4000) = u16::try_from(front.len() + section.len()) else { return };
        let data = [&[1], &(length | 0x4000).to_be_bytes()[..], front, section].concat();
        let head = reader.read(&Octets, &data);
        assert_eq!(head, Reader::new(&Octets, LIMITS).read(&Octets, &data), "what was kept");
        let Some(head) = head else { continue };
        assert!(head.path.len() <= LIMITS.target_bytes && head.fields.len() <= LIMITS.header_fields + 1);
        assert!(head.path.starts_with(b"/") || head.path == b"*" && head.method == b"OPTIONS");
        let hosts: Vec<_> = head.fields.iter().filter(|(name, _)| name == b"host").collect();
        assert!(hosts.len() == 1 && hosts[0].1 == head.authority);
        for (name, value) in &head.fields {
            assert!(!name.is_empty() && !name.contains(&b':') && !name.iter().any(u8::is_ascii_uppercase));
            assert!(!value.iter().any(|byte| matches!(byte, 0..=8 | 10..=31 | 127)));
        }
    }
});

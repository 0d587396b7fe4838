//! A packed body. The first byte says how it is packed; the bound must hold.

#![no_main]

use capigate::ingest::encoding::{Encoding, unpack};
use libfuzzer_sys::fuzz_target;

const MAX_BODY: usize = 64 * 1024;

fn encoding(bits: u8) -> Encoding {
    match bits & 3 {
        0 => Encoding::Gzip,
        1 => Encoding::Deflate,
        2 => Encoding::Brotli,
        _ => Encoding::Zstd,
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((how, packed)) = input.split_first() else {
        return;
    };
    let mut layers = vec![encoding(*how)];
    if how & 0x80 != 0 {
        layers.push(encoding(how >> 2));
    }
    let mut held = 0;
    let mut room = |bytes| {
        held += bytes;
        Ok(())
    };
    match unpack(packed, &layers, MAX_BODY, &mut room) {
        Ok(bytes) => assert!(bytes.len() <= MAX_BODY),
        Err(rejection) => assert!(rejection.status() >= 400),
    }
    assert!(held <= MAX_BODY * layers.len(), "{held} bytes held");
});

//! Hostile OpenAPI documents: they are read or refused, and never a panic, a hang or a full memory.
//!
//! Only the reader is built, and the bounds that it needs: the rest of the program would cost minutes.
#![no_main]
#![allow(dead_code, unused, unreachable_pub, reason = "the room is used for one function")]

#[path = "../../../src/base/bound/connector.rs"]
mod bounds;

mod base {
    pub mod bound {
        pub(crate) use crate::bounds as connector;
    }
}

#[path = "../../../src/openapi/mod.rs"]
mod openapi;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = openapi::read(bytes) {
        let text = serde_json::to_string(&document).unwrap();
        let again: openapi::Document = serde_json::from_str(&text).unwrap();
        assert_eq!(again, document);
    }
});

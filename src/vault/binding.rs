//! What a ciphertext is bound to: given as associated data, so that it opens in its own place only.

use super::DatabaseId;

/// The format of everything that the vault seals; the first byte of each sealed value.
pub(super) const FORMAT: u8 = 1;

/// One place for one ciphertext.
pub(super) struct Binding<'a> {
    pub(super) database_id: &'a DatabaseId,
    /// A table's name, or what stands for one where a value is not in the database.
    pub(super) table: &'a str,
    /// The row's key.
    pub(super) key: &'a [u8],
    pub(super) purpose: &'a str,
    pub(super) version: u32,
}

impl Binding<'_> {
    /// Format (1 byte), database id (16 bytes), table, key, purpose, version (u32 BE), each after its length.
    pub(super) fn bytes(&self) -> Vec<u8> {
        framed(&[
            &[FORMAT],
            self.database_id,
            self.table.as_bytes(),
            self.key,
            self.purpose.as_bytes(),
            &self.version.to_be_bytes(),
        ])
    }
}

/// The parts, each after its length in bytes as u64 BE: other parts never give the same bytes.
pub(super) fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn other_parts_never_give_the_same_bytes(one: Vec<Vec<u8>>, other: Vec<Vec<u8>>) {
            let framed = |parts: &[Vec<u8>]| framed(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(framed(&one) == framed(&other), one == other);
        }
    }

    #[test]
    fn a_byte_that_moves_to_the_next_part_makes_another_binding() {
        let binding = |table, key| Binding { database_id: &[1; 16], table, key, purpose: "backup", version: 1 }.bytes();
        assert_ne!(binding("ab", b"c"), binding("a", b"bc"));
    }
}

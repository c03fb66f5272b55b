//! Versioned records: a format byte, then bincode with a limit, and not a byte more.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use crate::base::bound;
use crate::base::secret::Secret;

/// Format 1: bincode 2.0.1, standard configuration (little endian, variable-length integers).
/// bincode is no longer developed; another codec would be format 2, without a flag day.
const FORMAT_BINCODE: u8 = 1;

/// `bincode` without a limit panics on a hostile length: every use has this one.
fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<{ bound::RECORD_BYTES_MAX }>()
}

/// A value that is stored: `TABLE` names it in errors.
pub trait Record: Serialize + DeserializeOwned {
    const TABLE: &'static str;
    /// The first byte. A record whose fields change takes another number, so that old bytes stay readable.
    const FORMAT: u8 = FORMAT_BINCODE;
}

pub fn encode<R: Record>(record: &R) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(bound::RECORD_BYTES_TYPICAL);
    bytes.push(R::FORMAT);
    bincode::serde::encode_into_std_write(record, &mut bytes, configuration()).map_err(|error| damaged::<R>(error))?;
    if bytes.len() > bound::RECORD_BYTES_MAX {
        return Err(damaged::<R>(format!(
            "{} bytes are more than the {} that a record may have",
            bytes.len(),
            bound::RECORD_BYTES_MAX
        )));
    }
    Ok(bytes)
}

/// As [`encode`], for records that hold keys: the bytes are measured first, so that the buffer never moves and leaves
/// nothing behind.
pub fn encode_secret<R: Record>(record: &R) -> Result<Secret, StoreError> {
    let mut length = Length(1);
    bincode::serde::encode_into_std_write(record, &mut length, configuration()).map_err(|error| damaged::<R>(error))?;
    let Length(length) = length;
    if length > bound::RECORD_BYTES_MAX {
        let limit = bound::RECORD_BYTES_MAX;
        return Err(damaged::<R>(format!("{length} bytes are more than the {limit} that a record may have")));
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(length));
    bytes.push(R::FORMAT);
    bincode::serde::encode_into_std_write(record, &mut *bytes, configuration()).map_err(|error| damaged::<R>(error))?;
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

/// Counts what is written.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, StoreError> {
    match bytes.split_first() {
        Some((format, body)) if *format == R::FORMAT => {
            let (record, consumed) =
                bincode::serde::decode_from_slice(body, configuration()).map_err(|error| damaged::<R>(error))?;
            if consumed != body.len() {
                return Err(damaged::<R>(format!("{} bytes are left over", body.len() - consumed)));
            }
            Ok(record)
        }
        Some((format, _)) => Err(damaged::<R>(format!("format {format} is not known, only {}", R::FORMAT))),
        None => Err(damaged::<R>("it is empty")),
    }
}

fn damaged<R: Record>(reason: impl std::fmt::Display) -> StoreError {
    StoreError::Record { table: R::TABLE, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        name: String,
        values: Vec<u64>,
        maybe: Option<bool>,
    }

    impl Record for Sample {
        const TABLE: &'static str = "sample";
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes(name: String, values: Vec<u64>, maybe: Option<bool>) {
            let record = Sample { name, values, maybe };
            let bytes = encode(&record).unwrap();
            prop_assert_eq!(encode_secret(&record).unwrap(), Secret::new(bytes.as_slice()));
            prop_assert_eq!(decode::<Sample>(&bytes).unwrap(), record);
        }

        #[test]
        fn hostile_bytes_are_an_error_and_never_a_panic(bytes: Vec<u8>) {
            let _any: Result<Sample, _> = decode(&bytes);
        }
    }

    #[test]
    fn a_byte_too_many_is_refused() {
        let mut bytes = encode(&Sample { name: "a".into(), values: vec![1], maybe: None }).unwrap();
        bytes.push(0);
        assert!(decode::<Sample>(&bytes).is_err());
    }

    #[test]
    fn a_length_of_exabytes_is_refused() {
        let mut bytes = vec![FORMAT_BINCODE, 253];
        bytes.extend(u64::MAX.to_le_bytes());
        assert!(decode::<Sample>(&bytes).is_err());
    }

    #[test]
    fn an_unknown_format_is_named() {
        let error = decode::<Sample>(&[9, 0]).unwrap_err();
        assert!(error.to_string().contains("format 9"), "{error}");
    }
}

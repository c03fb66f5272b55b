//! Versioned records: a format byte, then bincode with a limit, and not a byte more.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use crate::base::bound;

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
}

pub fn encode<R: Record>(record: &R) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![FORMAT_BINCODE];
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

pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, StoreError> {
    match bytes.split_first() {
        Some((&FORMAT_BINCODE, body)) => {
            let (record, consumed) =
                bincode::serde::decode_from_slice(body, configuration()).map_err(|error| damaged::<R>(error))?;
            if consumed != body.len() {
                return Err(damaged::<R>(format!("{} bytes are left over", body.len() - consumed)));
            }
            Ok(record)
        }
        Some((format, _)) => Err(damaged::<R>(format!("format {format} is not known, only {FORMAT_BINCODE}"))),
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
            prop_assert_eq!(decode::<Sample>(&encode(&record).unwrap()).unwrap(), record);
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

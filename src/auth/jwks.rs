//! Public keys of an authorization server, from a JWKS file (RFC 7517) that is read again when it changes, or from a URL.

pub(super) mod remote;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use crate::base::bound;
use crate::base::clock::Clock;

/// The keys of one file.
#[derive(Debug)]
pub(super) struct Jwks {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// Held while a small file is read, never across an await.
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    looked: Option<Duration>,
    /// Device, inode, length, and time of change in nanoseconds.
    file: Option<(u64, u64, u64, i128)>,
    keys: Arc<Vec<Key>>,
}

#[derive(Debug)]
struct Key {
    kid: String,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

/// Why a file gives no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum JwksError {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("a JWKS has at most {most} bytes, this one has {0}", most = bound::JWKS_BYTES_MAX)]
    TooLarge(u64),
    #[error("it is no JSON object with a list \"keys\"")]
    NoSet,
    #[error("a JWKS has at most {most} keys, this one {0}", most = bound::JWKS_KEYS_MAX)]
    TooMany(usize),
}

impl Jwks {
    pub(super) fn new(path: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { path, clock, read: Mutex::default() }
    }

    /// The key of this id and algorithm. Looks whether the file changed, at most every two seconds.
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> Option<DecodingKey> {
        choose(&self.keys(), kid, algorithm)
    }

    fn keys(&self) -> Arc<Vec<Key>> {
        let now = self.clock.monotonic();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |looked: Duration| now.saturating_sub(looked) < Duration::from_millis(bound::JWKS_LOOK_MS);
        if read.looked.is_some_and(fresh) {
            return Arc::clone(&read.keys);
        }
        let first = read.looked.replace(now).is_none();
        let file = fs::metadata(&self.path).ok().map(|metadata| {
            let changed = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
            (metadata.dev(), metadata.ino(), metadata.len(), changed)
        });
        if first || file != read.file {
            read.file = file;
            // A file that cannot be read vouches for nobody: whoever takes it away means that.
            read.keys = match load(&self.path) {
                Ok(keys) => Arc::new(keys),
                Err(error) => {
                    tracing::error!(path = %self.path.display(), %error, "auth.jwks_file gives no keys");
                    Arc::default()
                }
            };
        }
        Arc::clone(&read.keys)
    }
}

fn choose(keys: &[Key], kid: &str, algorithm: Algorithm) -> Option<DecodingKey> {
    keys.iter().find(|key| key.kid == kid && key.algorithm == algorithm).map(|key| key.decoding.clone())
}

fn load(path: &Path) -> Result<Vec<Key>, JwksError> {
    let length = fs::metadata(path)?.len();
    if length > bound::JWKS_BYTES_MAX {
        return Err(JwksError::TooLarge(length));
    }
    parse(&fs::read(path)?)
}

/// The keys that can check a signature; others of the set are passed over (RFC 7517, section 5).
fn parse(text: &[u8]) -> Result<Vec<Key>, JwksError> {
    let set: Value = serde_json::from_slice(text).map_err(|_| JwksError::NoSet)?;
    let keys = set["keys"].as_array().ok_or(JwksError::NoSet)?;
    if keys.len() > bound::JWKS_KEYS_MAX {
        return Err(JwksError::TooMany(keys.len()));
    }
    Ok(keys.iter().filter_map(usable).collect())
}

fn usable(key: &Value) -> Option<Key> {
    // By what it is, before anything is guessed: a secret ("oct") in a set of public keys is none of ours.
    let algorithm = match (key["kty"].as_str()?, key["crv"].as_str()) {
        ("RSA", None) => Algorithm::RS256,
        ("EC", Some("P-256")) => Algorithm::ES256,
        ("OKP", Some("Ed25519")) => Algorithm::EdDSA,
        _ => return None,
    };
    let name = match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::ES256 => "ES256",
        _ => "EdDSA",
    };
    if key["alg"].as_str().is_some_and(|declared| declared != name && !(declared == "Ed25519" && name == "EdDSA")) {
        return None;
    }
    let mut parameters = key.clone();
    // Checked above; the crate need not know the newer name.
    parameters.as_object_mut()?.remove("alg");
    let jwk: Jwk = serde_json::from_value(parameters).ok()?;
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let public = !matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_));
    let kid = jwk.common.key_id.clone().filter(|kid| !kid.is_empty())?;
    (signs && public).then_some(())?;
    Some(Key { kid, algorithm, decoding: DecodingKey::from_jwk(&jwk).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};

    const ED: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn names(keys: &[&str]) -> Vec<String> {
        let text = format!("{{\"keys\":[{}]}}", keys.join(","));
        parse(text.as_bytes()).unwrap().into_iter().map(|key| key.kid).collect()
    }

    #[test]
    fn only_public_keys_that_sign_are_taken() {
        assert_eq!(names(&[ED]), ["a"]);
        let check = |from: &str, to: &str| assert!(names(&[&ED.replacen(from, to, 1)]).is_empty(), "{to}");
        check("\"kid\":\"a\"", "\"kid\":\"\"");
        check("\"kid\":\"a\",", "");
        check("Ed25519", "X25519");
        check("\"kid\":\"a\"", "\"kid\":\"a\",\"use\":\"enc\"");
        check("\"kid\":\"a\"", "\"kid\":\"a\",\"alg\":\"HS256\"");
        assert_eq!(
            names(&[&ED.replacen("\"kid\":\"a\"", "\"kid\":\"a\",\"alg\":\"EdDSA\",\"use\":\"sig\"", 1)]),
            ["a"]
        );
        assert!(names(&[r#"{"kty":"oct","kid":"s","k":"c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I"}"#]).is_empty());
        assert_eq!(names(&[r#"{"kty":"new","kid":"n"}"#, "3", "null", ED]), ["a"]);
        assert!(parse(b"[]").is_err() && parse(b"{").is_err() && parse(b"{\"keys\":{}}").is_err());
        let many = vec![ED; bound::JWKS_KEYS_MAX + 1].join(",");
        assert!(matches!(parse(format!("{{\"keys\":[{many}]}}").as_bytes()), Err(JwksError::TooMany(65))));
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_not_at_every_look() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let write = |keys: &str| {
            let new = directory.path().join("new");
            fs::write(&new, format!("{{\"keys\":[{keys}]}}")).unwrap();
            fs::rename(new, &path).unwrap();
        };
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let jwks = Jwks::new(path.clone(), clock.clone());
        assert!(jwks.find("a", Algorithm::EdDSA).is_none(), "there is no file yet");
        write(ED);
        assert!(jwks.find("a", Algorithm::EdDSA).is_none(), "it was looked at a moment ago");
        let later = || clock.advance(Duration::from_millis(bound::JWKS_LOOK_MS));
        later();
        assert!(jwks.find("a", Algorithm::EdDSA).is_some());
        assert!(jwks.find("a", Algorithm::RS256).is_none() && jwks.find("b", Algorithm::EdDSA).is_none());
        write(&ED.replace("\"a\"", "\"b\""));
        later();
        assert!(jwks.find("a", Algorithm::EdDSA).is_none() && jwks.find("b", Algorithm::EdDSA).is_some());
        fs::remove_file(&path).unwrap();
        later();
        assert!(jwks.find("b", Algorithm::EdDSA).is_none());
    }
}

//! The secret canary of every test: what was typed as a secret is in no answer, no output of a command, and no file.
//!
//! [`crate::strongroom::told`] holds what it types, [`crate::harness`] looks at each answer and each output, and at all
//! files of the installation when the test is over: database, index, logs, checkpoints.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::strongroom::files_below;

/// Shorter ones are answers to questions, or words that stand anywhere.
const BYTES_MIN: usize = 12;

/// The secrets of one installation, shared with its servers.
#[derive(Clone, Default)]
pub(crate) struct Canary(Arc<Mutex<Vec<String>>>);

impl Canary {
    pub(crate) fn hold(&self, typed: &str) {
        let secret = typed.trim();
        let mut held = self.0.lock().unwrap();
        if secret.len() >= BYTES_MIN && !held.iter().any(|known| known == secret) {
            held.push(secret.to_owned());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }

    pub(crate) fn check(&self, what: &str, bytes: &[u8]) {
        for secret in &*self.0.lock().unwrap() {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "the secret {secret:?} is in {what}");
        }
    }

    /// A test that failed has said why already.
    pub(crate) fn check_files(&self, folder: &Path) {
        if std::thread::panicking() || self.0.lock().unwrap().is_empty() || !folder.exists() {
            return;
        }
        // The vault's own key is typed when an installation is carried elsewhere, and that file is where it lives.
        for path in files_below(folder).into_iter().filter(|path| !path.ends_with("vault-key")) {
            self.check(&path.display().to_string(), &std::fs::read(&path).unwrap_or_default());
        }
    }
}

//! All that the checks look at, gathered beforehand: no check opens a file, asks the clock or reads the database.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::advisory::{Crate, Database};
use crate::base::clock::Timestamp;
use crate::config::Config;
use crate::config::place::Places;
use crate::crypto::tls::certificate::Certificate;

/// The state of one installation at one moment.
#[derive(Clone, Debug)]
pub struct Facts {
    pub now: Timestamp,
    pub places: Places,
    pub config: Arc<Config>,
    pub machine: Machine,
    pub inside: Inside,
}

/// What the files and the kernel say.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// User id of the process that owns the data directory.
    pub user: u32,
    pub files: Vec<FileFact>,
    /// Lines of the configuration file, from 1, that hold what looks like a secret.
    pub secret_lines: Vec<usize>,
    /// What would be served over TLS; `None` where TLS is not configured.
    pub certificate: Option<Result<Certificate, String>>,
    /// The folder of the pair where `sekisho tls init` made it, or would.
    pub tls_directory: Option<PathBuf>,
    pub are_core_dumps_possible: bool,
    /// Whether systemd runs this machine.
    pub has_systemd: bool,
    pub units: Vec<Unit>,
    /// What opens the vault, or was kept to, and lies beside the database: the secret first.
    pub keys_beside: Vec<PathBuf>,
    /// Whose the data directory is: ids of its user and its group.
    pub owner: (u32, u32),
    /// Since when the database and the configuration are as they are; `None` where the file system does not say.
    pub since: Option<Timestamp>,
    /// The folder of scheduled backups; `None` where none is configured.
    pub backups: Option<Backups>,
    pub checkpoints: Checkpoints,
    /// Of the disk with the data directory; `None` where it does not say.
    pub disk: Option<Disk>,
    pub advisories: Advisories,
    /// The crates that this program was built from.
    pub crates: Vec<Crate>,
}

/// A file, and who may do what with it.
#[derive(Clone, Debug)]
pub struct FileFact {
    pub what: What,
    pub path: PathBuf,
    /// The lower 12 bits.
    pub mode: u32,
    pub owner: u32,
    pub is_directory: bool,
}

/// What a file is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    DataDirectory,
    Database,
    VaultKey,
    Token,
    TlsKey,
    Certificate,
    Configuration,
    Policies,
    Logs,
    ControlSocket,
    HttpSocket,
    Backups,
    Checkpoints,
}

/// A unit of systemd, with its drop-ins.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    pub path: PathBuf,
    /// Directives of the section `[Service]`, in order; a later one is in force.
    pub directives: Vec<(String, String)>,
    /// The user's own manager runs it, so it has no `User=`.
    pub is_of_user: bool,
}

impl Unit {
    /// The value in force; an empty one resets it.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.directives.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// What `Environment=` sets, in order, without the variables of files; an empty one resets all before it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        for (_, value) in self.directives.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Environment")) {
            if value.is_empty() {
                variables.clear();
            }
            let words = unquoted(value);
            variables.extend(words.iter().filter_map(|word| word.split_once('=')).map(|(name, value)| {
                // systemd.unit(5): a percent sign of its own is written twice. Specifiers stay as they are.
                (name.to_owned(), value.replace("%%", "%"))
            }));
        }
        variables
    }
}

/// The words of a directive; quotes hold words together (systemd.syntax(7)).
fn unquoted(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', _) => word.extend(characters.next()),
            (character, Some(open)) if character == open => quote = None,
            ('"' | '\'', None) => quote = Some(character),
            (character, None) if character.is_whitespace() => words.push(std::mem::take(&mut word)),
            (character, _) => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Scheduled backups, as they lie in their folder.
#[derive(Clone, Debug)]
pub struct Backups {
    pub directory: PathBuf,
    /// Why the folder could not be read.
    pub error: Option<String>,
    pub newest: Option<(Timestamp, PathBuf)>,
    /// One whose name says that it is not made yet.
    pub future: Option<PathBuf>,
    pub is_on_same_disk: bool,
    /// Of their own disk; `None` where it does not say.
    pub disk: Option<Disk>,
}

/// Where signed checkpoints go.
#[derive(Clone, Debug, Default)]
pub struct Checkpoints {
    pub file: PathBuf,
    pub is_on_same_disk: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// The database of advisories.
#[derive(Clone, Debug, Default)]
pub enum Advisories {
    #[default]
    Missing,
    /// It is there and cannot be used, with the reason.
    Broken(String),
    There(Arc<Database>),
}

/// What the database says.
#[derive(Clone, Debug, Default)]
pub struct Inside {
    pub tokens: Vec<Token>,
    pub accounts: Vec<Account>,
    /// Data keys in use; `None` while the vault is sealed.
    pub keys: Option<Vec<KeyAge>>,
    /// What is wrong with the audit log, as seen from outside of the file.
    pub alarm: Option<String>,
    /// The policies in the folder that do not come into force, and why.
    pub policy_error: Option<String>,
    /// The last time that the whole audit log was verified.
    pub audit: Option<Verification>,
    /// The last time that a scheduled backup was opened and checked.
    pub backup: Option<Verification>,
}

/// An API key or a JWT.
#[derive(Clone, Debug)]
pub struct Token {
    pub kind: &'static str,
    /// What it is revoked by.
    pub id: String,
    pub name: String,
    pub role: String,
    pub made: Timestamp,
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
    pub is_revoked: bool,
    /// It is the one in the file `http-token`.
    pub is_of_file: bool,
}

#[derive(Clone, Debug)]
pub struct Account {
    pub name: String,
    pub role: String,
    pub is_disabled: bool,
    pub made: Timestamp,
    pub last_used: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct KeyAge {
    pub purpose: String,
    pub version: u32,
    pub made: Timestamp,
    /// A rotation by age leaves it, for its old versions have to stay.
    pub keeps_versions: bool,
}

/// Something was checked as a whole.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Verification {
    pub at: Timestamp,
    /// What was checked, such as the file.
    pub what: String,
    /// Why it is not sound.
    pub fault: Option<String>,
}

impl Facts {
    /// How long ago `then` was.
    pub fn age(&self, then: Timestamp) -> Duration {
        self.now.since(then)
    }
}

/// Whole days, for people.
pub(super) fn days(span: Duration) -> u64 {
    span.as_secs() / 86_400
}

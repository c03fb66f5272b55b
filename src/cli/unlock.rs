//! Finds the secret that opens the vault: systemd's credential, the key file, a person, the environment.

use std::io::{self, IsTerminal as _};

use super::exit::Failure;
use super::{Context, print, secret};
use crate::config::Config;
use crate::config::place::Places;
use crate::custody::Found;
use crate::vault::key_file;
use crate::vault::source::{self, Origin};

/// Where a secret may be, in order; a person is asked only where `ask`.
pub(super) fn find(context: &Context, places: &Places, config: &Config, ask: bool) -> Result<Option<Found>, Failure> {
    // Where the vault has a passphrase there is none.
    let usual = config.vault.key_file.clone().unwrap_or_else(|| places.vault_key());
    if !usual.exists()
        && context.environment.credentials_directory.is_none()
        && let Some(secret) = key_file::drafted(&usual).map_err(Failure::not_allowed)?
    {
        // A change that was killed before the file had its name; the start that opens the vault gives it.
        return Ok(Some(Found {
            secret,
            from: format!("the draft of the key file {}", usual.display()),
            key_file: None,
        }));
    }
    let key_file = Some(usual).filter(|path| path.exists());
    let sources = source::Places {
        credentials_directory: context.environment.credentials_directory.as_deref(),
        key_file: key_file.as_deref(),
        variable: context.environment.vault_secret.as_ref(),
    };
    let asked = ask && context.environment.vault_secret.is_none() && io::stdin().is_terminal();
    let prompt = || {
        if !asked {
            return Ok(None);
        }
        secret::read("Passphrase of the vault: ").map(Some).map_err(|failure| io::Error::other(failure.to_string()))
    };
    let found = source::find(sources, prompt).map_err(Failure::not_allowed)?;
    Ok(found.map(|found| {
        if let Some(warning) = &found.warning {
            print::error_line(&format!("Warning: {warning}."));
        }
        let from = match &found.from {
            Origin::SystemdCredential(_) => "a systemd credential".to_owned(),
            Origin::KeyFile(path) => format!("the key file {}", path.display()),
            Origin::Prompt => "a typed passphrase".to_owned(),
            Origin::Environment => "the environment".to_owned(),
        };
        let key_file = match found.from {
            Origin::KeyFile(path) => Some(path),
            _ => None,
        };
        Found { secret: found.secret, from, key_file }
    }))
}

//! Reads secrets: hidden from a terminal, or from standard input; never from the command line.

use std::io::{self, IsTerminal as _, Read as _};

use super::exit::Failure;
use super::print;
use crate::base::bound;
use crate::base::secret::Secret;

/// Asks a person, or reads standard input to its end where nobody sits there. One final newline is no part of it.
pub(super) fn read(prompt: &str) -> Result<Secret, Failure> {
    let secret = if io::stdin().is_terminal() { ask(prompt)? } else { read_all()? };
    if secret.is_empty() {
        return Err(Failure::usage("expected a secret, found nothing; type it, or give it on standard input"));
    }
    Ok(secret)
}

/// As [`read`], for a new secret: a person types it twice.
pub(super) fn read_new(prompt: &str) -> Result<Secret, Failure> {
    let secret = read(prompt)?;
    if io::stdin().is_terminal() && ask("The same again: ")? != secret {
        return Err(Failure::usage("the two are not the same; nothing was changed"));
    }
    Ok(secret)
}

/// As [`read_new`], for a passphrase: one that can be guessed protects nothing.
pub(super) fn read_new_passphrase() -> Result<Secret, Failure> {
    let secret = read_new("New passphrase: ")?;
    let chars = String::from_utf8_lossy(secret.expose_secret()).chars().count();
    if chars < bound::PASSPHRASE_CHARS_MIN {
        let least = bound::PASSPHRASE_CHARS_MIN;
        return Err(Failure::usage(format!(
            "a passphrase has at least {least} characters, this one {chars}; several words make a good one"
        )));
    }
    Ok(secret)
}

/// The text of a secret, for a JSON argument over the control socket.
pub(super) fn text(secret: &Secret) -> Result<&str, Failure> {
    std::str::from_utf8(secret.expose_secret())
        .map_err(|_| Failure::usage("the secret is not UTF-8 text; encode it, for example as base64"))
}

fn ask(prompt: &str) -> Result<Secret, Failure> {
    // The library writes the prompt to the terminal itself, so that it is seen where output is redirected.
    rpassword::prompt_password(prompt).map(Secret::new).map_err(|error| {
        print::error_line("");
        Failure::usage(format!("no secret could be read from the terminal: {error}"))
    })
}

fn read_all() -> Result<Secret, Failure> {
    let most = bound::SECRET_INPUT_BYTES_MAX;
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(most + 1));
    io::stdin().lock().take(most as u64 + 1).read_to_end(&mut bytes).map_err(Failure::internal)?;
    if bytes.len() > most {
        return Err(Failure::usage(format!("the secret on standard input has more than {most} bytes")));
    }
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(Secret::new(text.strip_suffix(b"\r").unwrap_or(text)))
}

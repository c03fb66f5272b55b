//! A line of personal.jsonl: what was disclosed of one entry.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::Stop;
use crate::audit::entry::Personal;
use crate::audit::render::jsonl;

/// What is absent is left out.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sequence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arguments: Option<String>,
}

/// Writes the line of an entry, with its end.
pub(super) fn write(sequence: u64, personal: Personal, out: &mut impl Write) -> io::Result<()> {
    let Personal { principal, peer, user_agent, arguments } = personal;
    jsonl::write(&Line { sequence, principal, peer, user_agent, arguments }, out)
}

/// Reads a line without its end: only the spelling that [`write`] has, so that there is one file for what it says.
pub(super) fn read(line: &[u8]) -> Result<(u64, Personal), Stop> {
    let tampered = |found: String| Stop::tampered(None, "a line of personal.jsonl as Sekisho writes it", found);
    let Line { sequence, principal, peer, user_agent, arguments } =
        serde_json::from_slice(line).map_err(|error| tampered(error.to_string()))?;
    let personal = Personal { principal, peer, user_agent, arguments };
    let mut written = Vec::with_capacity(line.len() + 1);
    write(sequence, personal.clone(), &mut written).map_err(Stop::Read)?;
    if written.split_last() != Some((&b'\n', line)) {
        return Err(tampered(format!("another spelling of entry {sequence}")));
    }
    Ok((sequence, personal))
}

//! Writes to the terminal: colours where they are seen, and a closed pipe is an end, not a failure.

use std::io::{self, IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::Context;
use super::exit::Failure;

pub(super) const TITLE: Style = Style::new().bold();
pub(super) const FAINT: Style = Style::new().dimmed();
pub(super) const MATCH: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();

/// A line on standard output. Colours are dropped where it is no terminal, or `NO_COLOR` is set.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    done(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// A result: as it came where JSON is wanted, else as people read it.
pub(super) fn tell(
    context: &Context,
    result: &Value,
    for_people: impl FnOnce() -> Result<(), Failure>,
) -> Result<u8, Failure> {
    if context.json {
        line(&result.to_string())?;
    } else {
        for_people()?;
    }
    Ok(0)
}

pub(super) fn bytes(bytes: &[u8]) -> Result<u8, Failure> {
    let mut out = io::stdout().lock();
    done(out.write_all(bytes).and_then(|()| out.flush()))?;
    Ok(0)
}

/// A line on standard error, for people: notices, progress, failures.
pub(super) fn error_line(text: &str) {
    // Where even this cannot be written, nothing can be told.
    writeln!(anstream::stderr().lock(), "{text}").ok();
}

pub(super) fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Whether somebody watches standard error, so that a progress bar makes sense.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Text from documents as a terminal may see it: no controls but newlines and tabs.
pub(super) fn harmless(text: &str) -> String {
    text.chars().filter(|char| !char.is_control() || matches!(char, '\n' | '\t')).collect()
}

/// As [`harmless`], in one line: a name or a reason that could else make up lines of a report.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|char| if matches!(char, '\n' | '\t') { ' ' } else { char })
        .filter(|char| !char.is_control())
        .collect()
}

fn done(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Ok(()) => Ok(()),
        // `sekisho ... | head`: whoever read has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::quiet()),
        Err(error) => Err(Failure::internal(format!("standard output: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_several_lines_is_shown_in_one() {
        assert_eq!(one_line("b\nx: 99 documents\t.md\r\u{1b}[2K"), "b x: 99 documents .md[2K");
    }
}

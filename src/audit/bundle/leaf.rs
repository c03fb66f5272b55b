//! A line of leaves.jsonl: `{"sequence":N,"leaf":"BASE64"}`, and only in this spelling.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What ends a line, before its LF.
const END: &str = "\"}";

/// What begins the line of a leaf.
fn start(sequence: u64) -> String {
    format!("{{\"sequence\":{sequence},\"leaf\":\"")
}

/// Writes the line of a leaf, with its end.
pub(super) fn write(sequence: u64, leaf: &[u8], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}{}{END}", start(sequence), STANDARD.encode(leaf))
}

/// The leaf in a line that has no end any more; `None` unless it is exactly the line of this sequence.
pub(super) fn read(sequence: u64, line: &[u8]) -> Option<Vec<u8>> {
    let text = line.strip_prefix(start(sequence).as_bytes())?.strip_suffix(END.as_bytes())?;
    // Canonical base64 only: with padding, without bits that say nothing.
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_line_of_a_leaf() {
        let mut line = Vec::new();
        write(7, b"\x02abc", &mut line).unwrap();
        assert_eq!(line, b"{\"sequence\":7,\"leaf\":\"AmFiYw==\"}\n");
    }

    #[test]
    fn another_spelling_is_no_line() {
        let good = br#"{"sequence":7,"leaf":"AmFiYw=="}"#;
        assert_eq!(read(7, good).as_deref(), Some(&b"\x02abc"[..]));
        assert_eq!(read(8, good), None);
        for line in [
            &br#"{"sequence":07,"leaf":"AmFiYw=="}"#[..],
            br#"{"sequence":7, "leaf":"AmFiYw=="}"#,
            br#"{"sequence":7,"leaf":"AmFiYw"}"#,
            br#"{"sequence":7,"leaf":"AmFiYx=="}"#,
            br#"{"sequence":7,"leaf":"AmFi Yw=="}"#,
            br#"{"sequence":7,"leaf":"AmFiYw=="}}"#,
            br#"{"leaf":"AmFiYw==","sequence":7}"#,
            b"",
        ] {
            assert_eq!(read(7, line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(sequence: u64, leaf: Vec<u8>) {
            let mut line = Vec::new();
            write(sequence, &leaf, &mut line).unwrap();
            prop_assert_eq!(line.pop(), Some(b'\n'));
            prop_assert_eq!(read(sequence, &line), Some(leaf));
        }

        #[test]
        fn a_line_that_is_read_is_the_one_that_is_written(sequence: u8, text in "[{}\":,a-zA-Z0-9+/=]{0,40}") {
            let line = format!("{}{text}{END}", start(sequence.into()));
            if let Some(leaf) = read(sequence.into(), line.as_bytes()) {
                let mut written = Vec::new();
                write(sequence.into(), &leaf, &mut written).unwrap();
                prop_assert_eq!(written, format!("{line}\n").into_bytes());
            }
        }
    }
}

//! `.env` files: names and values, read strictly, for what is read wrongly here fails elsewhere and later.
//!
//! One `NAME=VALUE` each, `export ` before it and blanks around `=` allowed; blank lines and lines that start with `#`
//! are passed over. A value is
//! - bare: to the end of the line or a `#` after a blank, without blanks at its ends; quotes in it are refused;
//! - in single quotes: as it stands, over several lines if need be;
//! - in double quotes: likewise, with `\n`, `\r`, `\t`, `\\`, `\"`, `\'` and `\$`; other escapes are refused.
//!
//! Nothing is substituted: `$` stands for itself, and `${`, which other readers replace, is refused outside of single
//! quotes. Line ends within quotes become `\n`. A name that comes twice is refused.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::credential::CredentialName;
use crate::base::bound;
use crate::base::secret::Secret;

/// Where a `.env` text is wrong. Never says a value, and a name only if it is one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("a .env file has at most {most} bytes, this one {0}", most = bound::IMPORT_BYTES_MAX)]
    TooLarge(usize),
    #[error("a .env file has at most {most} values; line {0} has one more", most = bound::CREDENTIALS_MAX)]
    TooMany(usize),
    #[error("line {line}: expected {expected}")]
    Line { line: usize, expected: &'static str },
    #[error("line {line}: {name} has a value already, in line {first}; remove one of them")]
    Twice { line: usize, first: usize, name: String },
}

/// The values in the order of the text. The first error ends it: nothing is imported by halves.
pub fn parse(text: &Secret) -> Result<Vec<(CredentialName, Secret)>, ImportError> {
    let bytes = text.expose_secret();
    if bytes.len() > bound::IMPORT_BYTES_MAX {
        return Err(ImportError::TooLarge(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok());
        ImportError::Line { line: 1 + before.map_or(0, newlines), expected: "UTF-8" }
    })?;
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let mut lines: BTreeMap<CredentialName, usize> = BTreeMap::new();
    let mut values = Vec::new();
    while reader.skip_to_entry() {
        let line = reader.line;
        let name = reader.name()?;
        let value = reader.value()?;
        if value.is_empty() {
            return Err(ImportError::Line { line, expected: "a value; put one that starts with # into quotes" });
        }
        if value.expose_secret().len() > bound::CREDENTIAL_VALUE_BYTES_MAX {
            return Err(ImportError::Line { line, expected: "a value of at most 64 KiB" });
        }
        if let Some(first) = lines.insert(name.clone(), line) {
            return Err(ImportError::Twice { line, first, name: name.as_str().to_owned() });
        }
        values.push((name, value));
        if values.len() as u64 > bound::CREDENTIALS_MAX {
            return Err(ImportError::TooMany(line));
        }
    }
    Ok(values)
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

/// What is left of the text, and which line it begins in.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    /// Passes over blanks and comments; false at the end.
    fn skip_to_entry(&mut self) -> bool {
        loop {
            self.take(self.rest.len() - self.rest.trim_start().len());
            match self.rest.bytes().next() {
                None => return false,
                Some(b'#') => drop(self.take_line()),
                Some(_) => return true,
            }
        }
    }

    /// A name with the `=` and the blanks after it.
    fn name(&mut self) -> Result<CredentialName, ImportError> {
        if let Some(after) = self.rest.strip_prefix("export").filter(|after| after.starts_with([' ', '\t'])) {
            self.rest = after;
        }
        let expected = |expected| ImportError::Line { line: self.line, expected };
        let (name, after) = self
            .rest
            .split_once('=')
            .filter(|(name, _)| !name.contains('\n'))
            .ok_or(expected("NAME=VALUE, or a closing quote before this line"))?;
        let name = CredentialName::parse(name.trim())
            .map_err(|_| expected("a name of 1 to 64 letters, digits, dots, dashes and underscores before ="))?;
        self.rest = after.trim_start_matches([' ', '\t']);
        Ok(name)
    }

    fn value(&mut self) -> Result<Secret, ImportError> {
        match self.rest.bytes().next() {
            Some(b'\'') => self.single_quoted(),
            Some(b'"') => self.double_quoted(),
            _ => self.bare(),
        }
    }

    fn bare(&mut self) -> Result<Secret, ImportError> {
        let line = self.line;
        let text = self.take_line();
        let mut before = ' ';
        let comment = text.char_indices().find_map(|(at, char)| {
            let begins = char == '#' && before.is_whitespace();
            before = char;
            begins.then_some(at)
        });
        let value = comment.and_then(|at| text.get(..at)).unwrap_or(text).trim();
        if value.contains(['"', '\'']) {
            return Err(ImportError::Line {
                line,
                expected: "no quote within a bare value: put all of it into quotes",
            });
        }
        if value.contains("${") {
            return Err(ImportError::Line { line, expected: VARIABLE });
        }
        Ok(Secret::new(value))
    }

    fn single_quoted(&mut self) -> Result<Secret, ImportError> {
        let unclosed = ImportError::Line { line: self.line, expected: "a closing ' for the quote in this line" };
        self.take(1);
        let end = self.rest.find('\'').ok_or(unclosed)?;
        let text = self.take(end);
        self.take(1);
        let mut value = Zeroizing::new(Vec::with_capacity(text.len()));
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            if !(byte == b'\r' && bytes.peek() == Some(&b'\n')) {
                value.push(byte);
            }
        }
        self.nothing_more()?;
        Ok(Secret::new(std::mem::take(&mut *value)))
    }

    fn double_quoted(&mut self) -> Result<Secret, ImportError> {
        let start = self.line;
        self.take(1);
        let mut value = Zeroizing::new(Vec::with_capacity(self.rest.len().min(2 * bound::CREDENTIAL_VALUE_BYTES_MAX)));
        let mut line = start;
        let mut bytes = self.rest.bytes().enumerate().peekable();
        while let Some((at, byte)) = bytes.next() {
            // More than a value may have is refused soon, and the buffer must not move.
            if value.len() > bound::CREDENTIAL_VALUE_BYTES_MAX {
                break;
            }
            let next = bytes.peek().map(|(_, byte)| *byte);
            match (byte, next) {
                (b'"', _) => {
                    self.take(at + 1);
                    self.nothing_more()?;
                    return Ok(Secret::new(std::mem::take(&mut *value)));
                }
                (b'\\', Some(escaped)) => {
                    bytes.next();
                    value.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'\\' | b'"' | b'\'' | b'$' => escaped,
                        _ => {
                            let expected = r#"one of \n \r \t \\ \" \' \$ after a backslash, or single quotes"#;
                            return Err(ImportError::Line { line, expected });
                        }
                    });
                }
                (b'$', Some(b'{')) => return Err(ImportError::Line { line, expected: VARIABLE }),
                (b'\r', Some(b'\n')) => {}
                (byte, _) => {
                    line += usize::from(byte == b'\n');
                    value.push(byte);
                }
            }
        }
        Err(ImportError::Line { line: start, expected: "a closing \" for the quote in this line, within 64 KiB" })
    }

    /// Behind a quoted value only a comment may stand.
    fn nothing_more(&mut self) -> Result<(), ImportError> {
        let line = self.line;
        let text = self.take_line();
        let comment = text.trim_start();
        if comment.is_empty() || comment.len() < text.len() && comment.starts_with('#') {
            return Ok(());
        }
        Err(ImportError::Line { line, expected: "nothing but a comment after the closing quote" })
    }

    /// The rest of this line, without its end.
    fn take_line(&mut self) -> &'a str {
        let line = self.take(self.rest.find('\n').map_or(self.rest.len(), |at| at + 1));
        line.trim_end_matches(['\n', '\r'])
    }

    /// The next bytes, which end at a character.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += newlines(taken);
        self.rest = rest;
        taken
    }
}

const VARIABLE: &str = "no ${...}: variables are not replaced here; use single quotes if it is part of the value";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, String)>, ImportError> {
        let string = |secret: Secret| String::from_utf8(secret.expose_secret().to_vec()).unwrap();
        let values = parse(&Secret::new(text))?;
        Ok(values.into_iter().map(|(name, value)| (name.as_str().to_owned(), string(value))).collect())
    }

    #[test]
    fn a_value_is_read_as_other_readers_do() {
        let check = |text: &str, expect: &str| {
            let expect = vec![("A".to_owned(), expect.to_owned())];
            assert_eq!(parsed(text), Ok(expect.clone()), "{text:?}");
            assert_eq!(parsed(&format!("\u{feff}# first\r\n\r\n\texport \t{text}\r\n#last")), Ok(expect), "{text:?}");
        };
        check("A=b", "b");
        check("A = b c ", "b c");
        check("A=b # comment", "b");
        check("A=b#c", "b#c");
        check("A=p$word\\n", "p$word\\n");
        check("A=b=c==", "b=c==");
        check("A='b \"c\" ${d} \\n # e'", "b \"c\" ${d} \\n # e");
        check("A='b'   # comment", "b");
        check("A='-----\r\nkey\r\n-----'", "-----\nkey\n-----");
        check(r#"A="b\n\r\t\\\"\'\$c""#, "b\n\r\t\\\"'$c");
        check("A=\"b\r\nc # d\"", "b\nc # d");
        check("A=\" b \"", " b ");
        check("A=関所", "関所");
        check("A=\"関所\"", "関所");
    }

    #[test]
    fn several_values_keep_their_order() {
        let expect = [("B.x-1", "1"), ("A", "2"), ("_", "3")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(parsed("B.x-1=1\nexport A='2'\n\n_=\"3\""), Ok(expect.to_vec()));
        assert_eq!(parsed("\n# nothing\n"), Ok(Vec::new()));
    }

    #[test]
    fn an_error_has_its_line_and_no_value() {
        let check = |text: &str, line: usize, about: &str| {
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {line}: ")) && error.contains(about), "{text:?}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        };
        check("A=1\nhunter2\nB=3", 2, "NAME=VALUE");
        check("A=1\n\nB hunter2=2", 3, "a name");
        check("=hunter2", 1, "a name");
        check("A=", 1, "a value");
        check("A=#hunter2", 1, "a value");
        check("A=\nB=2", 1, "a value");
        check("A=''", 1, "a value");
        check("A=\"1\n2\"\nB='hunter2", 3, "closing '");
        check("A=\"1\n2\"\nB=\"hunter2\n\n", 3, "closing \"");
        check("A=\"1\nhunter2\\x\"", 2, "backslash");
        check("A=\"hunter2\\", 1, "closing");
        check("A=\"1\" hunter2", 1, "nothing but a comment");
        check("A='1'hunter2", 1, "nothing but a comment");
        check("A='1'#hunter2", 1, "nothing but a comment");
        check("A=hunter2\"3\"", 1, "no quote");
        check("A=${hunter2}", 1, "not replaced");
        check("A=1\nB=\"\n${hunter2}\"", 3, "not replaced");
        check("A=1\nB=2\nA=hunter2", 3, "in line 1");
        check(&format!("A=1\nB={}", "hunter2".repeat(10_000)), 2, "64 KiB");
        check(&format!("A=1\nB=\"{}\"", "hunter2".repeat(10_000)), 2, "64 KiB");
        let error = parse(&Secret::new(b"A=1\nB=\xff".as_slice())).unwrap_err();
        assert_eq!(error, ImportError::Line { line: 2, expected: "UTF-8" });
    }

    #[test]
    fn too_much_is_refused() {
        let large = "#".repeat(bound::IMPORT_BYTES_MAX + 1);
        assert_eq!(parsed(&large), Err(ImportError::TooLarge(bound::IMPORT_BYTES_MAX + 1)));
        let many: String = (0..=bound::CREDENTIALS_MAX).map(|number| format!("A{number}=1\n")).collect();
        assert_eq!(parsed(&many), Err(ImportError::TooMany(1001)));
    }

    proptest! {
        #[test]
        fn any_text_survives_in_double_quotes(values in prop::collection::vec("[^\r]{1,40}", 1..8)) {
            let text: String = (0..).zip(&values).map(|(number, value): (u32, &String)| {
                let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
                format!("A{number}=\"{escaped}\"\n")
            }).collect();
            let read: Vec<String> = parsed(&text).unwrap().into_iter().map(|(_, value)| value).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn hostile_text_is_read_or_refused_and_never_a_panic(bytes: Vec<u8>, text in "([AB =#'\"\\\\\n\r\t$\\{関]|export ){0,40}") {
            let _any = parse(&Secret::new(bytes));
            let _any = parse(&Secret::new(text));
        }
    }
}

//! The small part of JSX that stands in MDX prose: tags, comments, and where an `import` or `export` ends.

use crate::base::bound::{JSX_STATEMENT_BYTES_MAX, JSX_TAG_BYTES_MAX};

/// A JSX tag: `<Tab label="x">`, `</Tab>`, `<Image />`, `<>`.
#[derive(Debug, PartialEq)]
pub(super) struct Tag<'a> {
    /// Bytes of the tag.
    pub(super) len: usize,
    /// Empty for a fragment.
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    /// Values as written, without quotes or braces.
    attributes: Vec<(&'a str, &'a str)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Close,
    Alone,
}

/// What was read, or how many bytes were read in vain.
pub(super) type Found<T> = Result<T, usize>;

impl<'a> Tag<'a> {
    #[must_use]
    pub(super) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(it, _)| *it == name).map(|(_, value)| *value)
    }

    /// Reads a component's tag at the start of `source`: its name starts with a capital, or there is none.
    ///
    /// # Errors
    /// With the bytes read, when there is no such tag.
    pub(super) fn read(source: &'a str) -> Found<Tag<'a>> {
        let mut cursor = Cursor { source: bounded(source, JSX_TAG_BYTES_MAX), at: 0 };
        cursor.tag().ok_or(cursor.at.max(1))
    }
}

/// Reads `{/* text */}` at the start of `source`: its length and the text.
///
/// # Errors
/// With the bytes read, when there is no comment.
pub(super) fn comment(source: &str) -> Found<(usize, &str)> {
    let source = bounded(source, JSX_TAG_BYTES_MAX);
    let Some(rest) = source.strip_prefix("{/*") else {
        return Err(1);
    };
    let Some((text, after)) = rest.split_once("*/") else {
        return Err(source.len());
    };
    let Some(after) = after.trim_start().strip_prefix('}') else {
        return Err(text.len() + 5);
    };
    Ok((source.len() - after.len(), text.trim()))
}

/// The length of the `import` or `export` statement at the start of `source`, with its line end.
///
/// # Errors
/// With the bytes read, when there is none.
pub(super) fn statement(source: &str) -> Found<usize> {
    if !starts_statement(source) {
        return Err(1);
    }
    let mut cursor = Cursor { source: bounded(source, JSX_STATEMENT_BYTES_MAX), at: 0 };
    let is_import = source.starts_with("import");
    let mut depth = 0_usize;
    let mut has_source = false;
    while let Some(byte) = cursor.peek() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => match depth.checked_sub(1) {
                Some(it) => depth = it,
                None => return Err(cursor.at),
            },
            b'"' | b'\'' | b'`' => {
                has_source = true;
                cursor.string();
                continue;
            }
            b'/' if cursor.rest().starts_with("//") => {
                cursor.at += cursor.rest().find('\n').unwrap_or(cursor.rest().len());
                continue;
            }
            b'/' if cursor.rest().starts_with("/*") => {
                cursor.at += cursor.rest().find("*/").map_or(cursor.rest().len(), |it| it + 2);
                continue;
            }
            b'\n' if depth == 0 => {
                let so_far = cursor.source.get(..cursor.at).unwrap_or_default().trim_end();
                let goes_on = !cursor.rest().starts_with("\n\n")
                    && (so_far.ends_with(['=', ',', '(', '?', ':', '&', '|', '+'])
                        || so_far.ends_with("=>")
                        || so_far.ends_with(" from")
                        || cursor.rest().trim_start().starts_with(['.', '?', ':']) && !is_import);
                if !goes_on {
                    let is_complete = has_source || !is_import;
                    return if is_complete { Ok(cursor.at + 1) } else { Err(cursor.at) };
                }
            }
            _ => {}
        }
        cursor.at += 1;
    }
    let is_whole = cursor.source.len() == source.len() && depth == 0 && (has_source || !is_import);
    if is_whole { Ok(source.len()) } else { Err(cursor.at) }
}

/// Whether a line is JavaScript rather than a sentence that starts with the word "import".
fn starts_statement(source: &str) -> bool {
    let line = source.split('\n').next().unwrap_or_default();
    if let Some(rest) = line.strip_prefix("import") {
        let Some(rest) = rest.strip_prefix([' ', '{', '"', '\'', '*']).map(|_| rest.trim_start()) else {
            return false;
        };
        let is_named = rest.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$'))
            && (line.contains(" from ") || line.trim_end().ends_with([',', '{']) || line.trim_end().ends_with(" from"));
        return rest.starts_with(['{', '"', '\'', '*']) || is_named;
    }
    let Some(rest) = line.strip_prefix("export ") else {
        return false;
    };
    let rest = rest.trim_start();
    let words =
        ["default ", "const ", "let ", "var ", "function ", "function*", "async ", "class ", "type ", "interface "];
    rest.starts_with(['{', '*']) || words.iter().any(|it| rest.starts_with(it))
}

fn bounded(source: &str, bytes_max: usize) -> &str {
    source.get(..source.floor_char_boundary(bytes_max)).unwrap_or(source)
}

struct Cursor<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn take(&mut self, accept: fn(u8) -> bool) -> &'a str {
        let len = self.rest().bytes().take_while(|&it| accept(it)).count();
        let taken = self.rest().get(..len).unwrap_or_default();
        self.at += len;
        taken
    }

    fn tag(&mut self) -> Option<Tag<'a>> {
        if !self.eat(b'<') {
            return None;
        }
        let is_close = self.eat(b'/');
        let name = self.take(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.' | b':'));
        let is_fragment = name.is_empty() && self.peek() == Some(b'>');
        if !is_fragment && !name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.contains('.') {
            return None;
        }
        // `www.example.org` between `<` and `>` is an address, `MD.p` or `motion.div` a component.
        if name.contains(':') || name.matches('.').count() > 1 {
            return None;
        }
        let mut attributes = Vec::new();
        loop {
            let space = self.take(|it| it.is_ascii_whitespace());
            match self.peek()? {
                b'>' => {
                    self.at += 1;
                    let kind = if is_close { Kind::Close } else { Kind::Open };
                    return Some(Tag { len: self.at, name, kind, attributes });
                }
                b'/' if !is_close => {
                    self.at += 1;
                    return self.eat(b'>').then_some(Tag { len: self.at, name, kind: Kind::Alone, attributes });
                }
                b'{' => {
                    self.braces()?;
                }
                _ if space.is_empty() || is_close => return None,
                _ => attributes.push(self.attribute()?),
            }
        }
    }

    fn attribute(&mut self) -> Option<(&'a str, &'a str)> {
        let name = self.take(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b':' | b'$'));
        if name.is_empty() {
            return None;
        }
        let before = self.at;
        self.take(|it| it.is_ascii_whitespace());
        if !self.eat(b'=') {
            self.at = before;
            return Some((name, ""));
        }
        self.take(|it| it.is_ascii_whitespace());
        let value = match self.peek()? {
            b'{' => self.braces()?,
            quote @ (b'"' | b'\'') => {
                self.at += 1;
                let len = self.rest().bytes().position(|it| it == quote);
                let Some(len) = len else {
                    self.at = self.source.len();
                    return None;
                };
                let value = self.rest().get(..len)?;
                self.at += len + 1;
                value
            }
            _ => return None,
        };
        Some((name, value))
    }

    /// `{ ... }` with whatever is nested in it; what stands between the braces.
    fn braces(&mut self) -> Option<&'a str> {
        let start = self.at + 1;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'{' => depth += 1,
                b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        let inside = self.source.get(start..self.at);
                        self.at += 1;
                        return inside;
                    }
                }
                b'"' | b'\'' | b'`' => {
                    self.string();
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        None
    }

    /// Passes a string. A quote that does not end on its line is an apostrophe, and is passed alone.
    fn string(&mut self) {
        let Some(quote) = self.peek() else { return };
        let mut escaped = false;
        for (n, byte) in self.rest().bytes().enumerate().skip(1) {
            if escaped {
                escaped = false;
            } else if byte == b'\\' {
                escaped = true;
            } else if byte == quote {
                self.at += n + 1;
                return;
            } else if byte == b'\n' && quote != b'`' {
                break;
            }
        }
        self.at += 1;
    }
}

/// The string literals of an expression such as `['$ npm i', '$ npm start']`, in order.
#[must_use]
pub(super) fn strings(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = Cursor { source: expression, at: 0 };
    while let Some(byte) = cursor.peek() {
        let start = cursor.at;
        if !matches!(byte, b'"' | b'\'' | b'`') {
            cursor.at += 1;
            continue;
        }
        cursor.string();
        if let Some(text) = expression.get(start + 1..cursor.at.saturating_sub(1)) {
            let mut plain = String::with_capacity(text.len());
            let mut chars = text.chars();
            while let Some(c) = chars.next() {
                match if c == '\\' { chars.next() } else { Some(c) } {
                    Some('n') if c == '\\' => plain.push('\n'),
                    Some(it) => plain.push(it),
                    None => {}
                }
            }
            found.push(plain);
        }
    }
    found
}

#[cfg(test)]
mod tests;

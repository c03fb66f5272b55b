//! What a secret looks like, wherever it turns up: used by the log and by `redact`.
//!
//! One pass finds the starts that secrets have; what stands behind a start decides. A shape is known by its start,
//! because whoever issues keys gives them one so that they can be found where they leak.

use std::borrow::Cow;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

use super::personal;
use crate::base::bound;
use crate::base::secret::Secret;

/// What stands in place of a secret.
pub const MASK: &str = "***MASKED***";

/// Prefix of Sekisho's own bearer tokens, so that they are found wherever they leak.
pub const TOKEN_PREFIX: &str = "sks_";

/// Digits and letters after [`TOKEN_PREFIX`].
pub const TOKEN_BODY_CHARS: usize = 64;

/// Which characters the body of a key has.
#[derive(Clone, Copy, Debug)]
enum Body {
    Alphanumeric,
    Upper,
    /// Letters, digits and `_`.
    Word,
    /// Letters, digits, `_` and `-`.
    Token,
    /// The same and `.`.
    Dotted,
    /// Base64, both alphabets, and what percent-encoding makes of it.
    Base64,
    /// Letters, digits, and `/`.
    Path,
}

impl Body {
    fn has(self, byte: u8) -> bool {
        let extra: &[u8] = match self {
            Self::Alphanumeric => b"",
            Self::Upper => return byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Word => b"_",
            Self::Token => b"_-",
            Self::Dotted => b"_-.",
            Self::Base64 => b"+/=_-%",
            Self::Path => b"/",
        };
        byte.is_ascii_alphanumeric() || extra.contains(&byte)
    }
}

/// What follows a start, and what of it is masked.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Start and body, the body with at least so many characters.
    Key(Body, usize),
    /// The same with exactly so many.
    Exactly(Body, usize),
    /// The body only: the start says what it is.
    Value(Body, usize),
    /// Sekisho's own tokens.
    Own,
    /// A JSON Web Token (RFC 7519): three parts, of which two are JSON objects in base64url.
    Jwt,
    /// A private key in PEM form (RFC 7468), to its end line or to the end.
    Pem,
    /// The name of the header `Authorization`.
    Authorization,
    /// A scheme that a credential follows.
    Bearer,
}

/// The starts, and what each must be followed by. A start of only a few letters needs a long body.
const SHAPES: [(&str, Shape); 67] = [
    (TOKEN_PREFIX, Shape::Own),
    ("-----BEGIN ", Shape::Pem),
    ("eyJ", Shape::Jwt),
    ("uthorization", Shape::Authorization),
    ("UTHORIZATION", Shape::Authorization),
    ("earer ", Shape::Bearer),
    ("EARER ", Shape::Bearer),
    // AWS
    ("AKIA", Shape::Exactly(Body::Upper, 16)),
    ("ASIA", Shape::Exactly(Body::Upper, 16)),
    ("ABIA", Shape::Exactly(Body::Upper, 16)),
    ("ACCA", Shape::Exactly(Body::Upper, 16)),
    ("aws_secret_access_key=", Shape::Value(Body::Base64, 40)),
    ("AWS_SECRET_ACCESS_KEY=", Shape::Value(Body::Base64, 40)),
    // GitHub
    ("ghp_", Shape::Key(Body::Alphanumeric, 36)),
    ("gho_", Shape::Key(Body::Alphanumeric, 36)),
    ("ghu_", Shape::Key(Body::Alphanumeric, 36)),
    ("ghs_", Shape::Key(Body::Alphanumeric, 36)),
    ("ghr_", Shape::Key(Body::Alphanumeric, 36)),
    ("github_pat_", Shape::Key(Body::Word, 40)),
    // GitLab
    ("glpat-", Shape::Key(Body::Dotted, 20)),
    ("gldt-", Shape::Key(Body::Token, 20)),
    ("glrt-", Shape::Key(Body::Token, 20)),
    ("glptt-", Shape::Key(Body::Token, 20)),
    ("glcbt-", Shape::Key(Body::Token, 20)),
    ("glsoat-", Shape::Key(Body::Token, 20)),
    ("glft-", Shape::Key(Body::Token, 20)),
    // Slack
    ("xoxb-", Shape::Key(Body::Token, 20)),
    ("xoxp-", Shape::Key(Body::Token, 20)),
    ("xoxa-", Shape::Key(Body::Token, 20)),
    ("xoxr-", Shape::Key(Body::Token, 20)),
    ("xoxs-", Shape::Key(Body::Token, 20)),
    ("xoxe.", Shape::Key(Body::Token, 20)),
    ("xapp-", Shape::Key(Body::Token, 20)),
    ("hooks.slack.com/services/", Shape::Value(Body::Path, 30)),
    // Stripe
    ("sk_live_", Shape::Key(Body::Alphanumeric, 20)),
    ("sk_test_", Shape::Key(Body::Alphanumeric, 20)),
    ("rk_live_", Shape::Key(Body::Alphanumeric, 20)),
    ("rk_test_", Shape::Key(Body::Alphanumeric, 20)),
    ("whsec_", Shape::Key(Body::Base64, 24)),
    // Google
    ("AIza", Shape::Exactly(Body::Token, 35)),
    ("ya29.", Shape::Key(Body::Token, 20)),
    ("GOCSPX-", Shape::Key(Body::Token, 20)),
    // Package registries
    ("npm_", Shape::Key(Body::Alphanumeric, 36)),
    ("pypi-", Shape::Key(Body::Token, 50)),
    ("rubygems_", Shape::Key(Body::Alphanumeric, 40)),
    ("cio", Shape::Exactly(Body::Alphanumeric, 32)),
    ("dckr_pat_", Shape::Key(Body::Token, 20)),
    // Models
    ("sk-ant-", Shape::Key(Body::Token, 20)),
    ("sk-proj-", Shape::Key(Body::Token, 20)),
    ("sk-svcacct-", Shape::Key(Body::Token, 20)),
    ("sk-admin-", Shape::Key(Body::Token, 20)),
    ("sk-or-", Shape::Key(Body::Token, 20)),
    ("sk-", Shape::Key(Body::Alphanumeric, 40)),
    ("hf_", Shape::Key(Body::Alphanumeric, 30)),
    // Azure
    ("AccountKey=", Shape::Value(Body::Base64, 40)),
    ("SharedAccessKey=", Shape::Value(Body::Base64, 40)),
    ("sig=", Shape::Value(Body::Base64, 40)),
    // Others
    ("SG.", Shape::Key(Body::Dotted, 60)),
    ("shpat_", Shape::Key(Body::Alphanumeric, 32)),
    ("shpss_", Shape::Key(Body::Alphanumeric, 32)),
    ("dop_v1_", Shape::Key(Body::Alphanumeric, 60)),
    ("hvs.", Shape::Key(Body::Token, 24)),
    ("lin_api_", Shape::Key(Body::Alphanumeric, 32)),
    ("sq0csp-", Shape::Key(Body::Token, 30)),
    ("EAACEdEose0cBA", Shape::Key(Body::Alphanumeric, 20)),
    ("key-", Shape::Exactly(Body::Alphanumeric, 32)),
    ("dapi", Shape::Exactly(Body::Alphanumeric, 32)),
];

/// Parts of field names whose values are never in a log.
const SECRET_NAME_PARTS: [&str; 8] =
    ["password", "passwd", "token", "secret", "credential", "authorization", "credit_card", "creditcard"];

/// The same where the whole word counts: `ssn` is in `className` too.
const SECRET_NAME_WORDS: [&str; 3] = ["key", "keys", "ssn"];

/// Whether a field of this name holds something that no log shows. Units and counts are masked with it
/// (`token_count`): a log that hides too much is mended by a person, one that shows too much is not.
pub fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    if SECRET_NAME_PARTS.iter().any(|part| lower.contains(part)) || lower.ends_with("key") {
        return true;
    }
    let mut word = String::new();
    let mut after_lower = false;
    for char in name.chars().chain(std::iter::once('_')) {
        let hump = char.is_ascii_uppercase() && after_lower;
        if !char.is_ascii_alphanumeric() || hump {
            if SECRET_NAME_WORDS.contains(&word.as_str()) {
                return true;
            }
            word.clear();
        }
        if char.is_ascii_alphanumeric() {
            word.push(char.to_ascii_lowercase());
        }
        after_lower = char.is_ascii_lowercase() || char.is_ascii_digit();
    }
    false
}

/// Finds secrets by their shapes. Made once: building it costs a hundred times what a line costs.
#[derive(Clone, Debug)]
pub struct Masker {
    starts: AhoCorasick,
    /// E-mail addresses and their like are masked too.
    personal: bool,
    /// Any value of `Authorization` is masked, not only one that looks real: documents show placeholders.
    strict: bool,
}

/// The shapes that are built in do not compile: our own bug.
#[derive(Debug, thiserror::Error)]
#[error("the shapes of secrets cannot be searched for: {0}")]
pub struct NotSearchable(#[from] aho_corasick::BuildError);

impl Masker {
    /// For results: documents stay as they are, but for what is a secret beyond doubt.
    pub fn of_results(personal: bool) -> Result<Self, NotSearchable> {
        let starts = AhoCorasickBuilder::new()
            .match_kind(MatchKind::LeftmostLongest)
            .build(SHAPES.iter().map(|(start, _)| start))?;
        Ok(Self { starts, personal, strict: false })
    }

    /// For the log: all rules.
    pub fn of_logs() -> Result<Self, NotSearchable> {
        Ok(Self { strict: true, ..Self::of_results(true)? })
    }

    /// `text` without what looks like a secret.
    pub fn masked<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.secrets(text);
        let masked = if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(without(text, &found)) };
        if !self.personal {
            return masked;
        }
        let found = personal::find(&masked);
        if found.is_empty() { masked } else { Cow::Owned(without(&masked, &found)) }
    }

    /// The same, and without the secrets that this call used, from [`bound::USED_SECRET_BYTES_MIN`] bytes up.
    /// Shorter ones would make an oracle of every word, and searching for all that the vault holds would keep it in
    /// memory.
    pub fn masked_with<'a>(&self, text: &'a str, used: &[Secret]) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in used {
            let Ok(secret) = std::str::from_utf8(secret.expose_secret()) else { continue };
            if secret.len() >= bound::USED_SECRET_BYTES_MIN && text.contains(secret) {
                text = Cow::Owned(text.replace(secret, MASK));
            }
        }
        match text {
            Cow::Borrowed(text) => self.masked(text),
            Cow::Owned(text) => Cow::Owned(self.masked(&text).into_owned()),
        }
    }

    /// Where secrets stand, in order and apart.
    fn secrets(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for start in self.starts.find_iter(text) {
            let Some((_, shape)) = SHAPES.get(start.pattern().as_usize()) else { continue };
            if found.last().is_some_and(|last| start.start() < last.end) {
                continue;
            }
            if let Some(range) = self.span(*shape, text.as_bytes(), start.start(), start.end()) {
                found.push(range);
            }
        }
        found
    }

    /// What is to be masked of a secret whose start stands at `from..at`.
    fn span(&self, shape: Shape, text: &[u8], from: usize, at: usize) -> Option<Range<usize>> {
        let begins = || !from.checked_sub(1).and_then(|before| text.get(before)).is_some_and(u8::is_ascii_alphanumeric);
        match shape {
            Shape::Key(body, least) => {
                let end = run(text, at, body);
                (begins() && end - at >= least && is_varied(&text[at..end])).then_some(from..end)
            }
            Shape::Exactly(body, count) => {
                let end = run(text, at, body);
                let digits = text[at..end].iter().any(u8::is_ascii_digit);
                (begins() && end - at == count && digits && is_varied(&text[at..end])).then_some(from..end)
            }
            Shape::Value(body, least) => {
                let end = run(text, at, body);
                (end - at >= least && is_varied(&text[at..end])).then_some(at..end)
            }
            Shape::Own => {
                let end = run(text, at, Body::Alphanumeric);
                (end - at >= TOKEN_BODY_CHARS).then_some(from..end)
            }
            Shape::Jwt => jwt(text, from).filter(|_| begins()).map(|end| from..end),
            Shape::Pem => pem(text, from, at),
            Shape::Authorization => self.authorization(text, at),
            Shape::Bearer => credential(text, at, false),
        }
    }

    /// What stands behind `Authorization`: a separator, perhaps a scheme, and the credential.
    fn authorization(&self, text: &[u8], at: usize) -> Option<Range<usize>> {
        let mut at = skip(text, at, b"\"'\\");
        at = skip(text, at, b" \t");
        if !matches!(text.get(at), Some(b':' | b'=')) {
            return None;
        }
        at = skip(text, at + 1, b" \t");
        at = skip(text, at, b"\"'`\\");
        let word = run(text, at, Body::Token);
        let scheme = text.get(word) == Some(&b' ')
            && word > at
            && text.get(at..word).is_some_and(|word| word.iter().all(u8::is_ascii_alphabetic));
        let at = if scheme { skip(text, word, b" ") } else { at };
        credential(text, at, self.strict)
    }
}

/// A credential after its scheme. In a document it must look real: `Bearer ${token}` stays.
fn credential(text: &[u8], at: usize, strict: bool) -> Option<Range<usize>> {
    if strict {
        let rest = text.get(at..)?;
        let stop = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b',' | b'\\' | b'`');
        let end = at + rest.iter().position(stop).unwrap_or(rest.len());
        return (end > at).then_some(at..end);
    }
    let body = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._~+/=-".contains(byte);
    let end = at + text.get(at..)?.iter().take_while(body).count();
    let value = &text[at..end];
    let real = value.len() >= bound::USED_SECRET_BYTES_MIN
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
        && is_varied(value);
    real.then_some(at..end)
}

/// The end of the characters of `body` from `at` on.
fn run(text: &[u8], at: usize, body: Body) -> usize {
    at + text.get(at..).unwrap_or_default().iter().take_while(|byte| body.has(**byte)).count()
}

fn skip(text: &[u8], at: usize, what: &[u8]) -> usize {
    at + text.get(at..).unwrap_or_default().iter().take_while(|byte| what.contains(byte)).count()
}

/// `ghp_xxxxxxxx` is a placeholder: a key that was drawn has many different characters.
fn is_varied(body: &[u8]) -> bool {
    let mut seen = [false; 256];
    let mut different = 0;
    for byte in body {
        if let Some(seen) = seen.get_mut(usize::from(*byte))
            && !*seen
        {
            *seen = true;
            different += 1;
        }
    }
    different >= 8
}

/// The end of a JSON Web Token that starts at `from`.
fn jwt(text: &[u8], from: usize) -> Option<usize> {
    let header = run(text, from, Body::Token);
    let rest = text.get(header..)?.strip_prefix(b".eyJ")?;
    if header - from < 12 {
        return None;
    }
    let claims = run(text, text.len() - rest.len(), Body::Token);
    if text.get(claims) != Some(&b'.') {
        return None;
    }
    Some(run(text, claims + 1, Body::Token))
}

/// The label ends on the line that it begins; the key ends at its END line, or never.
fn pem(text: &[u8], from: usize, at: usize) -> Option<Range<usize>> {
    const END: &[u8] = b"PRIVATE KEY-----";
    let find = |text: &[u8]| text.windows(END.len()).position(|window| window == END);
    let rest = text.get(at..)?;
    let line = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let label = find(rest.get(..line)?)? + END.len();
    let body = rest.get(label..)?;
    let end = find(body).map_or(text.len(), |end| at + label + end + END.len());
    Some(from..end)
}

fn without(text: &str, found: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in found {
        // The ends are beside ASCII characters, which are characters of their own in UTF-8.
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(MASK);
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
#[path = "tests_mask.rs"]
mod tests;

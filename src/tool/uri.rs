//! `sekisho://{library}/{path}`: the URI of a document (RFC 3986), made and read.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Unreserved characters and the slash stay; everything else is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

pub const SCHEME: &str = "sekisho://";

pub fn of_document(library: &str, path: &str) -> String {
    format!("{SCHEME}{library}/{}", utf8_percent_encode(path, ENCODED))
}

/// The library and path that `uri` names; `None` if it is not one of ours. An encoded slash is one.
pub fn parse(uri: &str) -> Option<(String, String)> {
    let (library, path) = uri.strip_prefix(SCHEME)?.split_once('/')?;
    let path = path.split(['?', '#']).next()?;
    let decode = |part: &str| percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    Some((decode(library)?, decode(path)?)).filter(|(library, path)| !library.is_empty() && !path.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_made_uri_reads_back(library in "[a-z0-9-]{1,20}", path in "\\PC{1,40}") {
            prop_assert_eq!(parse(&of_document(&library, &path)), Some((library, path)));
        }
    }

    #[test]
    fn what_is_not_ours_is_none() {
        for uri in
            ["", "sekisho://", "sekisho://a", "sekisho://a/", "sekisho:///b", "file:///etc/passwd", "sekisho://a/%ff"]
        {
            assert_eq!(parse(uri), None, "{uri}");
        }
        assert_eq!(parse("sekisho://a/b%2Fc.md#x"), Some(("a".into(), "b/c.md".into())));
    }
}

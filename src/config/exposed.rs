//! What looks like a secret by where it stands: before the host of a URL, or under a name that says so.

use std::borrow::Cow;

/// Parts of a name whose value is a secret.
const NAME_PARTS: [&str; 8] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY"];

/// Endings of names that say where a secret is, or something of it, and are none.
const HARMLESS_ENDINGS: [&str; 16] = [
    "_FILE",
    "_PATH",
    "_DIR",
    "_URL",
    "_URI",
    "_ENDPOINT",
    "_NAME",
    "_ID",
    "_COUNT",
    "_LENGTH",
    "_TTL",
    "_EXPIRY",
    "_SECONDS",
    "_ENABLED",
    "_COMMAND",
    "_CREDENTIAL",
];

/// Values that switch something, or name a place.
fn is_harmless(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    matches!(lower.as_str(), "" | "0" | "1" | "true" | "false" | "yes" | "no" | "on" | "off" | "none")
        || value.starts_with(['/', '~', '$'])
}

/// Whether `value` is a secret because of how it is called, such as `DB_PASSWORD`.
pub(super) fn is_under_its_name(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    NAME_PARTS.iter().any(|part| name.contains(part))
        && !HARMLESS_ENDINGS.iter().any(|ending| name.ends_with(ending))
        && !is_harmless(value.trim())
}

/// `scheme://name:password@host`.
pub fn has_password(line: &str) -> bool {
    line.match_indices("://").any(|(at, _)| {
        let rest = line.get(at + 3..).unwrap_or_default();
        let authority = rest.split(['/', '"', '\'', ' ', '?', '#']).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .and_then(|(user, _)| user.split_once(':'))
            .is_some_and(|(_, password)| !password.is_empty())
    })
}

/// Whether a line of TOML gives a secret to a key that is called so, in a comment, too. `is_setting` knows the keys that
/// have such a name and hold none.
pub fn is_secret_line(line: &str, is_setting: impl Fn(&str) -> bool) -> bool {
    let Some((key, value)) = line.trim_start_matches(['#', ' ', '\t']).split_once('=') else { return false };
    let (key, value) = (key.trim(), value.trim());
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let text = value.strip_prefix('"').or_else(|| value.strip_prefix('\''));
    let text = text.and_then(|text| text.split(['"', '\'']).next()).unwrap_or_default();
    is_key && !is_setting(key) && is_under_its_name(key, text)
}

/// A value for a message: what stands before the host of a URL is not shown, for a password may be there.
pub(super) fn without_userinfo(text: &str) -> Cow<'_, str> {
    let start = text.find("://").map_or(0, |at| at + 3);
    let Some(end) = text.rfind('@').filter(|end| *end >= start) else { return Cow::Borrowed(text) };
    let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    let user = text.get(start..end).unwrap_or_default();
    // An address of mail has no scheme and no password.
    if start == 0 && (!user.contains(':') || user.starts_with("mailto:")) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{before}***{after}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_in_a_url_is_seen_and_a_port_or_an_address_is_none() {
        for line in ["proxy = \"http://ann:hunter2@proxy:3128\"", "# https://a:b@c/"] {
            assert!(has_password(line), "{line}");
        }
        for line in
            ["url = \"https://host:443/a@b\"", "smtp_from = \"a:b@c\"", "x = \"http://ann@host\"", "://", "http://a:@b"]
        {
            assert!(!has_password(line), "{line}");
        }
    }

    #[test]
    fn a_value_is_a_secret_by_its_name_and_a_place_or_a_switch_is_none() {
        for name in ["DB_PASSWORD", "PGPASSWORD", "GITHUB_TOKEN", "CLIENT_SECRET", "MAPS_API_KEY", "db-password"] {
            assert!(is_under_its_name(name, "hunter2"), "{name}");
        }
        for (name, value) in [
            ("DB_PASSWORD_FILE", "secret.txt"),
            ("DB_PASSWORD", "/run/secrets/db"),
            ("TOKENIZERS_PARALLELISM", "false"),
            ("TOKEN_URL", "https://a.example/token"),
            ("DB_PASSWORD", ""),
            ("EDITOR", "hunter2"),
        ] {
            assert!(!is_under_its_name(name, value), "{name}");
        }
    }

    #[test]
    fn a_line_gives_a_secret_to_a_key_in_a_comment_too() {
        let is_setting = |key: &str| key == "token_bytes";
        for line in ["# password = \"hunter2\"", "password='hunter2'", "  #api_key = \"x1\" # old"] {
            assert!(is_secret_line(line, is_setting), "{line}");
        }
        for line in
            ["# password = \"\"", "password = 5", "# the password = \"x\"", "token_bytes = \"x\"", "password", "=\"x\""]
        {
            assert!(!is_secret_line(line, is_setting), "{line}");
        }
    }

    #[test]
    fn a_message_shows_the_host_of_a_url_and_not_what_is_before_it() {
        for (text, expect) in [
            ("https://u:hunter2@hook.example/x", "https://***@hook.example/x"),
            ("https://hunter2@hook.example/x", "https://***@hook.example/x"),
            ("https://u:p/w@d@hook.example", "https://***@hook.example"),
            ("u:p@proxy:3128", "***@proxy:3128"),
            ("https://hook.example/x", "https://hook.example/x"),
            ("mailto:sec@a.example", "mailto:sec@a.example"),
            ("sec@a.example", "sec@a.example"),
        ] {
            assert_eq!(without_userinfo(text), expect);
        }
    }

    proptest! {
        #[test]
        fn hostile_text_is_never_a_panic(text: String) {
            let _any = (has_password(&text), is_secret_line(&text, |_| false), without_userinfo(&text).len());
        }
    }
}

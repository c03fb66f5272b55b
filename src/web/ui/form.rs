//! What a form of the dashboard sent. Any of it may be a password, so all of it is wiped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::base::bound::ui as bound;
use crate::base::secret::Secret;

/// Its fields, in the order in which they came.
#[derive(Default)]
pub struct Form {
    fields: Vec<(String, Zeroizing<String>)>,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Form")
    }
}

impl Form {
    /// Of a body, or of a query.
    pub fn read(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text).take(bound::UI_FIELDS_MAX);
        Self { fields: pairs.map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned()))).collect() }
    }

    /// The first of this name; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Name and password, as a client of MCP would have sent them.
    pub fn basic(&self, name: &str) -> Secret {
        let pair = Zeroizing::new(format!("{name}:{}", self.text("password")));
        let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        Secret::new(format!("Basic {}", *encoded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_send_them() {
        let form = Form::read("name=a+b%26c&x=1&x=2&empty=&%E9%96%A2=1".as_bytes());
        assert_eq!((form.text("name"), form.text("empty"), form.text("none")), ("a b&c", "", ""));
        assert_eq!(form.all("x").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(form.text("関"), "1");
        let many = "a=1&".repeat(2 * bound::UI_FIELDS_MAX);
        assert_eq!(Form::read(many.as_bytes()).fields.len(), bound::UI_FIELDS_MAX);
    }
}

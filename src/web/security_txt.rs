//! `/.well-known/security.txt` (RFC 9116): whom to tell of a weakness, from the contacts of the configuration.

use std::fmt::Write as _;
use std::time::Duration;

use crate::base::bound::incident as bound;
use crate::base::clock::Timestamp;
use crate::config::contacts::Contacts;

/// Where it is served (RFC 9116, section 3).
pub(super) const PATH: &str = "/.well-known/security.txt";

/// The file as it is at `now`; none where no contact may be published. `origin` is where it is served, if that is known:
/// clients that reach us by another name should know which one counts.
pub(super) fn text(contacts: &Contacts, origin: Option<&str>, now: Timestamp) -> Option<String> {
    let published = contacts.published();
    if published.is_empty() {
        return None;
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |name: &str, value: &str| {
        let _never = writeln!(text, "{name}: {value}");
    };
    for uri in &published {
        line("Contact", uri);
    }
    let day_ms = 86_400_000;
    // The same text the whole day.
    let today = Timestamp(now.0 / day_ms * day_ms);
    line("Expires", &today.plus(Duration::from_secs(bound::SECURITY_TXT_DAYS * 86_400)).rfc3339());
    line("Preferred-Languages", "en");
    if let Some(origin) = origin {
        line("Canonical", &format!("{origin}{PATH}"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::contacts::Contact;

    #[test]
    fn the_file_has_what_rfc_9116_requires() {
        let contacts = Contacts {
            security_team: Some(Contact::Mail("sec@a.example".into())),
            incident_response: Some(Contact::Uri("tel:+1-201-555-0123".into())),
            ciso: Some(Contact::Mail("chief@a.example".into())),
        };
        let text = text(&contacts, Some("https://mcp.a.example"), Timestamp(1_790_000_000_000)).unwrap();
        let expected = "Contact: mailto:sec@a.example\nContact: tel:+1-201-555-0123\n\
                        Expires: 2027-03-20T00:00:00.000Z\nPreferred-Languages: en\n\
                        Canonical: https://mcp.a.example/.well-known/security.txt\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn without_a_contact_there_is_no_file() {
        let ciso = Some(Contact::Mail("chief@a.example".into()));
        assert_eq!(text(&Contacts { ciso, ..Contacts::default() }, None, Timestamp(0)), None);
    }
}

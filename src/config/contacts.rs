//! The valid form of the table `[contacts]`: who hears of incidents, and who is named to whoever finds a weakness.

use super::Check;
use super::raw::contacts as raw;
use super::watch::{is_address, set};

/// Who is to be told.
#[derive(Clone, Debug, Default)]
pub struct Contacts {
    pub security_team: Option<Contact>,
    pub incident_response: Option<Contact>,
    pub ciso: Option<Contact>,
}

/// How somebody is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// An address of mail.
    Mail(String),
    /// `https:` or `tel:` (RFC 9116, section 2.5.3).
    Uri(String),
}

impl Contact {
    /// As a URI.
    pub fn uri(&self) -> String {
        match self {
            Self::Mail(address) => format!("mailto:{address}"),
            Self::Uri(uri) => uri.clone(),
        }
    }
}

impl Contacts {
    /// Addresses of mail that hear of what is grave, without repetition.
    pub fn addresses(&self) -> Vec<String> {
        let all = [&self.security_team, &self.incident_response, &self.ciso].into_iter().flatten();
        let mut addresses = Vec::new();
        for contact in all {
            if let Contact::Mail(address) = contact
                && !addresses.contains(address)
            {
                addresses.push(address.clone());
            }
        }
        addresses
    }

    /// Those who may be named to everybody, the preferred one first.
    pub fn published(&self) -> Vec<String> {
        let both = [&self.security_team, &self.incident_response].into_iter().flatten();
        let mut uris: Vec<String> = both.map(Contact::uri).collect();
        uris.dedup();
        uris
    }
}

impl super::Config {
    /// What an operator should know of contacts that nobody can reach.
    pub fn unheard_contacts(&self) -> Option<&'static str> {
        (self.watch.smtp.is_none() && !self.contacts.addresses().is_empty()).then_some(
            "the addresses in [contacts] are mailed nothing, for there is no mail server: set watch.smtp_server and its keys",
        )
    }
}

impl Check {
    pub(super) fn contacts(&mut self, contacts: &raw::Contacts) -> Contacts {
        Contacts {
            security_team: self.contact("contacts.security_team", contacts.security_team.as_ref()),
            incident_response: self.contact("contacts.incident_response", contacts.incident_response.as_ref()),
            ciso: self.contact("contacts.ciso", contacts.ciso.as_ref()),
        }
    }

    fn contact(&mut self, key: &'static str, text: Option<&String>) -> Option<Contact> {
        let text = set(text)?;
        let mail = text.strip_prefix("mailto:").unwrap_or(text);
        let is_uri = text.starts_with("https://") || text.starts_with("tel:");
        if is_uri && text.len() <= 254 && text.chars().all(|char| char.is_ascii_graphic()) {
            return Some(Contact::Uri(text.clone()));
        }
        if !is_uri && is_address(mail) {
            return Some(Contact::Mail(mail.to_owned()));
        }
        self.impossible(key, "an address such as security@example.org, or a URI of https: or tel:", text);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::raw::Raw;
    use super::*;

    fn of(team: &str, response: &str, ciso: &str) -> Result<Contacts, Vec<&'static str>> {
        let mut raw = Raw::default();
        raw.contacts.security_team = Some(team.into());
        raw.contacts.incident_response = Some(response.into());
        raw.contacts.ciso = Some(ciso.into());
        let config =
            Config::of(raw).map_err(|problems| problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>());
        config.map(|config| config.contacts)
    }

    #[test]
    fn contacts_are_addresses_or_uris() {
        let contacts = of("mailto:sec@a.example", "https://a.example/report", "sec@a.example").unwrap();
        assert_eq!(contacts.addresses(), ["sec@a.example"]);
        assert_eq!(contacts.published(), ["mailto:sec@a.example", "https://a.example/report"]);
        assert!(of("", "", "").unwrap().published().is_empty());
    }

    #[test]
    fn addresses_without_a_mail_server_are_noticed() {
        let of = |contact: &str, server: bool| {
            let mut raw = Raw::default();
            raw.contacts.ciso = Some(contact.into());
            if server {
                raw.watch.smtp_server = Some("mail.example.org".into());
                raw.watch.smtp_from = Some("sekisho@example.org".into());
                raw.watch.smtp_to = vec!["ops@example.org".into()];
            }
            Config::of(raw).unwrap().unheard_contacts().is_some()
        };
        assert!(of("ciso@example.org", false));
        assert!(!of("ciso@example.org", true) && !of("", false) && !of("tel:+81-3-0000-0000", false));
    }

    #[test]
    fn what_is_neither_is_named() {
        let keys = of("nobody", "http://a.example/", "a@b.example\nTo: c@d.example").unwrap_err();
        assert_eq!(keys, ["contacts.security_team", "contacts.incident_response", "contacts.ciso"]);
    }
}

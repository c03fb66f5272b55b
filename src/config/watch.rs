//! The valid form of the table `[watch]`.

use std::time::Duration;

use super::Check;
use super::raw::watch::{self as raw, SmtpSecurity, SyslogFormat};
use super::target::{Endpoint, Url};
use crate::base::severity::Severity;

#[derive(Clone, Debug)]
pub struct Watch {
    pub rate_limit: Threshold,
    pub suspicious_patterns: Threshold,
    pub authentication_failures: Threshold,
    pub policy_denials: Threshold,
    pub block: Duration,
    pub baseline: Option<Baseline>,
    /// The least that is sent.
    pub severity: Severity,
    pub webhook: Option<Webhook>,
    pub smtp: Option<Smtp>,
    pub syslog: Option<Syslog>,
}

/// So many within this time.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    pub count: u64,
    pub window: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Baseline {
    pub learning: Duration,
    pub deviations: f64,
}

#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: Url,
    /// A credential's name.
    pub credential: String,
}

#[derive(Clone, Debug)]
pub struct Smtp {
    pub server: Endpoint,
    pub security: SmtpSecurity,
    pub from: String,
    pub to: Vec<String>,
    /// Name, and the credential that is its password.
    pub login: Option<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct Syslog {
    pub transport: SyslogTransport,
    pub target: Endpoint,
    pub format: SyslogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogTransport {
    /// RFC 5426
    Udp,
    /// RFC 6587, octet counting
    Tcp,
    /// RFC 5425
    Tls,
}

pub(super) fn set(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

impl Check {
    /// Whoever keeps to `per_session` is not shut out for it.
    pub(super) fn watch(&mut self, watch: &raw::Watch, per_session: u64) -> Watch {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let deviations = self.within("watch.baseline_deviations", watch.baseline_deviations, 1, 100);
        let learning = self.within("watch.baseline_learning_hours", watch.baseline_learning_hours, 0, 8760);
        Watch {
            rate_limit: Threshold {
                count: self
                    .within("watch.rate_limit_attempts", watch.rate_limit_attempts, 1, 1_000_000_000)
                    .max(per_session),
                window: self.minutes("watch.rate_limit_window_minutes", watch.rate_limit_window_minutes),
            },
            suspicious_patterns: Threshold {
                count: self.within("watch.suspicious_patterns", watch.suspicious_patterns, 1, 1_000_000),
                window: minutes(10),
            },
            authentication_failures: Threshold {
                count: self.within("watch.authentication_failures", watch.authentication_failures, 1, 1_000_000),
                window: self.minutes("watch.authentication_window_minutes", watch.authentication_window_minutes),
            },
            policy_denials: Threshold {
                count: self.within("watch.policy_denials", watch.policy_denials, 1, 1_000_000),
                window: minutes(5),
            },
            block: self.minutes("watch.block_minutes", watch.block_minutes),
            baseline: watch.baseline.then(|| Baseline {
                learning: Duration::from_secs(3600 * learning),
                deviations: f64::from(u32::try_from(deviations).unwrap_or(u32::MAX)),
            }),
            severity: watch.severity,
            webhook: self.webhook(watch),
            smtp: self.smtp(watch),
            syslog: self.syslog(watch),
        }
    }

    pub(super) fn url(&mut self, key: &'static str, text: Option<&String>) -> Option<Url> {
        let text = set(text)?;
        let url = Url::parse(text);
        if url.is_none() {
            self.impossible(key, "a URL of https, or of http to this machine, without a password", text);
        }
        url
    }

    fn webhook(&mut self, watch: &raw::Watch) -> Option<Webhook> {
        let url = self.url("watch.webhook_url", watch.webhook_url.as_ref())?;
        let Some(credential) = set(watch.webhook_credential.as_ref()) else {
            self.impossible("watch.webhook_credential", "the name of the credential that signs what is posted", "none");
            return None;
        };
        Some(Webhook { url, credential: credential.clone() })
    }

    fn smtp(&mut self, watch: &raw::Watch) -> Option<Smtp> {
        let host = set(watch.smtp_server.as_ref())?;
        let port = self.within("watch.smtp_port", watch.smtp_port, 1, 65_535);
        let server = Endpoint::parse(host, u16::try_from(port).ok());
        let Some(server) = server else {
            self.impossible("watch.smtp_server", "the name of a host, such as mail.example.org", host);
            return None;
        };
        if watch.smtp_security == SmtpSecurity::None && !server.is_loopback() {
            self.impossible("watch.smtp_security", "\"tls\" or \"starttls\" for another machine", "\"none\"");
        }
        let from = set(watch.smtp_from.as_ref()).cloned().unwrap_or_default();
        if !is_address(&from) {
            self.impossible("watch.smtp_from", "an address such as sekisho@example.org", &from);
        }
        if watch.smtp_to.is_empty() || !watch.smtp_to.iter().all(|to| is_address(to)) {
            self.impossible("watch.smtp_to", "addresses such as [\"ops@example.org\"]", &watch.smtp_to.join(", "));
        }
        let login = match (set(watch.smtp_user.as_ref()), set(watch.smtp_credential.as_ref())) {
            (Some(user), Some(credential)) => Some((user.clone(), credential.clone())),
            (None, None) => None,
            _ => {
                self.impossible("watch.smtp_user", "smtp_user and smtp_credential together, or neither", "one of them");
                None
            }
        };
        Some(Smtp { server, security: watch.smtp_security, from, to: watch.smtp_to.clone(), login })
    }

    fn syslog(&mut self, watch: &raw::Watch) -> Option<Syslog> {
        let text = set(watch.syslog.as_ref())?;
        let parsed = text.split_once("://").and_then(|(scheme, rest)| {
            let (transport, port) = match scheme {
                "udp" => (SyslogTransport::Udp, 514),
                "tcp" => (SyslogTransport::Tcp, 601),
                "tls" => (SyslogTransport::Tls, 6514),
                _ => return None,
            };
            Some((transport, Endpoint::parse(rest, Some(port))?))
        });
        let Some((transport, target)) = parsed else {
            self.impossible("watch.syslog", "udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT", text);
            return None;
        };
        Some(Syslog { transport, target, format: watch.syslog_format })
    }
}

/// What may stand in a mail's header; the mail server knows better.
pub(super) fn is_address(text: &str) -> bool {
    let good = |char: char| char.is_ascii_graphic() && !"<>,;()\"".contains(char);
    text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
        && text.len() <= 254
        && text.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::raw::Raw;

    #[test]
    fn places_that_cannot_be_are_named() {
        let keys = |change: &dyn Fn(&mut super::raw::Watch)| -> Vec<&'static str> {
            let mut raw = Raw::default();
            change(&mut raw.watch);
            Config::of(raw).err().unwrap_or_default().into_iter().map(|problem| problem.key).collect()
        };
        assert_eq!(keys(&|watch| watch.webhook_url = Some("https://a.example/".into())), ["watch.webhook_credential"]);
        assert_eq!(keys(&|watch| watch.webhook_url = Some("http://a.example/".into())), ["watch.webhook_url"]);
        assert_eq!(keys(&|watch| watch.syslog = Some("syslog://a".into())), ["watch.syslog"]);
        assert_eq!(
            keys(&|watch| watch.smtp_server = Some("mail.example".into())),
            ["watch.smtp_from", "watch.smtp_to"]
        );
        let open = |watch: &mut super::raw::Watch| {
            watch.smtp_server = Some("mail.example".into());
            watch.smtp_from = Some("a@b.example".into());
            watch.smtp_to = vec!["c@d.example".into()];
            watch.smtp_security = super::SmtpSecurity::None;
        };
        assert_eq!(keys(&open), ["watch.smtp_security"]);
    }
}

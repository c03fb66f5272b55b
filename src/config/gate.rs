//! Checks what was written of sessions, rates, bans and proxies.

use std::time::Duration;

use super::{Ban, Check, Proxies, Rate, Session, raw};
use crate::base::bound;
use crate::base::network::Network;

impl Check {
    pub(super) fn session(&mut self, session: &raw::Session) -> Session {
        let concurrent = session.max_concurrent_sessions;
        let most = bound::SESSIONS_MAX as u64;
        Session {
            timeout: self.minutes("session.timeout_minutes", session.timeout_minutes),
            idle_timeout: self.minutes("session.idle_timeout_minutes", session.idle_timeout_minutes),
            concurrent_max: (concurrent > 0).then(|| self.size("session.max_concurrent_sessions", concurrent, 1, most)),
            when_full: session.when_full,
            rotation: self.rotation(session),
            bind: session.bind,
        }
    }

    fn rotation(&mut self, session: &raw::Session) -> Option<Duration> {
        let every = self.minutes("session.rotation_minutes", session.rotation_minutes);
        session.rotation.then_some(every)
    }

    pub(super) fn rates(&mut self, rate: &raw::Rate) -> Rate {
        Rate {
            per_minute: self.rate("rate.per_minute", rate.per_minute),
            burst_limit: self.rate("rate.burst_limit", rate.burst_limit),
            per_session: self.rate("rate.per_session", rate.per_session),
            per_address: self.rate("rate.per_address", rate.per_address),
            per_tool: self.per_tool(&rate.per_tool),
        }
    }

    pub(super) fn ban(&mut self, ban: &raw::Ban) -> Ban {
        let failures = ban.authentication_failures;
        let most = bound::BAN_FAILURES_MAX as u64;
        Ban {
            failures: (failures > 0).then(|| self.size("ban.authentication_failures", failures, 1, most)),
            window: self.minutes("ban.window_minutes", ban.window_minutes),
            length: self.minutes("ban.minutes", ban.minutes),
            length_max: self.minutes("ban.minutes_max", ban.minutes_max),
        }
    }

    pub(super) fn proxies(&mut self, http: &raw::Http) -> Proxies {
        let mut trusted = Vec::new();
        for text in &http.trusted_proxies {
            match Network::parse(text) {
                Some(network) => trusted.push(network),
                None => self.impossible("http.trusted_proxies", "addresses or networks such as 10.0.0.0/8", text),
            }
        }
        Proxies { trusted, header: http.client_address_header }
    }

    fn per_tool(&mut self, rules: &[String]) -> Vec<(String, u32)> {
        let expected = "a tool and a number from 1 to 100000000, such as search_documents=60";
        let mut read = Vec::new();
        for rule in rules {
            let parts = rule.split_once('=').map(|(name, number)| (name.trim(), number.trim().parse::<u32>()));
            match parts {
                Some((name, Ok(number @ 1..=100_000_000))) if !name.is_empty() => read.push((name.to_owned(), number)),
                _ => self.impossible("rate.per_tool", expected, rule),
            }
        }
        if read.len() > bound::TOOL_RATES_MAX {
            self.impossible(
                "rate.per_tool",
                &format!("at most {} rules", bound::TOOL_RATES_MAX),
                &read.len().to_string(),
            );
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::Config;
    use crate::config::raw::Raw;

    #[test]
    fn nothing_is_a_bound_of_its_own_and_rules_are_read() {
        let mut raw = Raw::default();
        raw.session.max_concurrent_sessions = 0;
        raw.ban.authentication_failures = 0;
        raw.rate.per_tool = vec!["search_documents = 60".into()];
        raw.http.trusted_proxies = vec!["10.1.2.3/8".into()];
        let config = Config::of(raw).unwrap();
        assert_eq!(config.session.concurrent_max, None);
        assert_eq!(config.ban.failures, None);
        assert_eq!(config.session.rotation, Some(Duration::from_secs(1800)));
        assert_eq!(config.rate.per_tool, [("search_documents".to_owned(), 60)]);
        assert_eq!(config.http.proxies.trusted[0].to_string(), "10.0.0.0/8");
        assert_eq!(Config::of(Raw::default()).unwrap().ban.length, Duration::from_secs(900));
    }

    #[test]
    fn rules_and_networks_that_cannot_be_are_named() {
        let mut raw = Raw::default();
        raw.rate.per_tool = vec!["search_documents".into(), "=3".into(), "read_document=0".into()];
        raw.http.trusted_proxies = vec!["proxy.example.org".into()];
        let keys: Vec<_> = Config::of(raw).unwrap_err().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["http.trusted_proxies", "rate.per_tool", "rate.per_tool", "rate.per_tool"]);
    }
}

//! The valid form of the table `[metrics]`.

use std::net::SocketAddr;

use super::{Check, raw};

#[derive(Clone, Debug)]
pub struct Metrics {
    /// `None`: metrics are not served.
    pub listen: Option<SocketAddr>,
    /// Before the name of each metric.
    pub prefix: String,
}

impl Check {
    pub(super) fn metrics(&mut self, metrics: &raw::Metrics) -> Metrics {
        let listen = Some(&metrics.listen).filter(|listen| !listen.is_empty());
        Metrics {
            listen: listen.map(|listen| self.listen("metrics.listen", listen)),
            prefix: self.prefix(&metrics.prefix),
        }
    }

    /// The form of a metric's name (Prometheus data model), without a colon.
    fn prefix(&mut self, prefix: &str) -> String {
        let good = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let begins = prefix.chars().next().is_some_and(|first| !first.is_ascii_digit());
        if !begins || prefix.len() > 64 || !prefix.chars().all(good) {
            let expected = "1 to 64 of the characters a-z, A-Z, 0-9 and _, not a digit first";
            self.impossible("metrics.prefix", expected, prefix);
        }
        prefix.to_owned()
    }
}

//! Folds storms: the same event of the same subject within five minutes is one alert with a count.

use super::alert::AlertRecord;
use super::event::SecurityEvent;
use super::window::Recent;
use crate::base::bound;
use crate::base::clock::Timestamp;

/// Alerts that are still open for more of the same.
#[derive(Debug)]
pub struct Storm {
    open: Recent<(SecurityEvent, String), AlertRecord>,
}

impl Default for Storm {
    fn default() -> Self {
        Self { open: Recent::new(bound::ALERT_FOLDS_MAX) }
    }
}

impl Storm {
    /// Takes one more of an event into the alert that is open for it; false where there is none.
    pub fn fold(&mut self, event: SecurityEvent, subject: &str, at: Timestamp) -> bool {
        let key = (event, subject.to_owned());
        let is_open = self.open.get(&key).is_some_and(|alert| at.since(alert.first) < bound::ALERT_FOLD);
        if !is_open {
            return false;
        }
        // It is there: nothing is made.
        if let Some(mut alert) = self.open.remove(&key) {
            alert.count = alert.count.saturating_add(1);
            alert.last = alert.last.max(at);
            self.open.see(&key, || alert);
        }
        true
    }

    /// From now on more of the same is folded into `alert`.
    pub fn open(&mut self, subject: String, alert: AlertRecord) {
        let key = (alert.event, subject);
        self.open.remove(&key);
        self.open.see(&key, || alert);
    }

    /// Alerts whose time is over, or all of them at the end. Only those that went on need to be told again.
    pub fn close(&mut self, now: Timestamp, all: bool) -> Vec<AlertRecord> {
        let over = |alert: &AlertRecord| all || now.since(alert.first) >= bound::ALERT_FOLD;
        let keys: Vec<_> = self.open.iter().filter(|(_, alert)| over(alert)).map(|(key, _)| key.clone()).collect();
        let closed = keys.iter().filter_map(|key| self.open.remove(key));
        let mut grown: Vec<AlertRecord> = closed.filter(|alert| alert.count > 1).collect();
        grown.sort_by_key(|alert| alert.id);
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::severity::Severity;

    fn alert(id: u64, at: u64) -> AlertRecord {
        AlertRecord {
            id,
            event: SecurityEvent::PolicyDenials,
            severity: Severity::Medium,
            first: Timestamp(at),
            last: Timestamp(at),
            count: 1,
            subject: None,
            entry: None,
            detail: String::new(),
            action: None,
            acknowledged: None,
            update: false,
        }
    }

    #[test]
    fn a_storm_is_one_alert_with_a_count() {
        let mut storm = Storm::default();
        let event = SecurityEvent::PolicyDenials;
        assert!(!storm.fold(event, "ann", Timestamp(0)));
        storm.open("ann".into(), alert(1, 0));
        for second in 1..300 {
            assert!(storm.fold(event, "ann", Timestamp(second * 1000)));
        }
        assert!(!storm.fold(event, "bob", Timestamp(1)), "another subject");
        assert!(!storm.fold(SecurityEvent::Ban, "ann", Timestamp(1)), "another event");
        assert!(storm.close(Timestamp(299_999), false).is_empty());
        assert!(!storm.fold(event, "ann", Timestamp(300_000)), "its time is over");
        let closed = storm.close(Timestamp(300_000), false);
        assert_eq!(closed.iter().map(|alert| (alert.id, alert.count)).collect::<Vec<_>>(), [(1, 300)]);
        assert!(storm.close(Timestamp(300_000), true).is_empty());
    }

    #[test]
    fn what_came_once_is_not_told_twice() {
        let mut storm = Storm::default();
        storm.open("ann".into(), alert(1, 0));
        assert!(storm.close(Timestamp(0), true).is_empty());
    }
}

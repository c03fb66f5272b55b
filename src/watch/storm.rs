//! Folds storms: the same event of the same subject within five minutes is one alert with a count.

use super::alert::AlertRecord;
use super::event::SecurityEvent;
use super::window::Recent;
use crate::base::bound;
use crate::base::clock::Timestamp;

/// Alerts that are still open for more of the same.
#[derive(Debug)]
pub struct Storm {
    open: Recent<(SecurityEvent, String), Folding>,
}

#[derive(Debug)]
struct Folding {
    alert: AlertRecord,
    /// Where it was seen last: the short form of a session's id.
    session: Option<String>,
}

/// What one more of an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// There is no alert for it yet.
    New,
    /// One more of the same.
    Same,
    /// One more, in another session than before: whoever was stopped there goes on here.
    Elsewhere,
}

impl Default for Storm {
    fn default() -> Self {
        Self { open: Recent::new(bound::ALERT_FOLDS_MAX) }
    }
}

impl Storm {
    /// Takes one more of an event into the alert that is open for it, if there is one.
    pub fn fold(&mut self, event: SecurityEvent, subject: &str, session: Option<&str>, at: Timestamp) -> Fold {
        let key = (event, subject.to_owned());
        let is_open = self.open.get(&key).is_some_and(|open| at.since(open.alert.first) < bound::ALERT_FOLD);
        if !is_open {
            return Fold::New;
        }
        // It is there: nothing is made.
        let Some(mut folding) = self.open.remove(&key) else { return Fold::New };
        folding.alert.count = folding.alert.count.saturating_add(1);
        folding.alert.last = folding.alert.last.max(at);
        let is_elsewhere = session.is_some() && folding.session.as_deref() != session;
        folding.session = session.map(str::to_owned).or(folding.session);
        self.open.see(&key, || folding);
        if is_elsewhere { Fold::Elsewhere } else { Fold::Same }
    }

    /// From now on more of the same is folded into `alert`, which came from `session`.
    pub fn open(&mut self, subject: String, session: Option<String>, alert: AlertRecord) {
        let key = (alert.event, subject);
        self.open.remove(&key);
        self.open.see(&key, || Folding { alert, session });
    }

    /// Alerts whose time is over, or all of them at the end. Only those that went on need to be told again.
    pub fn close(&mut self, now: Timestamp, all: bool) -> Vec<AlertRecord> {
        let over = |alert: &AlertRecord| all || now.since(alert.first) >= bound::ALERT_FOLD;
        let keys: Vec<_> = self.open.iter().filter(|(_, it)| over(&it.alert)).map(|(key, _)| key.clone()).collect();
        let closed = keys.iter().filter_map(|key| self.open.remove(key)).map(|folding| folding.alert);
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
            incident: None,
        }
    }

    #[test]
    fn a_storm_is_one_alert_with_a_count() {
        let mut storm = Storm::default();
        let event = SecurityEvent::PolicyDenials;
        let mut fold = |event, who, at| storm.fold(event, who, None, at);
        assert_eq!(fold(event, "ann", Timestamp(0)), Fold::New);
        storm.open("ann".into(), None, alert(1, 0));
        let mut fold = |event, who, at| storm.fold(event, who, None, at);
        for second in 1..300 {
            assert_eq!(fold(event, "ann", Timestamp(second * 1000)), Fold::Same);
        }
        assert_eq!(fold(event, "bob", Timestamp(1)), Fold::New, "another subject");
        assert_eq!(fold(SecurityEvent::Ban, "ann", Timestamp(1)), Fold::New, "another event");
        assert!(storm.close(Timestamp(299_999), false).is_empty());
        assert_eq!(storm.fold(event, "ann", None, Timestamp(300_000)), Fold::New, "its time is over");
        let closed = storm.close(Timestamp(300_000), false);
        assert_eq!(closed.iter().map(|alert| (alert.id, alert.count)).collect::<Vec<_>>(), [(1, 300)]);
        assert!(storm.close(Timestamp(300_000), true).is_empty());
    }

    #[test]
    fn what_came_once_is_not_told_twice() {
        let mut storm = Storm::default();
        storm.open("ann".into(), None, alert(1, 0));
        assert!(storm.close(Timestamp(0), true).is_empty());
    }

    #[test]
    fn whoever_goes_on_in_another_session_is_seen_to() {
        let mut storm = Storm::default();
        storm.open("ann".into(), Some("a".into()), alert(1, 0));
        let mut fold = |session| storm.fold(SecurityEvent::PolicyDenials, "ann", session, Timestamp(1));
        assert_eq!(fold(Some("a")), Fold::Same);
        assert_eq!(fold(Some("b")), Fold::Elsewhere);
        assert_eq!((fold(Some("b")), fold(None)), (Fold::Same, Fold::Same));
    }
}

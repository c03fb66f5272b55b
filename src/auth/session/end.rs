//! How sessions end because an administrator says so, and what becomes of their credentials.

use std::sync::Arc;

use super::record::{self, DenialRecord};
use super::table::Open;
use super::{Ended, SessionError, Sessions, Which};
use crate::base::bound;

impl Sessions {
    /// Ends sessions because an administrator says so. Those that are their credential's deny it until it is issued
    /// again, except on this machine and where nobody shows one: there nothing could be issued.
    pub fn end(&self, which: &Which) -> Result<Vec<Ended>, SessionError> {
        self.end_where(std::slice::from_ref(which), &|_| false)
    }

    /// As [`Sessions::end`], for sessions that are contained. One that nobody showed a credential for and that is named
    /// stays where the ban of its id finds it: the next call would begin another, which no ban names.
    pub fn contain(&self, which: &[Which]) -> Result<Vec<Ended>, SessionError> {
        let is_named =
            |open: &Open| which.iter().any(|which| matches!(which, Which::Short(short) if open.is_named(short)));
        self.end_where(which, &|open| open.is_nobodys() && is_named(open))
    }

    /// Whether there is a session with this short id.
    pub fn has(&self, short: &str) -> bool {
        !self.lock().serials_where(|open| open.is_named(short)).is_empty()
    }

    /// Whether `principal` has a session.
    pub fn has_of(&self, principal: &str) -> bool {
        !self.lock().serials_where(|open| *open.principal == *principal).is_empty()
    }

    /// Credentials that come back in another connection when the one with this short id ends: to be shut out with it.
    pub fn returning(&self, short: &str) -> Vec<Arc<str>> {
        let table = self.lock();
        let named = table.serials_where(|open| open.is_named(short) && open.is_reopened());
        named.into_iter().filter_map(|serial| table.get(serial)).map(|open| Arc::clone(&open.credential)).collect()
    }

    fn end_where(&self, which: &[Which], stays: &dyn Fn(&Open) -> bool) -> Result<Vec<Ended>, SessionError> {
        let now = self.clock.now();
        let mut table = self.lock();
        let serials = table.serials_where(|open| {
            which.iter().any(|which| match which {
                Which::Short(short) => open.is_named(short),
                Which::Principal(principal) => *open.principal == **principal,
            })
        });
        // Counted before one of them ends: half of what was asked for would be nobody's wish.
        let denying = serials.iter().filter(|serial| table.get(**serial).is_some_and(Open::denies_when_ended)).count();
        if denying > bound::DENIALS_MAX.saturating_sub(table.denied.len()) {
            return Err(SessionError::TooManyDenials);
        }
        let mut ended = Vec::new();
        for serial in serials {
            let Some(open) = table.get(serial) else { continue };
            if stays(open) {
                ended.push(Ended { rows: Vec::new(), ..open.ended("an administrator shut it out") });
                continue;
            }
            let denies = open.denies_when_ended();
            let Some(open) = table.remove(serial) else { continue };
            let mut over = open.ended("an administrator ended it");
            if denies {
                let denial = DenialRecord { credential: open.credential.to_string(), since: now };
                over.rows.extend(record::denial(&denial).ok());
                over.denied = table.denied.insert(Arc::clone(&open.credential));
            }
            ended.push(over);
        }
        drop(table);
        self.announce(&ended);
        Ok(ended)
    }
}

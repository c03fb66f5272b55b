//! Credentials that were verified a moment ago, so that not every request costs a hash; forgotten at any change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::bound;
use crate::base::clock::Clock;
use crate::base::id::{NoEntropy, random_bytes};
use crate::base::principal::Principal;
use crate::base::secret::Secret;
use crate::crypto::digest::{Hash, hmac_sha256};

/// Keyed digests of what was shown, and whom it stood for. The key is this process's own: a dump of the table gives
/// nothing to guess at without it.
#[derive(Debug)]
pub(super) struct Cache {
    clock: Arc<dyn Clock>,
    key: Secret,
    /// Held for a look-up, never across an await.
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Counts the changes: what was verified before one is not remembered after it.
    generation: u64,
    known: HashMap<Hash, (Principal, Duration)>,
}

/// Where a credential stands in the table, whether it is there or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    key: Hash,
    generation: u64,
}

impl Cache {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Result<Self, NoEntropy> {
        Ok(Self { clock, key: Secret::new(random_bytes::<32>()?), table: Mutex::default() })
    }

    /// Whom this stands for, if that was verified in the last five minutes; and where to remember it if not. Taken
    /// before the account is read, so that a change in between is noticed.
    pub(super) fn find(&self, scheme: &str, name: &str, password: &Secret) -> (Place, Option<Principal>) {
        let key = self.digest(scheme, name, password);
        let now = self.clock.monotonic();
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let found = table.known.get(&key).filter(|(_, until)| now < *until).map(|(principal, _)| principal.clone());
        (Place { key, generation: table.generation }, found)
    }

    /// Remembers who was verified, unless something changed since [`Cache::find`]; says whether it did.
    pub(super) fn remember(&self, place: Place, principal: &Principal) -> bool {
        let now = self.clock.monotonic();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.generation != place.generation {
            return false;
        }
        if table.known.len() >= bound::VERIFIED_MAX {
            table.known.retain(|_, (_, until)| now < *until);
            if table.known.len() >= bound::VERIFIED_MAX {
                table.known.clear();
            }
        }
        table.known.insert(place.key, (principal.clone(), now + Duration::from_secs(bound::VERIFIED_SECONDS)));
        true
    }

    /// Something changed: all are verified anew.
    pub(super) fn clear(&self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.generation += 1;
        table.known.clear();
    }

    /// Each part after its length, so that other parts never give the same bytes.
    fn digest(&self, scheme: &str, name: &str, password: &Secret) -> Hash {
        let parts = [scheme.as_bytes(), name.as_bytes(), password.expose_secret()];
        let mut message =
            zeroize::Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum::<usize>()));
        for part in parts {
            message.extend((part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        let mut key = zeroize::Zeroizing::new([0; 32]);
        key.copy_from_slice(self.key.expose_secret());
        hmac_sha256(&key, &message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};
    use crate::base::principal::Role;

    #[test]
    fn a_credential_is_known_for_five_minutes_and_until_something_changes() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let cache = Cache::new(clock.clone()).unwrap();
        let secret = Secret::new("battery staple");
        let ann = Principal::account("ann", Role::Reader);
        let find = |name: &str, password: &Secret| cache.find("basic", name, password);
        let (place, found) = find("ann", &secret);
        assert!(found.is_none() && cache.remember(place, &ann));
        assert_eq!(find("ann", &secret).1, Some(ann.clone()));
        assert!(find("ann", &Secret::new("battery stapl")).1.is_none());
        assert!(find("annb", &Secret::new("attery staple")).1.is_none());
        clock.advance(Duration::from_secs(bound::VERIFIED_SECONDS));
        assert!(find("ann", &secret).1.is_none());

        let (place, _) = find("ann", &secret);
        assert!(cache.remember(place, &ann));
        cache.clear();
        assert!(find("ann", &secret).1.is_none());
        assert!(!cache.remember(place, &ann), "it was verified before the change");
    }

    #[test]
    fn the_table_has_an_end() {
        let cache = Cache::new(Arc::new(ManualClock::at(Timestamp(0)))).unwrap();
        let ann = Principal::account("ann", Role::Reader);
        for number in 0..=bound::VERIFIED_MAX {
            let (place, _) = cache.find("basic", &number.to_string(), &Secret::new("x"));
            cache.remember(place, &ann);
        }
        assert!(cache.table.lock().unwrap().known.len() <= bound::VERIFIED_MAX);
    }
}

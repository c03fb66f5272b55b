//! Name and password (RFC 7617): one hash at a time, the same work for everybody, a pause after each failure.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::base::bound;
use crate::base::clock::Clock;
use crate::base::id::NoEntropy;
use crate::base::network::Network;
use crate::base::secret::Secret;
use crate::crypto::password::PasswordHash;

/// What an `Authorization: Basic ...` header holds, UTF-8 as the challenge asks (section 2.1). `None`: it is for
/// another scheme; an error: it is for this one, and malformed.
pub(super) fn of_header(header: &Secret) -> Option<Result<(String, Secret), &'static str>> {
    let (scheme, credentials) = std::str::from_utf8(header.expose_secret()).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| {
        let bytes = STANDARD.decode(credentials.trim_matches(' ')).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| "the Basic credentials are no base64")?;
        let text = std::str::from_utf8(&bytes).map_err(|_| "the Basic credentials are no UTF-8")?;
        let (name, password) = text.split_once(':').ok_or("the Basic credentials have no colon")?;
        let fits = name.len() <= bound::ACCOUNT_NAME_BYTES_MAX && password.len() <= bound::PASSWORD_BYTES_MAX;
        if !fits || text.chars().any(char::is_control) {
            return Err("the Basic credentials are too long, or have control characters");
        }
        Ok((name.to_owned(), Secret::new(password)))
    })
}

/// Checks passwords for everybody in this process.
#[derive(Debug)]
pub(super) struct Passwords {
    clock: Arc<dyn Clock>,
    /// Checked where there is no account.
    nobody: PasswordHash,
    /// Held while a hash is made: two would take two cores from everybody else.
    hashing: Arc<Semaphore>,
    waiting: Semaphore,
    /// Of them, how many each address has. Held for a look-up, never across an await.
    from: Mutex<HashMap<Network, usize>>,
    /// Held for a look-up, never across an await.
    failures: Mutex<HashMap<String, Failures>>,
}

/// Failures of one name, known or not. The pause comes from these alone: what is stored of an account must not make it
/// wait longer than a name that nobody has.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    /// Since the start, or the last right password.
    count: u32,
    at: Duration,
    unwritten: Unwritten,
}

/// What is to be written down of an account's failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unwritten {
    /// There was a right password; what is stored counts no more.
    cleared: bool,
    added: u32,
}

impl Unwritten {
    /// The count, where `stored` is written down.
    pub(super) fn onto(self, stored: u32) -> u32 {
        if self.cleared { self.added } else { stored.saturating_add(self.added) }
    }
}

/// What a check found.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) fits: bool,
    /// The same password with as many iterations as a hash has today.
    pub(super) upgraded: Option<PasswordHash>,
}

/// Too many wait for their turn.
#[derive(Debug)]
pub(super) struct Busy;

impl Passwords {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Result<Self, NoEntropy> {
        Ok(Self {
            clock,
            nobody: PasswordHash::of_nobody()?,
            hashing: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(bound::PASSWORD_WAITING_MAX),
            from: Mutex::default(),
            failures: Mutex::default(),
        })
    }

    /// Checks `password` against the hash of the account, or against nobody's, which takes as long. A password that is
    /// right for a disabled account is a failure like a wrong one.
    pub(super) async fn check(
        &self,
        name: &str,
        password: &Secret,
        hash: Option<PasswordHash>,
        is_disabled: bool,
        address: IpAddr,
    ) -> Result<Checked, Busy> {
        let _share = self.share(address)?;
        let _waiting = self.waiting.try_acquire().map_err(|_| Busy)?;
        // Each caller waits for itself: a flood of wrong passwords keeps nobody else from trying.
        tokio::time::sleep(self.pause(name)).await;
        let hash = hash.unwrap_or_else(|| self.nobody.clone());
        let own = password.clone();
        let checked = self.alone(move || {
            let fits = hash.fits(&own);
            // Without entropy the old hash stays good.
            let upgraded = (fits && hash.is_outdated()).then(|| PasswordHash::of(&own).ok()).flatten();
            Checked { fits, upgraded }
        });
        let checked = checked.await?;
        if checked.fits && !is_disabled {
            self.succeeded(name);
        } else {
            self.failed(name);
        }
        Ok(checked)
    }

    /// Hashes a new password.
    pub(super) async fn hash(&self, password: &Secret) -> Result<Result<PasswordHash, NoEntropy>, Busy> {
        let password = password.clone();
        self.alone(move || PasswordHash::of(&password)).await
    }

    /// Runs what takes a tenth of a second on a thread for such things, when nobody else does.
    async fn alone<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let turn = Arc::clone(&self.hashing).acquire_owned();
        let patience = Duration::from_millis(bound::PASSWORD_WAIT_MS);
        let Ok(Ok(turn)) = tokio::time::timeout(patience, turn).await else { return Err(Busy) };
        let done = tokio::task::spawn_blocking(move || {
            // Held to the end, even if nobody waits for it any more.
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| Busy)
    }

    /// A place among those of one address: no one takes them all.
    fn share(&self, address: IpAddr) -> Result<Share<'_>, Busy> {
        let is_here = address.to_canonical().is_loopback();
        let most = if is_here { bound::PASSWORD_WAITING_LOOPBACK_MAX } else { bound::PASSWORD_WAITING_PER_ADDRESS_MAX };
        let network = Network::of_subscriber(address);
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        let count = from.get(&network).copied().unwrap_or_default();
        if count >= most {
            return Err(Busy);
        }
        from.insert(network, count + 1);
        Ok(Share { from: &self.from, network })
    }

    fn pause(&self, name: &str) -> Duration {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let until = failures.get(name).map_or(Duration::ZERO, |known| known.at + pause_after(known.count));
        until.saturating_sub(self.clock.monotonic())
    }

    fn failed(&self, name: &str) {
        let now = self.clock.monotonic();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= bound::PASSWORD_FAILURES_MAX && !failures.contains_key(name) {
            let longest = Duration::from_millis(bound::PASSWORD_DELAY_MS_MAX);
            failures.retain(|_, known| known.at + longest > now);
            if failures.len() >= bound::PASSWORD_FAILURES_MAX {
                failures.clear();
            }
        }
        let known = failures.entry(name.to_owned()).or_default();
        known.at = now;
        known.count = known.count.saturating_add(1);
        known.unwritten.added = known.unwritten.added.saturating_add(1);
    }

    /// From now on there was no failure.
    pub(super) fn succeeded(&self, name: &str) {
        let cleared = Failures { unwritten: Unwritten { cleared: true, added: 0 }, ..Failures::default() };
        // Also where there was none since the start: more may be stored.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), cleared);
    }

    /// Wrong passwords since the last right one.
    pub(super) fn failures_of(&self, name: &str, stored: u32) -> u32 {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(name).map_or(stored, |known| known.unwritten.onto(stored))
    }

    /// Takes what changed since the last time.
    pub(super) fn take_changed(&self) -> Vec<(String, Unwritten)> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = failures.iter_mut().map(|(name, known)| (name.clone(), std::mem::take(&mut known.unwritten)));
        taken.filter(|(_, unwritten)| *unwritten != Unwritten::default()).collect()
    }
}

/// Given back when the caller has its answer, or is gone.
#[derive(Debug)]
struct Share<'a> {
    from: &'a Mutex<HashMap<Network, usize>>,
    network: Network,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        match from.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(from.remove(&self.network)),
        }
    }
}

/// Doubles with each failure, up to a bound: accounts are delayed, and never locked.
fn pause_after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause_ms = bound::PASSWORD_DELAY_MS << doublings;
    Duration::from_millis(if failures == 0 { 0 } else { pause_ms.min(bound::PASSWORD_DELAY_MS_MAX) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};

    fn basic(text: &[u8]) -> Secret {
        Secret::new(format!("Basic {}", STANDARD.encode(text)))
    }

    #[test]
    fn a_header_gives_name_and_password() {
        let check = |header: Secret, expect: Option<Result<(&str, &str), ()>>| {
            let found = of_header(&header).map(|found| found.map_err(|_| ()));
            let expect = expect.map(|expect| expect.map(|(name, word)| (name.to_owned(), Secret::new(word))));
            assert_eq!(found, expect, "{:?}", String::from_utf8_lossy(header.expose_secret()));
        };
        check(basic(b"ann:battery staple"), Some(Ok(("ann", "battery staple"))));
        check(basic(b"ann:with:colons"), Some(Ok(("ann", "with:colons"))));
        check(basic(b"ann:"), Some(Ok(("ann", ""))));
        // The example of section 2.1.
        check(Secret::new("Basic dGVzdDoxMjPCow=="), Some(Ok(("test", "123\u{a3}"))));
        check(Secret::new("bAsIc  dGVzdDoxMjPCow== "), Some(Ok(("test", "123\u{a3}"))));
        check(Secret::new("Bearer dGVzdDoxMjPCow=="), None);
        check(Secret::new("Basic"), None);
        check(Secret::new("Basic ?"), Some(Err(())));
        check(basic(b"no colon"), Some(Err(())));
        check(basic(b"ann:\xff"), Some(Err(())));
        check(basic(b"ann:a\nb"), Some(Err(())));
        check(basic(&[&[b'x'; 65][..], b":p"].concat()), Some(Err(())));
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(header: Vec<u8>, text: Vec<u8>) {
            let _any = (of_header(&Secret::new(header)), of_header(&basic(&text)));
        }

        #[test]
        fn what_a_client_writes_is_read(name in "[a-zA-Z0-9._@-]{1,64}", password in "[^\\p{Cc}]{0,200}") {
            let read = of_header(&basic(format!("{name}:{password}").as_bytes())).unwrap().unwrap();
            prop_assert_eq!(read, (name, Secret::new(password)));
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_the_right_password() {
        let ms = |failures| pause_after(failures).as_millis();
        assert_eq!([ms(0), ms(1), ms(2), ms(3), ms(6), ms(7), ms(u32::MAX)], [0, 100, 200, 400, 3200, 5000, 5000]);
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let passwords = Passwords::new(clock.clone()).unwrap();
        clock.advance(Duration::from_secs(100));
        for _ in 0..3 {
            passwords.failed("ann");
        }
        let taken = |stored: u32| -> Vec<(String, u32)> {
            let changed = passwords.take_changed();
            changed.into_iter().map(|(name, unwritten)| (name, unwritten.onto(stored))).collect()
        };
        assert_eq!(passwords.pause("ann").as_millis(), 400);
        assert_eq!(passwords.pause("bob").as_millis(), 0, "one name's failures delay no other");
        assert_eq!(passwords.failures_of("ann", 5), 8, "failures from before a restart count");
        assert_eq!(taken(5), [("ann".to_owned(), 8)]);
        assert!(taken(8).is_empty());
        assert_eq!(passwords.failures_of("ann", 8), 8);
        clock.advance(Duration::from_millis(300));
        assert_eq!(passwords.pause("ann").as_millis(), 100);
        passwords.succeeded("ann");
        assert_eq!(passwords.pause("ann").as_millis(), 0);
        passwords.failed("ann");
        assert_eq!(taken(8), [("ann".to_owned(), 1)]);
    }

    #[test]
    fn one_address_leaves_places_to_others_and_gives_its_own_back() {
        let passwords = Passwords::new(Arc::new(ManualClock::at(Timestamp(0)))).unwrap();
        let share = |address: &str| passwords.share(address.parse().unwrap());
        let check = |address: &str, most: usize| {
            let mut held: Vec<Share<'_>> = (0..most).map(|_| share(address).unwrap()).collect();
            assert!(share(address).is_err());
            held.pop();
            held.push(share(address).unwrap());
            held
        };
        let one = check("203.0.113.7", bound::PASSWORD_WAITING_PER_ADDRESS_MAX);
        assert!(share("::ffff:203.0.113.7").is_err(), "it is the same one");
        let net = check("2001:db8::1", bound::PASSWORD_WAITING_PER_ADDRESS_MAX);
        assert!(share("2001:db8::2").is_err(), "a /64 is one subscriber");
        let here = check("127.0.0.1", bound::PASSWORD_WAITING_LOOPBACK_MAX);
        assert!(share("203.0.113.8").is_ok());
        drop((one, net, here));
        assert!(passwords.from.lock().unwrap().is_empty(), "nothing is remembered of who left");
    }

    #[test]
    fn names_that_failed_are_not_remembered_without_end() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let passwords = Passwords::new(clock).unwrap();
        for number in 0..=bound::PASSWORD_FAILURES_MAX {
            passwords.failed(&number.to_string());
        }
        assert!(passwords.failures.lock().unwrap().len() <= bound::PASSWORD_FAILURES_MAX);
    }
}

//! The vault's door: absent, sealed or open, for everybody in this process; who knocks with a wrong secret waits.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::throttle::Throttle;
use super::{Open, RecoveryKey, Sealed, State, VaultError};
use crate::base::clock::Clock;
use crate::base::secret::Secret;

/// One per process. What needs an open vault asks for an [`Open`] here, and holds on to it no longer than its work
/// takes: a rotation puts another in its place.
#[derive(Debug)]
pub struct Door {
    clock: Arc<dyn Clock>,
    /// Held for a moment, never across an await.
    standing: RwLock<Standing>,
    /// Held while a secret is tried: one derivation at a time.
    throttle: Mutex<Throttle>,
}

#[derive(Debug)]
enum Standing {
    Absent,
    Sealed(Sealed),
    Open(Open),
}

/// With what a sealed vault is opened.
#[derive(Debug)]
pub enum Key<'a> {
    Secret(&'a Secret),
    Recovery(&'a RecoveryKey),
}

impl Door {
    pub fn new(state: State, clock: Arc<dyn Clock>) -> Self {
        let standing = match state {
            State::Absent => Standing::Absent,
            State::Sealed(sealed) => Standing::Sealed(sealed),
        };
        Self { clock, standing: RwLock::new(standing), throttle: Mutex::default() }
    }

    /// The open vault, while it is open.
    pub fn open(&self) -> Option<Open> {
        match &*self.standing.read().unwrap_or_else(PoisonError::into_inner) {
            Standing::Open(open) => Some(open.clone()),
            Standing::Absent | Standing::Sealed(_) => None,
        }
    }

    /// As [`Door::open`], for those who cannot do without.
    pub fn opened(&self) -> Result<Open, VaultError> {
        match &*self.standing.read().unwrap_or_else(PoisonError::into_inner) {
            Standing::Open(open) => Ok(open.clone()),
            Standing::Sealed(_) => Err(VaultError::Sealed),
            Standing::Absent => Err(VaultError::Absent),
        }
    }

    /// "open", "sealed" or "absent".
    pub fn standing(&self) -> &'static str {
        match &*self.standing.read().unwrap_or_else(PoisonError::into_inner) {
            Standing::Open(_) => "open",
            Standing::Sealed(_) => "sealed",
            Standing::Absent => "absent",
        }
    }

    /// Tries a key. Derives for a tenth of a second or longer: not for a thread that serves others. Gives the key that
    /// was derived from a secret, for whoever may keep it.
    pub fn unseal(&self, key: &Key<'_>) -> Result<Option<Secret>, VaultError> {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = match &*self.standing.read().unwrap_or_else(PoisonError::into_inner) {
            Standing::Open(_) => return Ok(None),
            Standing::Absent => return Err(VaultError::Absent),
            Standing::Sealed(sealed) => sealed.clone(),
        };
        throttle.admit(self.clock.monotonic())?;
        let tried = match key {
            Key::Secret(secret) => sealed
                .derive(secret)
                .and_then(|derived| sealed.unseal_derived(&derived).map(|open| (open, Some(derived)))),
            Key::Recovery(recovery) => sealed.unseal_with_recovery(recovery).map(|open| (open, None)),
        };
        match tried {
            Ok((open, derived)) => {
                throttle.succeeded();
                self.replace(open);
                Ok(derived)
            }
            Err(error) => {
                if matches!(error, VaultError::WrongSecret | VaultError::WrongRecoveryKey) {
                    throttle.failed(self.clock.monotonic());
                }
                Err(error)
            }
        }
    }

    /// Tries a secret that is no guess of anybody's, for it comes from our own file; whether it opened the vault.
    pub fn try_once(&self, secret: &Secret) -> Result<bool, VaultError> {
        self.try_with(|sealed| sealed.unseal(secret))
    }

    /// As [`Door::try_once`], with a key that was derived before: at once.
    pub fn try_derived(&self, key: &Secret) -> Result<bool, VaultError> {
        self.try_with(|sealed| sealed.unseal_derived(key))
    }

    fn try_with(&self, unseal: impl FnOnce(&Sealed) -> Result<Open, VaultError>) -> Result<bool, VaultError> {
        let sealed = match &*self.standing.read().unwrap_or_else(PoisonError::into_inner) {
            Standing::Sealed(sealed) => sealed.clone(),
            Standing::Open(_) | Standing::Absent => return Ok(false),
        };
        match unseal(&sealed) {
            Ok(open) => {
                self.replace(open);
                Ok(true)
            }
            Err(VaultError::WrongSecret) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts the vault after a rotation, whose rows are durable, in the place of the one before.
    pub fn replace(&self, next: Open) {
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = Standing::Open(next);
    }

    /// Forgets the keys; `state` is the vault as it is stored.
    pub fn close(&self, state: State) {
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = match state {
            State::Absent => Standing::Absent,
            State::Sealed(sealed) => Standing::Sealed(sealed),
        };
    }
}

//! Tokens of one identity: as they are held in memory, and as they are sealed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::answer::Granted;
use crate::base::bound::oauth as bound;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::crypto::digest::{Hash, sha256};
use crate::store::StoreError;
use crate::store::codec::{self, Record};

/// What an authorization server gave one identity.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    /// None once it is over, or was refused: it was wiped.
    pub(super) access: Option<Secret>,
    /// None: nobody knows, and a 401 says it.
    pub(super) expires: Option<Timestamp>,
    /// From when on it is to be refreshed.
    pub(super) early: Option<Timestamp>,
    pub(super) refresh: Option<Secret>,
    pub(super) scope: Option<String>,
    pub(super) obtained: Timestamp,
}

/// As it is sealed: format `01` of [`codec`], with everything in it, for nothing of it is anybody's business.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct TokensRecord {
    /// Of the binding that they were given for: with another one they are worth nothing.
    binding: Hash,
    /// Whose they are: `service`, or a principal's id.
    whose: String,
    access: Option<Vec<u8>>,
    #[zeroize(skip)]
    expires: Option<Timestamp>,
    #[zeroize(skip)]
    early: Option<Timestamp>,
    refresh: Option<Vec<u8>>,
    scope: Option<String>,
    #[zeroize(skip)]
    obtained: Timestamp,
}

impl Record for TokensRecord {
    const TABLE: &'static str = "connector_tokens";
}

impl Tokens {
    /// `before`: what is kept where the server gives no new one (RFC 6749, section 6: refresh token, scope).
    pub(super) fn of(granted: Granted, before: Option<Self>, now: Timestamp) -> Self {
        let Granted { access, life, refresh, scope } = granted;
        let (kept, kept_scope) = before.map_or((None, None), |before| (before.refresh, before.scope));
        let early = |life: Duration| (life / 10).min(Duration::from_secs(bound::OAUTH_EARLY_SECONDS));
        Self {
            access: Some(access),
            expires: life.map(|life| now.plus(life)),
            early: life.map(|life| now.plus(life.saturating_sub(early(life)))),
            refresh: refresh.or(kept),
            scope: scope.or(kept_scope),
            obtained: now,
        }
    }

    /// The access token, if it need not be refreshed yet.
    pub(super) fn fresh(&self, now: Timestamp) -> Option<&Secret> {
        self.access.as_ref().filter(|_| self.early.is_none_or(|early| now < early))
    }

    /// The access token, as long as it is any good.
    pub(super) fn usable(&self, now: Timestamp) -> Option<&Secret> {
        self.access.as_ref().filter(|_| self.expires.is_none_or(|expires| now < expires))
    }

    /// Wipes the access token once it is over.
    pub(super) fn expire(&mut self, now: Timestamp) {
        if self.usable(now).is_none() {
            self.access = None;
        }
    }

    pub(super) fn sealable(&self, binding: &Hash, whose: &str) -> Result<Secret, StoreError> {
        let bytes = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose_secret().to_vec());
        codec::encode_secret(&TokensRecord {
            binding: *binding,
            whose: whose.to_owned(),
            access: bytes(&self.access),
            expires: self.expires,
            early: self.early,
            refresh: bytes(&self.refresh),
            scope: self.scope.clone(),
            obtained: self.obtained,
        })
    }

    /// What [`Tokens::sealable`] gave; `None` where it is of another binding or identity.
    pub(super) fn of_sealed(text: &Secret, binding: &Hash, whose: &str) -> Result<Option<Self>, StoreError> {
        let mut record: TokensRecord = codec::decode(text.expose_secret())?;
        if record.binding != *binding || record.whose != whose {
            return Ok(None);
        }
        Ok(Some(Self {
            access: record.access.take().map(Secret::new),
            expires: record.expires,
            early: record.early,
            refresh: record.refresh.take().map(Secret::new),
            scope: record.scope.take(),
            obtained: record.obtained,
        }))
    }
}

/// Whose tokens these are, if they are of this binding.
pub(super) fn whose_of_sealed(text: &Secret, binding: &Hash) -> Option<String> {
    let mut record: TokensRecord = codec::decode(text.expose_secret()).ok()?;
    (record.binding == *binding).then(|| std::mem::take(&mut record.whose))
}

/// The row's key: connector, 0, SHA-256 of whose the tokens are.
pub(super) fn key(connector: &str, whose: &str) -> Vec<u8> {
    [&prefix(connector)[..], &sha256(&[whose.as_bytes()])].concat()
}

/// All tokens of a connector.
pub(super) fn prefix(connector: &str) -> Vec<u8> {
    [connector.as_bytes(), &[0]].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn granted(access: &str, life_s: Option<u64>, refresh: Option<&str>) -> Granted {
        let life = life_s.map(Duration::from_secs);
        Granted { access: Secret::new(access), life, refresh: refresh.map(Secret::new), scope: None }
    }

    #[test]
    fn a_token_is_refreshed_before_it_ends_and_wiped_when_it_has() {
        let mut tokens = Tokens::of(granted("a", Some(3600), Some("r")), None, NOW);
        assert!(tokens.fresh(NOW.plus(Duration::from_secs(3539))).is_some());
        let late = NOW.plus(Duration::from_secs(3541));
        assert!(tokens.fresh(late).is_none() && tokens.usable(late).is_some());
        tokens.expire(late);
        assert!(tokens.access.is_some());
        tokens.expire(NOW.plus(Duration::from_secs(3600)));
        assert!(tokens.access.is_none() && tokens.refresh.is_some());
        let short = Tokens::of(granted("a", Some(10), None), None, NOW);
        assert!(short.fresh(NOW.plus(Duration::from_secs(8))).is_some());
        assert!(short.fresh(NOW.plus(Duration::from_secs(9))).is_none());
        let endless = Tokens::of(granted("a", None, None), None, NOW);
        assert!(endless.fresh(Timestamp(u64::MAX)).is_some());
    }

    #[test]
    fn a_server_that_gives_no_new_refresh_token_lets_us_keep_the_old_one() {
        let first = Tokens::of(granted("a", None, Some("one")), None, NOW);
        let second = Tokens::of(granted("b", None, None), Some(first.clone()), NOW);
        assert_eq!(second.refresh, Some(Secret::new("one")));
        let third = Tokens::of(granted("c", None, Some("two")), Some(first), NOW);
        assert_eq!(third.refresh, Some(Secret::new("two")));
    }

    proptest! {
        #[test]
        fn what_was_sealed_comes_back_to_its_own_identity_and_binding_only(
            access: String, refresh: Option<String>, life_s: Option<u32>, whose: String, other: String,
        ) {
            let granted = granted(&access, life_s.map(u64::from), refresh.as_deref());
            let tokens = Tokens::of(granted, None, NOW);
            let text = tokens.sealable(&[1; 32], &whose).unwrap();
            let again = Tokens::of_sealed(&text, &[1; 32], &whose).unwrap().unwrap();
            prop_assert_eq!((again.access, again.refresh), (tokens.access, tokens.refresh));
            prop_assert_eq!((again.expires, again.early), (tokens.expires, tokens.early));
            prop_assert!(Tokens::of_sealed(&text, &[2; 32], &whose).unwrap().is_none());
            prop_assert_eq!(Tokens::of_sealed(&text, &[1; 32], &other).unwrap().is_some(), whose == other);
        }
    }
}

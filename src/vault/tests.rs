//! The vault as a whole: what opens it, what does not, and what a change leaves behind.

use super::key::KeyState;
use super::*;
use crate::base::bound;
use crate::base::id::hex;
use crate::store::no_log::NoLog;
use crate::store::{Batch, Store};

/// A database with an id, in a directory of its own.
pub(super) struct Rig {
    store: Store,
    runtime: tokio::runtime::Runtime,
    _directory: tempfile::TempDir,
}

impl Rig {
    pub(super) fn new(rows: &[Put]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sekisho.redb");
        let mut first = vec![Put::new(Table::Meta, KEY_DATABASE_ID, ID.to_vec())];
        first.extend_from_slice(rows);
        Store::create(&path, &first).unwrap();
        let store = Store::open(&path).unwrap().start(Box::new(NoLog)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { store, runtime, _directory: directory }
    }

    pub(super) fn commit(&self, rows: Vec<Put>) {
        self.runtime.block_on(self.store.commit(Batch::puts(rows))).unwrap();
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Snapshot) -> T) -> T {
        self.store.read(|snapshot| Ok::<_, StoreError>(look(snapshot))).unwrap()
    }

    fn state(&self) -> Result<State, VaultError> {
        self.read(state)
    }

    pub(super) fn sealed(&self) -> Sealed {
        match self.state().unwrap() {
            State::Sealed(sealed) => sealed,
            State::Absent => panic!("there is no vault"),
        }
    }
}

pub(super) const ID: DatabaseId = *b"a database's id.";
const DAY: Duration = Duration::from_secs(86_400);
pub(super) const NOW: Timestamp = Timestamp(1_790_000_000_000);
const TABLE: Table = Table::Credentials;

pub(super) fn secret() -> Secret {
    Secret::new("correct horse")
}

/// Enough for a test; see `a_vault_of_the_default_strength_opens`.
pub(super) fn few() -> Iterations {
    Iterations::stored(1).unwrap()
}

pub(super) fn created() -> Created {
    create(ID, &secret(), few(), NOW).unwrap()
}

pub(super) fn seal(open: &Open, text: &[u8]) -> Vec<u8> {
    open.seal(Purpose::Credentials, TABLE, b"row", text).unwrap().bytes
}

pub(super) fn unseal(open: &Open, sealed: &[u8]) -> Result<Secret, VaultError> {
    open.unseal(Purpose::Credentials, TABLE, b"row", sealed)
}

/// The vault as it is stored after `rows`, without a database.
pub(super) fn stored(rows: &[Put]) -> Sealed {
    let value = |key: &[u8]| rows.iter().rfind(|row| row.key == key).unwrap().value.clone().unwrap();
    Sealed {
        database_id: ID,
        slots: Slots {
            passphrase: codec::decode(&value(SlotKind::Passphrase.row_key())).unwrap(),
            recovery: codec::decode(&value(SlotKind::Recovery.row_key())).unwrap(),
        },
        keyring: value(key::ROW_KEY),
        counts: Some(Arc::default()),
    }
}

#[test]
fn a_vault_opens_with_its_secret_or_its_recovery_key_and_no_other() {
    let made = created();
    let sealed = seal(&made.open, b"text");
    let rig = Rig::new(&made.rows);
    let vault = rig.sealed();
    assert_eq!(unseal(&vault.unseal(&secret()).unwrap(), &sealed).unwrap(), Secret::new("text"));
    let shown = RecoveryKey::parse(&made.recovery.text()).unwrap();
    assert_eq!(unseal(&vault.unseal_with_recovery(&shown).unwrap(), &sealed).unwrap(), Secret::new("text"));
    for wrong in ["", "Correct horse", "correct horse\n"] {
        assert!(matches!(vault.unseal(&Secret::new(wrong)), Err(VaultError::WrongSecret)), "{wrong:?}");
    }
    let other = created().recovery;
    assert!(matches!(vault.unseal_with_recovery(&other), Err(VaultError::WrongRecoveryKey)));
}

#[test]
fn a_vault_of_the_default_strength_opens() {
    let made = create(ID, &secret(), Iterations::default(), NOW).unwrap();
    stored(&made.rows).unseal(&secret()).unwrap();
}

#[test]
fn a_vault_needs_a_secret_of_some_length() {
    for text in [String::new(), "a".repeat(4097)] {
        let error = create(ID, &Secret::new(text.clone()), few(), NOW).unwrap_err();
        assert!(matches!(error, VaultError::SecretLength { found, .. } if found == text.len()), "{error}");
    }
}

#[test]
fn no_vault_is_absent_and_half_a_vault_is_damaged() {
    let rig = Rig::new(&[]);
    assert!(matches!(rig.state().unwrap(), State::Absent));
    let made = created();
    for (at, row) in made.rows.iter().enumerate() {
        rig.commit(vec![row.clone()]);
        let damaged = matches!(rig.state(), Err(VaultError::Damaged(_)));
        assert_eq!(damaged, at + 1 < made.rows.len());
    }
    rig.commit(vec![Put::delete(Table::Meta, KEY_DATABASE_ID)]);
    assert!(matches!(rig.state(), Err(VaultError::Damaged(_))));
}

#[test]
fn a_slot_or_keyring_from_elsewhere_does_not_open() {
    let (made, other) = (created(), created());
    let (vault, foreign) = (stored(&made.rows), stored(&other.rows));
    let copied = Sealed { database_id: *b"another database", ..vault.clone() };
    assert!(matches!(copied.unseal(&secret()), Err(VaultError::WrongSecret)));
    assert!(matches!(copied.unseal_with_recovery(&made.recovery), Err(VaultError::WrongRecoveryKey)));
    let mixed = Sealed { keyring: foreign.keyring, ..vault.clone() };
    assert!(matches!(mixed.unseal(&secret()), Err(VaultError::Damaged(_))));
    let Slots { passphrase, recovery } = vault.slots.clone();
    let swapped = Sealed { slots: Slots { passphrase: recovery, recovery: passphrase }, ..vault };
    assert!(matches!(swapped.unseal(&secret()), Err(VaultError::Damaged(_))));
    assert!(matches!(swapped.unseal_with_recovery(&made.recovery), Err(VaultError::Damaged(_))));
}

#[test]
fn a_sealed_value_opens_in_its_own_place_only() {
    let open = created().open;
    let sealed = seal(&open, b"text");
    let elsewhere = create(*b"another database", &secret(), few(), NOW).unwrap().open;
    // The same keys under another id: the id alone must refuse.
    let Open { inner } = &open;
    let renamed =
        Open::of([0; 16], inner.root.clone(), inner.slots.clone(), inner.keyring.clone(), inner.keyring_sealed.clone());
    let tries = [
        open.unseal(Purpose::Credentials, TABLE, b"rov", &sealed),
        open.unseal(Purpose::Credentials, TABLE, b"row\0", &sealed),
        open.unseal(Purpose::Credentials, Table::CredentialHistory, b"row", &sealed),
        open.unseal(Purpose::Sessions, TABLE, b"row", &sealed),
        open.unwrap_backup_key(b"row", &sealed),
        unseal(&elsewhere, &sealed),
        unseal(&renamed, &sealed),
    ];
    for tried in tries {
        assert!(matches!(tried, Err(VaultError::DoesNotOpen { .. })), "{tried:?}");
    }
    assert_eq!(unseal(&open, &sealed).unwrap(), Secret::new("text"));
}

#[test]
fn a_value_that_claims_another_version_does_not_open() {
    let first = created().open;
    let second = first.rotate(&[Purpose::Credentials], NOW).unwrap().next;
    let mut sealed = seal(&first, b"text");
    sealed[4] = 2;
    assert!(matches!(unseal(&second, &sealed), Err(VaultError::DoesNotOpen { version: 2, .. })));
    sealed[4] = 9;
    assert!(matches!(unseal(&second, &sealed), Err(VaultError::NoKey { version: 9, .. })));
}

#[test]
fn the_recovery_key_outlives_the_passphrase_and_the_other_way_round() {
    let made = created();
    let sealed = seal(&made.open, b"text");
    let rig = Rig::new(&made.rows);
    let Change { rows, next } = made.open.change_secret(&Secret::new("battery staple"), few()).unwrap();
    assert_eq!(rows.len(), 1, "a new passphrase rewrites one record");
    rig.commit(rows);
    assert!(matches!(rig.sealed().unseal(&secret()), Err(VaultError::WrongSecret)));
    rig.sealed().unseal(&Secret::new("battery staple")).unwrap();
    unseal(&rig.sealed().unseal_with_recovery(&made.recovery).unwrap(), &sealed).unwrap();

    let (Change { rows, next }, recovery) = next.new_recovery().unwrap();
    assert_eq!(rows.len(), 1);
    rig.commit(rows);
    assert!(matches!(rig.sealed().unseal_with_recovery(&made.recovery), Err(VaultError::WrongRecoveryKey)));
    rig.sealed().unseal_with_recovery(&recovery).unwrap();
    rig.sealed().unseal(&Secret::new("battery staple")).unwrap();
    // What a backup made now carries are the slots of now.
    let backup = Sealed::from_backup(&next.backup_keys().unwrap()).unwrap();
    assert!(backup.unseal(&secret()).is_err());
    backup.unseal(&Secret::new("battery staple")).unwrap();
    backup.unseal_with_recovery(&recovery).unwrap();
}

#[test]
fn a_rotated_key_opens_until_it_is_retired() {
    let made = created();
    let rig = Rig::new(&made.rows);
    let old = seal(&made.open, b"old");
    let later = NOW.plus(DAY);
    let Change { rows, next } = made.open.rotate(&[Purpose::Credentials, Purpose::Credentials], later).unwrap();
    rig.commit(rows);
    let open = rig.sealed().unseal(&secret()).unwrap();
    let new = seal(&open, b"new");
    assert_eq!((open.active(Purpose::Credentials), open.versions(Purpose::Credentials)), (2, vec![1, 2]));
    assert_eq!(open.versions(Purpose::Sessions), [1]);
    assert!(open.needs_reseal(Purpose::Credentials, &old) && !open.needs_reseal(Purpose::Credentials, &new));
    assert_eq!(unseal(&open, &old).unwrap(), Secret::new("old"));
    assert_eq!(unseal(&next, &new).unwrap(), Secret::new("new"));
    let facts: Vec<_> = open.keys().into_iter().filter(|key| key.purpose == Purpose::Credentials).collect();
    assert_eq!(
        facts.iter().map(|key| key.state).collect::<Vec<_>>(),
        [KeyState::DestroyedWhenUnused, KeyState::Active]
    );
    assert_eq!(facts.iter().map(|key| key.created).collect::<Vec<_>>(), [NOW, later]);

    let refused = |purpose, version| open.retire(purpose, &[version]).map(|change| change.next).unwrap_err();
    assert!(matches!(refused(Purpose::Credentials, 2), VaultError::StillNeeded { version: 2, .. }));
    assert!(matches!(refused(Purpose::Credentials, 3), VaultError::NoKey { version: 3, .. }));
    rig.commit(open.retire(Purpose::Credentials, &[1]).unwrap().rows);
    let open = rig.sealed().unseal(&secret()).unwrap();
    assert_eq!(open.versions(Purpose::Credentials), [2]);
    assert!(matches!(unseal(&open, &old), Err(VaultError::NoKey { version: 1, .. })));
    // A version that was destroyed does not come again.
    let open = open.rotate(&Purpose::ALL, later).unwrap().next;
    assert_eq!((open.active(Purpose::Credentials), open.active(Purpose::Logs)), (3, 2));
}

#[test]
fn what_old_entries_need_is_never_retired() {
    let made = created();
    let before = made.open.mac(Purpose::Pseudonyms, "subject", b"ann").unwrap();
    let seed = made.open.signing_seed(1).unwrap();
    let open = made.open.rotate(&[Purpose::Pseudonyms, Purpose::Signing], NOW).unwrap().next;
    for purpose in [Purpose::Pseudonyms, Purpose::Signing] {
        assert!(matches!(open.retire(purpose, &[1]), Err(VaultError::StillNeeded { .. })));
    }
    assert_ne!(open.mac(Purpose::Pseudonyms, "subject", b"ann").unwrap(), before);
    assert_eq!(open.mac_with(Purpose::Pseudonyms, 1, "subject", b"ann").unwrap(), before.1);
    assert_eq!(open.signing_seed(1).unwrap(), seed);
    assert_ne!(open.signing_seed(2).unwrap(), seed);
}

#[test]
fn the_keyring_takes_a_bounded_number_of_versions() {
    let mut open = created().open;
    for _ in 1..bound::KEY_VERSIONS_MAX {
        let keyring = open.inner.keyring.rotated(&Purpose::ALL, NOW).unwrap();
        open = Open::of(ID, open.inner.root.clone(), open.inner.slots.clone(), keyring, Vec::new());
    }
    assert!(matches!(open.rotate(&[Purpose::Logs], NOW), Err(VaultError::TooManyVersions { .. })));
    // The largest keyring fits into its row.
    let sealed = open.inner.keyring.seal(&open.inner.root, &ID).unwrap();
    let opened = Keyring::open(&open.inner.root, &ID, &sealed, None).unwrap();
    assert_eq!(opened.versions(Purpose::Signing).count(), bound::KEY_VERSIONS_MAX);
}

#[test]
fn derived_keys_differ_by_purpose_usage_and_label() {
    let open = created().open;
    let key = |purpose, label| hex(open.subkey(purpose, label).unwrap().1.expose_secret());
    let mac = |purpose, domain| hex(&open.mac(purpose, domain, b"").unwrap().1);
    let all = [
        key(Purpose::Logs, "a"),
        key(Purpose::Logs, "b"),
        key(Purpose::Sessions, "a"),
        key(Purpose::Signing, ""),
        hex(open.signing_seed(1).unwrap().expose_secret()),
        mac(Purpose::Pseudonyms, "a"),
        mac(Purpose::Pseudonyms, "b"),
        mac(Purpose::Logs, "a"),
    ];
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(open.subkey_with(Purpose::Logs, 1, "a").unwrap(), open.subkey(Purpose::Logs, "a").unwrap().1);
}

#[test]
fn keys_are_due_by_age_or_by_use() {
    let made = created();
    let week = Some(7 * DAY);
    assert!(made.open.rotation_due(Timestamp(NOW.plus(7 * DAY).0 - 1), week).is_empty());
    let due = made.open.rotation_due(NOW.plus(7 * DAY), week);
    assert_eq!(due.len(), 5);
    assert!(!due.contains(&Purpose::Pseudonyms) && !due.contains(&Purpose::Signing));
    assert!(made.open.rotation_due(NOW.plus(1000 * DAY), None).is_empty());

    let mut vault = stored(&made.rows);
    let mut used = |uses| {
        vault.counts = Some(Arc::new([((Purpose::Logs, 1), uses), ((Purpose::Signing, 1), uses)].into()));
        vault.unseal(&secret()).unwrap()
    };
    assert!(used(bound::KEY_USES_ROTATE - 1).rotation_due(NOW, None).is_empty());
    let worn = used(bound::KEY_USES_ROTATE);
    assert_eq!(worn.rotation_due(NOW, None), [Purpose::Logs, Purpose::Signing]);
    drop(worn.seal(Purpose::Logs, TABLE, b"row", b"still seals").unwrap());
    let ended = used(bound::KEY_USES_MAX);
    assert!(matches!(ended.seal(Purpose::Logs, TABLE, b"", b""), Err(VaultError::Exhausted(Purpose::Logs))));
    let next = ended.rotate(&[Purpose::Logs], NOW).unwrap().next;
    assert!(next.rotation_due(NOW, None) == [Purpose::Signing]);
    drop(next.seal(Purpose::Logs, TABLE, b"", b"").unwrap());
}

#[test]
fn uses_are_counted_ahead_and_survive_a_crash() {
    let made = created();
    let rig = Rig::new(&made.rows);
    let uses = |open: &Open| open.keys()[Purpose::Credentials as usize].uses.unwrap();
    // Nobody commits this one: its count is needed again.
    let lost = made.open.seal(Purpose::Credentials, TABLE, b"row", b"").unwrap();
    let sealed = made.open.seal(Purpose::Credentials, TABLE, b"row", b"").unwrap();
    assert!(lost.reservation.is_some());
    let mut rows = Vec::new();
    drop(lost.into_bytes(&mut rows));
    drop(sealed.into_bytes(&mut rows));
    assert_eq!(rows.len(), 1, "one row covers both");
    let counts = count::counts_in(&rows);
    rig.commit(rows);
    made.open.confirm(&counts);
    assert!(made.open.seal(Purpose::Credentials, TABLE, b"row", b"").unwrap().reservation.is_none());
    assert_eq!(uses(&made.open), 3);
    // A rotation of other keys goes on counting with the same counter.
    let next = made.open.rotate(&[Purpose::Logs], NOW).unwrap().next;
    assert!(next.seal(Purpose::Credentials, TABLE, b"row", b"").unwrap().reservation.is_none());
    assert_eq!(uses(&made.open), 4);
    let reopened = rig.sealed().unseal(&secret()).unwrap();
    assert_eq!(uses(&reopened), bound::NONCE_RESERVATION);
    assert!(reopened.seal(Purpose::Credentials, TABLE, b"row", b"").unwrap().reservation.is_some());
    // The counts of destroyed keys go with them.
    let Change { rows, next } = reopened.rotate(&[Purpose::Credentials], NOW).unwrap();
    rig.commit(rows);
    rig.commit(next.retire(Purpose::Credentials, &[1]).unwrap().rows);
    assert!(rig.read(count::read).unwrap().is_empty());
    rig.commit(vec![Put::new(Table::Vault, b"count/logs/1", vec![0; 8])]);
    assert!(matches!(rig.state(), Err(VaultError::Damaged(_))));
}

#[test]
fn a_rekeyed_vault_has_other_keys_and_keeps_what_old_entries_need() {
    let made = created();
    let rig = Rig::new(&made.rows);
    let sealed = made.open.seal(Purpose::Credentials, TABLE, b"row", b"text").unwrap();
    rig.commit(sealed.reservation.into_iter().collect());
    let pseudonym = made.open.mac(Purpose::Pseudonyms, "subject", b"ann").unwrap().1;
    let new = made.open.rekeyed(&Secret::new("battery staple"), few(), NOW).unwrap();
    let mut rows = new.rows;
    let text = unseal(&made.open, &sealed.bytes).unwrap();
    let again = new.open.seal(Purpose::Credentials, TABLE, b"row", text.expose_secret()).unwrap().into_bytes(&mut rows);
    rig.commit(rows);
    assert!(matches!(rig.sealed().unseal(&secret()), Err(VaultError::WrongSecret)));
    assert!(matches!(rig.sealed().unseal_with_recovery(&made.recovery), Err(VaultError::WrongRecoveryKey)));
    let open = rig.sealed().unseal_with_recovery(&new.recovery).unwrap();
    assert_ne!(open.inner.root, made.open.inner.root);
    assert_eq!((open.versions(Purpose::Credentials), open.versions(Purpose::Signing)), (vec![2], vec![1, 2]));
    assert!(matches!(unseal(&open, &sealed.bytes), Err(VaultError::NoKey { .. })));
    assert_eq!(unseal(&open, &again).unwrap(), Secret::new("text"));
    assert_eq!(open.mac_with(Purpose::Pseudonyms, 1, "subject", b"ann").unwrap(), pseudonym);
    assert_eq!(open.signing_seed(1).unwrap(), made.open.signing_seed(1).unwrap());
    let counts = rig.read(count::read).unwrap();
    assert_eq!(counts.into_keys().collect::<Vec<_>>(), [(Purpose::Credentials, 2)]);
}

#[test]
fn a_backup_opens_on_another_machine_and_seals_nothing() {
    let made = created();
    let stream = Secret::random().unwrap();
    let wrapped = made.open.wrap_backup_key(b"backup 7", &stream).unwrap();
    assert!(wrapped.reservation.is_some());
    let header = made.open.backup_keys().unwrap();
    let backup = Sealed::from_backup(&header).unwrap();
    for open in [backup.unseal(&secret()).unwrap(), backup.unseal_with_recovery(&made.recovery).unwrap()] {
        assert_eq!(open.unwrap_backup_key(b"backup 7", &wrapped.bytes).unwrap(), stream);
        assert!(open.unwrap_backup_key(b"backup 8", &wrapped.bytes).is_err());
        assert!(matches!(open.seal(Purpose::Logs, TABLE, b"", b""), Err(VaultError::OpensOnly)));
        assert!(open.keys().iter().all(|key| key.uses.is_none()));
    }
    assert!(Sealed::from_backup(&header[..header.len() - 1]).is_err());
}

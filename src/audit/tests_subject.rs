//! What is personal: sealed for its entry, gone with its subject's key, and never brought back by a call under way.

use std::sync::Arc;

use super::entry::{self, Draft, Event, Outcome};
use super::log::LogHook;
use super::verify::Against;
use super::{Audit, AuditError, Disclosed};
use crate::base::bound;
use crate::base::clock::{Clock, ManualClock, Timestamp};
use crate::base::secret::Secret;
use crate::crypto::password::Iterations;
use crate::store::table::Table;
use crate::store::{Put, Store, codec};
use crate::vault;
use crate::vault::door::{Door, Key};

struct Rig {
    audit: Audit,
    clock: Arc<ManualClock>,
    vault: Arc<Door>,
    _directory: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sekisho.redb");
        let (secret, now) = (Secret::new("a secret of tests"), Timestamp(1_790_000_000_000));
        let made = vault::create([7; 16], &secret, Iterations::stored(1000).unwrap(), now).unwrap();
        let mut rows = made.rows;
        rows.push(Put::new(Table::Meta, b"database_id", vec![7; 16]));
        Store::create(&path, &rows).unwrap();
        let opened = Store::open(&path).unwrap();
        let hook = LogHook::of(&opened).unwrap();
        let store = opened.start(Box::new(hook)).unwrap();
        let clock = Arc::new(ManualClock::at(now));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let vault = Arc::new(Door::new(store.read(vault::state).unwrap(), Arc::clone(&shared)));
        vault.unseal(&Key::Secret(&secret)).unwrap();
        let audit = Audit::new(store, shared, Arc::clone(&vault));
        Self { audit, clock, vault, _directory: directory }
    }

    fn draft(&self, principal: &str) -> Draft {
        let mut draft = Draft::new(Event::Call, "http", self.clock.now());
        draft.personal.principal = Some(principal.to_owned());
        draft.personal.peer = Some("192.0.2.7".into());
        draft
    }

    async fn append(&self, principal: &str) -> u64 {
        self.audit.append(self.draft(principal), Outcome::Done, None).await.unwrap()
    }

    fn personal(&self, sequence: u64) -> Disclosed {
        self.audit.read(sequence, 1).unwrap().remove(0).personal
    }
}

fn principal(personal: &Disclosed) -> Option<&str> {
    match personal {
        Disclosed::Open(personal) => personal.principal.as_deref(),
        Disclosed::Sealed | Disclosed::Erased | Disclosed::Damaged => None,
    }
}

#[tokio::test]
async fn a_leaf_holds_a_pseudonym_and_no_name() {
    let rig = Rig::new();
    let first = rig.append("token:ann-of-the-harbour").await;
    let second = rig.append("token:ann-of-the-harbour").await;
    let leaves = rig.audit.leaves(first, 10).unwrap();
    for (_, leaf) in &leaves {
        assert!(!leaf.windows(6).any(|window| window == b"ann-of"), "a name in a leaf");
        assert!(!leaf.windows(9).any(|window| window == b"192.0.2.7"), "an address in a leaf");
    }
    let entries = rig.audit.read(first, 2).unwrap();
    assert_eq!(entries[0].entry.subject, entries[1].entry.subject);
    assert_eq!(principal(&rig.personal(second)), Some("token:ann-of-the-harbour"));
}

#[tokio::test]
async fn the_sealed_part_of_one_entry_does_not_open_in_another() {
    let rig = Rig::new();
    let (first, second) = (rig.append("ann").await, rig.append("ann").await);
    let leaves = rig.audit.leaves(first, 2).unwrap();
    let (one, _) = entry::of_leaf(&leaves[0].1).unwrap();
    let (mut other, _) = entry::of_leaf(&leaves[1].1).unwrap();
    assert_eq!((first, second), (0, 1));
    assert!(matches!(rig.audit.disclosed(&one).unwrap(), Disclosed::Open(_)));
    other.sealed.clone_from(&one.sealed);
    other.duration_ms += 1;
    assert_eq!(rig.audit.disclosed(&other).unwrap(), Disclosed::Damaged);
}

#[tokio::test]
async fn a_sealed_vault_leaves_nothing_personal_behind() {
    let rig = Rig::new();
    let before = rig.append("ann").await;
    let store = rig.audit.store().clone();
    rig.vault.close(store.read(vault::state).unwrap());
    rig.audit.forget_subjects();
    let during = rig.append("ann").await;
    assert_eq!(rig.personal(before), Disclosed::Sealed);
    let entry = rig.audit.read(during, 1).unwrap().remove(0).entry;
    assert_eq!((&entry.subject, &entry.sealed, &entry.argument_digest), (&None, &None, &None));
    assert!(matches!(rig.audit.erase("ann", rig.draft("root")).await, Err(AuditError::Vault(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_under_way_do_not_bring_an_erased_key_back() {
    let rig = Arc::new(Rig::new());
    rig.append("ann").await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let rig = Arc::clone(&rig);
        calls.spawn(async move {
            for _ in 0..40 {
                rig.append("ann").await;
            }
        });
    }
    let erased = rig.audit.erase("ann", rig.draft("root")).await.unwrap();
    calls.join_all().await;
    assert_eq!(erased.len(), 1);
    let all = rig.audit.read(0, bound::AUDIT_PAGE_ENTRIES_MAX).unwrap();
    let at = all.iter().position(|it| it.entry.operation.as_deref() == Some(super::ERASE)).unwrap();
    for before in &all[..at] {
        // After the erasure ann has a new key under her old pseudonym; it opens nothing of before.
        assert_eq!(before.personal, Disclosed::Erased, "{before:?}");
    }
    for after in all[at + 1..].iter().filter(|it| it.entry.subject.as_ref() == Some(&erased[0])) {
        assert_eq!(principal(&after.personal), Some("ann"));
    }
    assert_eq!(rig.audit.erasures().unwrap().len(), 1);
    assert!(rig.audit.verify(&Against::default()).unwrap().is_sound());
}

#[tokio::test]
async fn uses_of_a_subjects_key_are_counted_ahead() {
    let rig = Rig::new();
    let sequence = rig.append("ann").await;
    let pseudonym = rig.audit.read(sequence, 1).unwrap().remove(0).entry.subject.clone().unwrap();
    let counted = || {
        let row = rig.audit.store().read(|snapshot| snapshot.get(Table::Subjects, pseudonym.as_bytes())).unwrap();
        codec::decode::<super::subject::SubjectRecord>(&row.unwrap()).unwrap().uses
    };
    let ahead = counted();
    assert!(ahead >= bound::SUBJECT_USES_RESERVED, "{ahead}");
    rig.append("ann").await;
    assert_eq!(counted(), ahead, "not every entry writes the count");
}

#[tokio::test]
async fn a_prune_keeps_whole_tiles_and_the_log_sound() {
    let rig = Rig::new();
    for _ in 0..600 {
        rig.append("ann").await;
    }
    let pruned = rig.audit.prune_before(590, rig.draft("root")).await.unwrap();
    assert_eq!((pruned.entries, pruned.first), (512, 512));
    assert_eq!(rig.audit.leaves(0, 1).unwrap()[0].0, 512);
    assert!(rig.audit.verify(&Against::default()).unwrap().is_sound());
    let again = rig.audit.prune_before(590, rig.draft("root")).await.unwrap();
    assert_eq!(again.entries, 0);
    let looks = std::cell::Cell::new(0);
    let stopped = rig.audit.verify_until(&Against::default(), &|| looks.replace(looks.get() + 1) >= 2);
    assert!(stopped.is_err() && looks.get() == 3, "nobody waits for it any more, so nothing is read: {stopped:?}");
    assert!(rig.audit.verify_until(&Against::default(), &|| false).unwrap().is_sound());
}

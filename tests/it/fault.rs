//! The disk fails at any operation, or is full from there on: no panic, no hang, no false acknowledgement; and once
//! it is well again the store works again by itself.

use std::sync::Arc;
use std::time::Duration;

use sekisho::audit::log::LogHook;
use sekisho::base::bound;
use sekisho::store::disk::Disk as _;
use sekisho::store::table::Table;
use sekisho::store::{Batch, CommitHook, Health, Put, Sealed, Snapshot, Store, StoreError};
use tokio::time::timeout;

use crate::dice::Dice;
use crate::disk::{Fault, FaultKind, SimulatedDisk};
use crate::harness::{PATIENCE, is_soak};
use crate::workload::{Acknowledge, Rig, Told, formatted};

const ROUNDS: usize = 3;

const INTERVAL: Duration = Duration::from_millis(bound::STORE_RETRY_INTERVAL_MS);

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, work).await.expect("the store hangs") })
}

/// Each operation of the workload is the one at which it begins; in an ordinary run, each third.
fn at_every_operation(kind: FaultKind) {
    let formatted = formatted();
    let stride = if is_soak() { 1 } else { 3 };
    let operations = fails_and_recovers(&formatted.twin(), None).unwrap().operations;
    let mut noticed = 0;
    for from in (0..operations).step_by(stride) {
        let disk = formatted.twin();
        match fails_and_recovers(&disk, Some(Fault { from, kind })) {
            Ok(survived) => noticed += usize::from(!survived.all_well),
            Err(what) => panic!("{kind:?} at operation {from} of {operations}: {what}"),
        }
    }
    let tried = (0..operations).step_by(stride).count();
    eprintln!("{kind:?}: {operations} operations, {tried} tried, {noticed} of them noticed by a caller");
    assert!(noticed > tried / 2);
}

struct Survived {
    /// No commit failed, in spite of the fault.
    all_well: bool,
    /// Until the disk was mended.
    operations: u64,
}

fn fails_and_recovers(disk: &SimulatedDisk, fault: Option<Fault>) -> Result<Survived, String> {
    let mut dice = Dice::of(1);
    // As after every start but the first: this is about what happens with it.
    disk.make_ballast().unwrap();
    if let Some(fault) = fault {
        disk.break_with(fault);
    }
    let rig = Store::open_on(Arc::new(disk.clone())).and_then(|opened| Rig::start(opened, Acknowledge::WhenDurable));
    let Ok(mut rig) = rig else {
        if fault.is_some_and(|fault| fault.kind == FaultKind::FullButForTheBallast) {
            return Err("it does not open, though there is a ballast to give back".into());
        }
        disk.mend();
        let survived = Survived { all_well: false, operations: disk.operations() };
        return Told::default().check(Arc::new(disk.clone())).map(|()| survived);
    };
    let survived = block_on(async {
        let mut all_well = true;
        for round in 0..ROUNDS {
            all_well &= rig.round(round, &mut dice).await;
            // Reading may fail, and must not do worse.
            rig.store.read(|snapshot| snapshot.scan(Table::Documents, &[], &[u8::MAX], 100)).ok();
            rig.clock.advance(INTERVAL);
        }
        if fault.is_some_and(|fault| fault.kind == FaultKind::FullButForTheBallast) && !all_well {
            is_full_but_urgent(&mut rig, &mut dice).await?;
        }
        let operations = disk.operations();
        disk.mend();
        rig.clock.advance(INTERVAL);
        works_again(&mut rig, &mut dice).await;
        rig.told.check_content(&rig.store)?;
        rig.store.close().await;
        Ok::<_, String>(Survived { all_well, operations })
    })?;
    rig.told.check(Arc::new(disk.clone())).map(|()| survived)
}

/// On a disk that is full, after the ballast is gone: ordinary commits are refused, urgent ones are not.
async fn is_full_but_urgent(rig: &mut Rig, dice: &mut Dice) -> Result<(), String> {
    rig.store.health().wait_for(|health| *health == Health::Full).await.unwrap();
    match rig.commit("ordinary", dice).await {
        Err(StoreError::Full { .. }) => {}
        other => return Err(format!("an ordinary commit on a full disk: {other:?}")),
    }
    rig.commit_urgent("urgent", dice).await.map_err(|error| format!("an urgent commit: {error}"))?;
    Ok(())
}

/// A caller who is told to try again does; nobody calls for help.
async fn works_again(rig: &mut Rig, dice: &mut Dice) {
    while rig.commit("afterwards", dice).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*rig.store.health().borrow(), Health::Writable);
}

#[test]
fn an_io_error_at_any_operation_is_survived() {
    at_every_operation(FaultKind::EioOnce);
}

#[test]
fn a_disk_that_fails_from_any_operation_on_is_survived() {
    at_every_operation(FaultKind::EioLasting);
}

#[test]
fn a_disk_that_is_full_at_any_operation_takes_what_is_urgent() {
    at_every_operation(FaultKind::FullButForTheBallast);
}

#[test]
fn a_disk_that_is_full_without_any_reserve_is_survived() {
    at_every_operation(FaultKind::FullLasting);
}

/// A failing disk is not read through again for each refused caller.
#[test]
fn a_failing_disk_is_tried_once_in_an_interval() {
    let disk = formatted();
    let opened = Store::open_on(Arc::new(disk.clone())).unwrap();
    let mut rig = Rig::start(opened, Acknowledge::WhenDurable).unwrap();
    let mut dice = Dice::of(2);
    block_on(async {
        disk.break_with(Fault { from: disk.operations(), kind: FaultKind::EioLasting });
        rig.commit("first", &mut dice).await.unwrap_err();
        // Its answer comes before the attempt to open again has ended.
        assert_eq!(rig.store.probe().await.unwrap(), Health::Failing);
        let operations = disk.operations();
        for _ in 0..20 {
            let error = rig.commit("second", &mut dice).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
            let read = rig.store.read(|snapshot| snapshot.get(Table::Meta, b"schema"));
            assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
        }
        assert_eq!(disk.operations(), operations);
        rig.clock.advance(INTERVAL);
        rig.commit("third", &mut dice).await.unwrap_err();
        assert!(disk.operations() > operations);
        disk.mend();
        assert_eq!(rig.store.probe().await.unwrap(), Health::Writable);
        rig.commit("fourth", &mut dice).await.unwrap();
    });
}

/// A full disk is looked at once in an interval, and an explicit probe looks at once.
#[test]
fn room_on_a_full_disk_is_found_by_refused_commits_and_by_probes() {
    let disk = formatted();
    let opened = Store::open_on(Arc::new(disk.clone())).unwrap();
    let mut rig = Rig::start(opened, Acknowledge::WhenDurable).unwrap();
    let mut dice = Dice::of(3);
    let full = |disk: &SimulatedDisk| Fault { from: disk.operations(), kind: FaultKind::FullButForTheBallast };
    block_on(async {
        for is_probed in [true, false] {
            disk.break_with(full(&disk));
            let error = rig.commit("too much", &mut dice).await.unwrap_err();
            assert!(matches!(error, StoreError::Full { .. }), "{error}");
            rig.store.health().wait_for(|health| *health == Health::Full).await.unwrap();
            assert!(!rig.store.is_writable().await);
            disk.mend();
            // The refusal above was a look; the next one is not yet due.
            assert!(!rig.store.is_writable().await);
            if is_probed {
                assert_eq!(rig.store.probe().await.unwrap(), Health::Writable);
            } else {
                rig.clock.advance(INTERVAL);
            }
            assert!(rig.store.is_writable().await);
            assert_eq!(*rig.store.health().borrow(), Health::Writable);
        }
        rig.store.close().await;
    });
    rig.told.check(Arc::new(disk)).unwrap();
}

/// Panics where it is told to.
struct PanickingHook(LogHook);

impl CommitHook for PanickingHook {
    fn seal(&mut self, leaves: Vec<Vec<u8>>) -> Sealed {
        let panics = leaves.iter().any(|leaf| leaf == b"panic");
        let sealed = self.0.seal(leaves);
        assert!(!panics, "as the test wants");
        sealed
    }

    fn committed(&mut self) {
        self.0.committed();
    }

    fn reload(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.0.reload(snapshot)
    }
}

#[test]
fn a_panic_of_the_writer_is_an_error_for_its_callers_and_the_next_commit_works() {
    let disk = formatted();
    let opened = Store::open_on(Arc::new(disk.clone())).unwrap();
    let hook = PanickingHook(LogHook::of(&opened).unwrap());
    let store = opened.start(Box::new(hook)).unwrap();
    block_on(async {
        let mut health = store.health();
        let before = store.commit(Batch::leaf(b"before".to_vec())).await.unwrap();
        assert_eq!(before.sequence, Some(0));
        let put = Put::new(Table::Documents, b"row".as_slice(), b"of the batch".to_vec());
        let batch = Batch { puts: vec![put], ..Batch::leaf(b"panic".to_vec()) };
        let error = store.commit(batch).await.unwrap_err();
        assert!(matches!(error, StoreError::NotDurable { .. }), "{error}");
        health.wait_for(|health| *health == Health::Failing).await.unwrap();
        let after = store.commit(Batch::leaf(b"after".to_vec())).await.unwrap();
        assert_eq!(after.sequence, Some(1));
        assert_eq!(*health.borrow(), Health::Writable);
        let row = store.read(|snapshot| snapshot.get(Table::Documents, b"row")).unwrap();
        assert_eq!(row, None);
        store.close().await;
    });
}

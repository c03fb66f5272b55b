//! How sessions begin, end, are bound, and outlast a restart.

use std::time::Duration;

use super::*;
use crate::base::clock::ManualClock;
use crate::base::principal::Role;
use crate::config::Config;
use crate::config::raw::Raw;
use crate::store::no_log::NoLog;

const MINUTE: Duration = Duration::from_secs(60);
const HERE: Whence = Whence { transport: "http", address: None, certificate: None };

fn sessions_with(change: impl FnOnce(&mut Config)) -> (Arc<ManualClock>, Sessions) {
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let mut config = Config::of(Raw::default()).unwrap();
    config.limits.in_flight_per_session_max = 2;
    config.limits.in_flight_max = 3;
    change(&mut config);
    (clock.clone(), Sessions::new(clock, config.session, config.limits))
}

fn sessions() -> (Arc<ManualClock>, Sessions) {
    sessions_with(|_| {})
}

fn connection() -> Handle {
    Handle::Connection(SessionId::random().unwrap())
}

fn token(name: &str) -> Principal {
    Principal::token(name, Role::Reader)
}

fn enter(sessions: &Sessions, principal: &Principal, handle: &Handle) -> Result<Entered, SessionError> {
    sessions.enter(principal, handle, &HERE)
}

#[test]
fn a_session_is_renewed_after_its_times_and_swept_when_quiet() {
    let (clock, sessions) = sessions();
    let ann = token("ann");
    let first = enter(&sessions, &ann, &Handle::Credential).unwrap();
    assert_eq!((first.turn, first.rows.len()), (Turn::Began, 1));
    let second = enter(&sessions, &ann, &Handle::Credential).unwrap();
    assert_eq!((second.turn, second.rows.len()), (Turn::Current, 0));
    drop(second.permit);
    clock.advance(16 * MINUTE);
    assert!(sessions.sweep(&|_| false).is_empty(), "a call is under way");
    drop(first.permit);
    let renewed = enter(&sessions, &ann, &Handle::Credential).unwrap();
    assert_eq!(renewed.turn, Turn::Renewed { old: first.id.clone() });
    assert_eq!(renewed.rows.len(), 2, "the old row goes, the new one comes");
    assert_ne!(renewed.id, first.id);
    drop(renewed);
    clock.advance(16 * MINUTE);
    assert!(sessions.sweep(&|_| true).is_empty(), "whoever is shut out stays shut out");
    assert_eq!(sessions.sweep(&|_| false).len(), 1);
    assert_eq!(sessions.count(), 0);
}

#[test]
fn without_rotation_a_renewed_session_keeps_its_id() {
    let (clock, sessions) = sessions_with(|config| config.session.rotation = None);
    let first = enter(&sessions, &token("ann"), &Handle::Credential).unwrap().id;
    clock.advance(16 * MINUTE);
    let renewed = enter(&sessions, &token("ann"), &Handle::Credential).unwrap();
    assert_eq!(renewed.turn, Turn::Renewed { old: first.clone() });
    assert_eq!(renewed.id, first);
}

#[test]
fn an_active_session_still_ends_at_its_absolute_time() {
    let (clock, sessions) = sessions();
    let ann = token("ann");
    enter(&sessions, &ann, &Handle::Credential).unwrap();
    for _ in 0..6 {
        clock.advance(Duration::from_secs(10 * 60 + 1));
        if matches!(enter(&sessions, &ann, &Handle::Credential).unwrap().turn, Turn::Renewed { .. }) {
            return;
        }
    }
    panic!("never renewed");
}

#[test]
fn a_session_in_use_gets_a_new_id_at_each_interval_and_goes_on() {
    let (clock, sessions) = sessions_with(|config| {
        config.session.rotation = Some(10 * MINUTE);
        config.session.timeout = 25 * MINUTE;
    });
    let (ann, handle) = (token("ann"), connection());
    let first = enter(&sessions, &ann, &handle).unwrap();
    clock.advance(Duration::from_millis(599_999));
    let same = enter(&sessions, &ann, &handle).unwrap();
    assert_eq!((same.turn, &same.id), (Turn::Current, &first.id));
    clock.advance(Duration::from_millis(1));
    drop(same.permit);
    let rotated = enter(&sessions, &ann, &handle).unwrap();
    assert_eq!(rotated.turn, Turn::Rotated { old: first.id.clone() });
    assert_eq!(rotated.rows.len(), 2, "the old row goes, the new one comes");
    assert!(matches!(enter(&sessions, &ann, &handle), Err(SessionError::SessionBusy(2))), "its calls still count");
    drop((first.permit, rotated.permit));
    let again = enter(&sessions, &ann, &handle).unwrap();
    assert_eq!((again.turn, &again.id), (Turn::Current, &rotated.id));
    let (listed, _) = sessions.list();
    assert_eq!((listed.len(), listed[0].began, listed[0].calls), (1, Timestamp(0), 4), "it is the same session");
    drop(again.permit);
    clock.advance(14 * MINUTE);
    assert!(matches!(enter(&sessions, &ann, &handle).unwrap().turn, Turn::Rotated { .. }));
    clock.advance(2 * MINUTE);
    let renewed = enter(&sessions, &ann, &handle).unwrap();
    assert!(matches!(renewed.turn, Turn::Renewed { .. }), "rotation does not put off its absolute time");
}

#[test]
fn whoever_acts_on_the_id_from_before_a_rotation_means_the_same_session() {
    let (clock, sessions) = sessions_with(|config| config.session.rotation = Some(10 * MINUTE));
    let (ann, handle) = (token("ann"), connection());
    let old = enter(&sessions, &ann, &handle).unwrap().id;
    clock.advance(11 * MINUTE);
    let new = enter(&sessions, &ann, &handle).unwrap().id;
    assert_eq!(sessions.shorts_of(&ann, &handle), Some((new.short().to_owned(), Some(old.short().to_owned()))));
    let ended = sessions.end(&Which::Short(old.short().to_owned())).unwrap();
    assert_eq!((ended.len(), &ended[0].id), (1, &new));
}

#[tokio::test]
async fn a_restart_neither_forgets_nor_repeats_a_rotation() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let (clock, before) = sessions();
    let ann = token("ann");
    store.commit(Batch::puts(enter(&before, &ann, &Handle::Credential).unwrap().rows)).await.unwrap();
    for _ in 0..2 {
        clock.advance(14 * MINUTE);
        store.commit(Batch::puts(enter(&before, &ann, &Handle::Credential).unwrap().rows)).await.unwrap();
        before.flush(&store).await.unwrap();
    }
    clock.advance(3 * MINUTE);
    let (after, _) = restarted(&store, clock.clone());
    let rotated = enter(&after, &ann, &Handle::Credential).unwrap();
    assert!(matches!(rotated.turn, Turn::Rotated { .. }), "31 minutes");
    store.commit(Batch::puts(rotated.rows)).await.unwrap();
    let (last, restored) = restarted(&store, clock);
    assert_eq!((restored.open, restored.over.len()), (1, 0), "the old row went");
    let same = enter(&last, &ann, &Handle::Credential).unwrap();
    assert_eq!((same.turn, same.id), (Turn::Current, rotated.id));
    store.close().await;
}

#[test]
fn calls_in_flight_are_bounded_per_session_and_in_all() {
    let (_, sessions) = sessions();
    let (ann, bob) = (token("ann"), token("bob"));
    let one = enter(&sessions, &ann, &Handle::Credential).unwrap();
    let _two = enter(&sessions, &ann, &Handle::Credential).unwrap();
    assert!(matches!(enter(&sessions, &ann, &Handle::Credential), Err(SessionError::SessionBusy(2))));
    let _three = enter(&sessions, &bob, &Handle::Credential).unwrap();
    assert!(matches!(enter(&sessions, &bob, &Handle::Credential), Err(SessionError::Busy(3))));
    drop(one);
    enter(&sessions, &bob, &Handle::Credential).unwrap();
}

#[test]
fn the_quietest_sessions_make_room_and_busy_ones_stay() {
    let (clock, sessions) = sessions_with(|config| config.session.concurrent_max = None);
    let ann = token("ann");
    let (busy, old) = (connection(), connection());
    let permit = enter(&sessions, &ann, &busy).unwrap().permit;
    let old_id = enter(&sessions, &ann, &old).unwrap().id;
    clock.advance(Duration::from_secs(1));
    let all: Vec<Handle> = std::iter::repeat_with(connection).take(bound::SESSIONS_MAX - 2).collect();
    for handle in &all {
        enter(&sessions, &ann, handle).unwrap();
    }
    clock.advance(Duration::from_secs(1));
    let kept = all.last().unwrap();
    enter(&sessions, &ann, kept).unwrap();
    assert_eq!(sessions.count(), bound::SESSIONS_MAX);
    let one_more = enter(&sessions, &ann, &connection()).unwrap();
    assert_eq!((one_more.turn, one_more.ended.len()), (Turn::Began, bound::SESSIONS_ENDED_FOR_ROOM));
    assert_eq!(sessions.count(), bound::SESSIONS_MAX - bound::SESSIONS_ENDED_FOR_ROOM + 1);
    assert_eq!(enter(&sessions, &ann, &busy).unwrap().turn, Turn::Current);
    assert_eq!(enter(&sessions, &ann, kept).unwrap().turn, Turn::Current);
    let begun = enter(&sessions, &ann, &old).unwrap();
    assert_eq!(begun.turn, Turn::Began);
    assert_ne!(begun.id, old_id);
    drop(permit);
}

#[test]
fn the_sixth_session_of_a_principal_ends_the_one_that_was_quiet_for_longest() {
    let (clock, sessions) = sessions();
    let ann = token("ann");
    let handles: Vec<Handle> = std::iter::repeat_with(connection).take(5).collect();
    let mut ids = Vec::new();
    let mut busy = None;
    for handle in &handles {
        let entered = enter(&sessions, &ann, handle).unwrap();
        ids.push(entered.id);
        busy.get_or_insert(entered.permit);
        clock.advance(Duration::from_secs(1));
    }
    let mut endings = sessions.endings();
    let sixth = enter(&sessions, &ann, &connection()).unwrap();
    assert_eq!(sixth.ended.len(), 1);
    assert_eq!(sixth.ended[0].id, ids[1], "the first has a call under way");
    assert_eq!(endings.try_recv().unwrap().handle, handles[1]);
    // Others are not affected, nor is the credential's own session.
    assert!(enter(&sessions, &token("bob"), &connection()).unwrap().ended.is_empty());
    assert!(enter(&sessions, &ann, &Handle::Credential).is_ok_and(|entered| entered.ended.is_empty()));
}

#[test]
fn where_the_setting_says_so_the_sixth_session_is_refused_until_one_ends() {
    let (_, sessions) = sessions_with(|config| config.session.when_full = WhenFull::Refuse);
    let ann = token("ann");
    let first = connection();
    enter(&sessions, &ann, &first).unwrap();
    for _ in 0..4 {
        enter(&sessions, &ann, &connection()).unwrap();
    }
    assert!(matches!(enter(&sessions, &ann, &connection()), Err(SessionError::TooMany(5))));
    enter(&sessions, &ann, &first).unwrap();
    sessions.leave(&ann, &first).unwrap();
    enter(&sessions, &ann, &connection()).unwrap();
}

#[test]
fn agents_at_this_machine_are_not_counted() {
    let (_, sessions) = sessions();
    for _ in 0..50 {
        assert!(enter(&sessions, &Principal::stdio(1), &connection()).unwrap().ended.is_empty());
    }
}

#[test]
fn a_session_is_its_principals_alone() {
    let (_, sessions) = sessions();
    let (ann, bob, handle) = (token("ann"), token("bob"), connection());
    let id = enter(&sessions, &ann, &handle).unwrap().id;
    assert!(matches!(enter(&sessions, &bob, &handle), Err(SessionError::Foreign(found)) if found == id));
    assert_eq!(sessions.stranger(&bob, &handle, &HERE), Some(id));
    assert_eq!(sessions.stranger(&ann, &handle, &HERE), None);
    assert!(sessions.leave(&bob, &handle).is_none());
    // Another credential of the same principal is the same person.
    let renewed = Principal { credential: "jwt:2".into(), ..ann.clone() };
    assert_eq!(enter(&sessions, &renewed, &handle).unwrap().turn, Turn::Current);
}

#[test]
fn by_setting_a_session_is_bound_to_the_address_or_the_certificate() {
    let there = Whence { address: Some("203.0.113.7".parse().unwrap()), certificate: Some([1; 32]), ..HERE };
    let elsewhere = Whence { address: Some("203.0.113.8".parse().unwrap()), ..there };
    let forged = Whence { certificate: Some([2; 32]), ..there };
    let check = |bind: Bind, whence: &Whence, expect: bool| {
        let (_, sessions) = sessions_with(|config| config.session.bind = bind);
        for handle in [connection(), Handle::Credential] {
            sessions.enter(&token("ann"), &handle, &there).unwrap();
            let entered = sessions.enter(&token("ann"), &handle, whence);
            assert_eq!(entered.is_ok(), expect, "{bind:?} {whence:?}");
        }
    };
    check(Bind::Principal, &elsewhere, true);
    check(Bind::Principal, &forged, true);
    check(Bind::Address, &there, true);
    check(Bind::Address, &forged, true);
    check(Bind::Address, &elsewhere, false);
    check(Bind::Certificate, &elsewhere, true);
    check(Bind::Certificate, &forged, false);
    check(Bind::Certificate, &HERE, false);
}

#[test]
fn an_administrator_ends_a_session_and_its_credential_holds_no_more() {
    let (_, sessions) = sessions();
    let (ann, handle) = (token("ann"), connection());
    let short = enter(&sessions, &ann, &Handle::Credential).unwrap().id.short().to_owned();
    enter(&sessions, &ann, &handle).unwrap();
    enter(&sessions, &token("bob"), &Handle::Credential).unwrap();
    let ended = sessions.end(&Which::Short(short)).unwrap();
    assert_eq!((ended.len(), ended[0].denied, ended[0].rows.len()), (1, true, 2));
    assert!(sessions.is_denied("token:ann") && !sessions.is_denied("token:bob"));
    assert!(matches!(enter(&sessions, &ann, &Handle::Credential), Err(SessionError::Denied)));
    assert!(matches!(enter(&sessions, &ann, &handle), Err(SessionError::Denied)));
    enter(&sessions, &token("bob"), &Handle::Credential).unwrap();
    assert!(sessions.end(&Which::Short("000000000000".into())).unwrap().is_empty());
}

#[test]
fn ending_a_connection_or_a_session_at_this_machine_denies_nobody() {
    let (_, sessions) = sessions();
    let (ann, local, anonymous) = (token("ann"), Principal::local(1), Principal::anonymous());
    enter(&sessions, &ann, &connection()).unwrap();
    enter(&sessions, &local, &Handle::Credential).unwrap();
    enter(&sessions, &anonymous, &Handle::Credential).unwrap();
    for principal in [&ann, &local, &anonymous] {
        let ended = sessions.end(&Which::Principal(principal.id.to_string())).unwrap();
        assert_eq!((ended.len(), ended[0].denied), (1, false));
        assert_eq!(enter(&sessions, principal, &Handle::Credential).unwrap().turn, Turn::Began);
    }
}

#[test]
fn a_contained_session_is_not_followed_by_another_one() {
    let (_, sessions) = sessions();
    let (ann, anonymous, handle) = (token("ann"), Principal::anonymous(), connection());
    let nobodys = enter(&sessions, &anonymous, &Handle::Credential).unwrap().id.short().to_owned();
    let connected = enter(&sessions, &ann, &handle).unwrap().id.short().to_owned();
    // Where nobody shows a credential the session stays, and a ban of its id finds it.
    let ended = sessions.contain(&[Which::Short(nobodys.clone())]).unwrap();
    assert_eq!((ended.len(), ended[0].rows.len()), (1, 0));
    assert_eq!(sessions.shorts_of(&anonymous, &Handle::Credential).unwrap().0, nobodys);
    // A connection ends, and it is known whose credential would open the next.
    let returning = sessions.returning(&connected);
    assert_eq!(returning.iter().map(|it| &**it).collect::<Vec<_>>(), ["token:ann"]);
    assert!(sessions.returning(&nobodys).is_empty());
    assert_eq!(sessions.contain(&[Which::Short(connected)]).unwrap().len(), 1);
    assert!(sessions.shorts_of(&ann, &handle).is_none());
}

#[test]
fn where_there_is_no_room_for_denials_no_session_ends() {
    let (_, sessions) = sessions();
    for number in 0..bound::DENIALS_MAX - 1 {
        sessions.lock().denied.insert(format!("token:{number}").into());
    }
    let (ann, bob) = (token("ann"), token("bob"));
    for principal in [&ann, &bob] {
        enter(&sessions, principal, &Handle::Credential).unwrap();
    }
    let both = [Which::Principal(ann.id.to_string()), Which::Principal(bob.id.to_string())];
    assert!(matches!(sessions.contain(&both), Err(SessionError::TooManyDenials)));
    assert_eq!(sessions.list().1, 2, "both are there still");
    assert_eq!(sessions.contain(&both[..1]).unwrap().len(), 1);
}

#[test]
fn a_list_has_no_whole_id_and_the_last_used_first() {
    let (clock, sessions) = sessions();
    let first = enter(&sessions, &token("ann"), &Handle::Credential).unwrap().id;
    clock.advance(MINUTE);
    let busy = enter(&sessions, &token("bob"), &Handle::Credential).unwrap();
    let (listed, all) = sessions.list();
    assert_eq!((listed.len(), all), (2, 2));
    assert_eq!((&*listed[0].principal, listed[0].in_flight, listed[0].calls), ("token:bob", 1, 1));
    assert_eq!((listed[1].short.as_str(), listed[1].in_flight), (first.short(), 0));
    assert!(!format!("{listed:?}").contains(first.as_str()));
    drop(busy);
}

fn store(directory: &tempfile::TempDir) -> Store {
    let path = directory.path().join("test.redb");
    Store::create(&path, &[]).unwrap();
    Store::open(&path).unwrap().start(Box::new(NoLog)).unwrap()
}

/// A restart: what the store holds, in a table of its own.
fn restarted(store: &Store, clock: Arc<ManualClock>) -> (Sessions, Restored) {
    let config = Config::of(Raw::default()).unwrap();
    let sessions = Sessions::new(clock, config.session, config.limits);
    let restored = store.read(|snapshot| sessions.restore(snapshot, &|_| false)).unwrap();
    (sessions, restored)
}

#[tokio::test]
async fn sessions_and_denials_outlast_a_restart_and_what_timed_out_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let (clock, before) = sessions();
    let (ann, bob, eve) = (token("ann"), token("bob"), token("eve"));
    let handle = connection();
    let mut rows = Vec::new();
    for (principal, handle) in [(&ann, &Handle::Credential), (&ann, &handle), (&bob, &Handle::Credential)] {
        rows.extend(enter(&before, principal, handle).unwrap().rows);
    }
    rows.extend(enter(&before, &Principal::local(1), &Handle::Credential).unwrap().rows);
    assert_eq!(rows.len(), 3, "whoever is at this machine is not kept");
    enter(&before, &eve, &Handle::Credential).unwrap();
    rows.extend(before.end(&Which::Principal("token:eve".into())).unwrap().remove(0).rows);
    store.commit(Batch::puts(rows)).await.unwrap();

    clock.advance(10 * MINUTE);
    let id = enter(&before, &ann, &Handle::Credential).unwrap().id;
    before.remember(&ann, &handle, "{}".into());
    before.flush(&store).await.unwrap();
    clock.advance(6 * MINUTE);

    let (after, restored) = restarted(&store, clock.clone());
    assert_eq!((restored.open, restored.over.len()), (1, 2), "two were not used for a quarter of an hour");
    let entered = enter(&after, &ann, &Handle::Credential).unwrap();
    assert_eq!((entered.turn, &entered.id), (Turn::Current, &id));
    assert_eq!(after.remembered(&ann, &handle), None);
    assert!(matches!(enter(&after, &eve, &Handle::Credential), Err(SessionError::Denied)));

    assert!(after.allow_again(&store, "token:eve").await.unwrap());
    assert!(!after.allow_again(&store, "token:eve").await.unwrap());
    enter(&after, &eve, &Handle::Credential).unwrap();
    let (last, _) = restarted(&store, clock);
    assert!(!last.is_denied("token:eve"));
    store.close().await;
}

#[tokio::test]
async fn a_session_of_an_older_protocol_is_remembered_for_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let (clock, before) = sessions();
    let (ann, handle) = (token("ann"), connection());
    let rows = enter(&before, &ann, &handle).unwrap().rows;
    before.remember(&ann, &handle, "{\"a\":1}".into());
    store.commit(Batch::puts(rows)).await.unwrap();
    before.flush(&store).await.unwrap();
    let (after, _) = restarted(&store, clock);
    assert_eq!(after.remembered(&ann, &handle), Some(("{\"a\":1}".into(), Timestamp(0))));
    assert_eq!(after.remembered(&token("bob"), &handle), None);
    assert!(after.stranger(&token("bob"), &handle, &HERE).is_some());
    store.close().await;
}

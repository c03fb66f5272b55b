//! Tokens that are refused, forgotten while somebody asks for new ones, and asked for by who knows an older connector.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sekisho::base::principal::{Principal, Role};
use sekisho::base::refusal::Refusal;
use sekisho::base::secret::Secret;
use sekisho::connector::binding::Scheme;
use sekisho::connector::oauth::setup::{Keep, OAuth, Whose};
use sekisho::connector::record::ConnectorRecord;

use crate::disk::SimulatedDisk;
use crate::oauth_crash::{Process, Server, block_on, connector, logged_in};

/// The connector of before, otherwise bound.
fn otherwise(change: impl FnOnce(&mut OAuth)) -> ConnectorRecord {
    let mut record = connector();
    let Some(Scheme::OAuth(setup)) = record.binding.as_mut().map(|binding| &mut binding.scheme) else {
        panic!("it is not bound")
    };
    change(setup);
    record
}

/// Runs `forget` while the authorization server has taken what `work` asks for, and has not answered yet.
async fn meanwhile<T: Send + 'static>(
    server: &Server,
    work: impl Future<Output = T> + Send + 'static,
    forget: impl Future<Output = ()>,
) -> T {
    let number = server.state().number;
    server.holds.store(true, Ordering::SeqCst);
    let working = tokio::spawn(work);
    while server.state().number == number {
        tokio::task::yield_now().await;
    }
    forget.await;
    server.holds.store(false, Ordering::SeqCst);
    server.held.notify_one();
    working.await.unwrap()
}

async fn is_nobody_logged_in(process: &Process, disk: &SimulatedDisk, server: &Arc<Server>, key: &Secret) {
    let refused = process.access().await.unwrap_err();
    assert!(refused.public.contains("Nobody is logged in to zoo"), "{refused:?}");
    let again = Process::start(&disk.twin(), server, key);
    again.access().await.unwrap_err();
    again.store.close().await;
}

/// An operation that only some may call answered 401, and everybody was logged out.
#[test]
fn a_token_that_one_operation_refuses_and_that_cannot_be_replaced_stays_for_all_others() {
    block_on(async {
        let (disk, server, key) = logged_in().await;
        server.is(|state| state.without_refresh = true);
        let process = Process::start(&disk, &server, &key);
        process.desk.password(&connector(), "service", "ann", Secret::new("password")).await.unwrap();
        assert_eq!(process.access().await.unwrap(), "access-2");
        for _ in 0..5 {
            assert!(!process.refused("access-2").await.unwrap(), "there is nothing to ask with");
            assert_eq!(process.access().await.unwrap(), "access-2");
        }
        process.store.close().await;

        // The authorization server is down.
        let (disk, server, key) = logged_in().await;
        let process = Process::start(&disk, &server, &key);
        server.is(|state| state.is_down = true);
        for _ in 0..5 {
            let refusal = process.refused("access-1").await.unwrap_err();
            assert!(refusal.public.contains("cannot be asked at the moment"), "{refusal:?}");
            assert_eq!(process.access().await.unwrap(), "access-1");
        }
        assert!(process.desk.standing(&connector(), "service").await.unwrap().is_logged_in);
        process.store.close().await;
    });
}

#[test]
fn tokens_that_come_for_a_connector_that_was_forgotten_meanwhile_are_kept_nowhere() {
    block_on(async {
        // A refresh that was under way.
        let (disk, server, key) = logged_in().await;
        let process = Process::start(&disk, &server, &key);
        let desk = process.desk.clone();
        let refresh = async move { desk.renew(&connector(), &Principal::anonymous(), &Secret::new("access-1")).await };
        meanwhile(&server, refresh, async { process.desk.forget("zoo").await.unwrap() }).await.ok();
        is_nobody_logged_in(&process, &disk, &server, &key).await;
        process.store.close().await;

        // A login that was under way; the connector is bound to the same client again.
        let (disk, server, key) = logged_in().await;
        let process = Process::start(&disk, &server, &key);
        let desk = process.desk.clone();
        let login = async move { desk.password(&connector(), "service", "ann", Secret::new("password")).await };
        let refusal = meanwhile(&server, login, async { process.desk.forget("zoo").await.unwrap() }).await;
        assert!(refusal.unwrap_err().public.contains("meanwhile"));
        is_nobody_logged_in(&process, &disk, &server, &key).await;
        process.store.close().await;
    });
}

#[test]
fn a_login_that_is_finished_for_somebody_who_is_no_more_is_kept_nowhere() {
    block_on(async {
        let (disk, server, key) = logged_in().await;
        let process = Process::start(&disk, &server, &key);
        let zoo = otherwise(|setup| setup.whose = Whose::Each);
        process.bound.lock().unwrap().clone_from(&zoo.binding);
        let access = |name: &str| {
            let (desk, zoo, principal) = (process.desk.clone(), zoo.clone(), Principal::account(name, Role::Reader));
            async move { desk.access(&zoo, &principal).await.map(drop) }
        };
        let login = |name: &str| {
            let (desk, zoo, whose) = (process.desk.clone(), zoo.clone(), format!("account:{name}"));
            async move { desk.password(&zoo, &whose, "somebody", Secret::new("password")).await.map(drop) }
        };
        login("ann").await.unwrap();
        login("bob").await.unwrap();
        let end = async {
            let ended = process.desk.forget_principal(std::slice::from_ref(&zoo), "account:ann").await.unwrap();
            assert_eq!(ended, 1);
        };
        let refused: Result<(), Refusal> = meanwhile(&server, login("ann"), end).await;
        assert!(refused.unwrap_err().public.contains("whoever this was for is gone"));
        access("ann").await.unwrap_err();
        access("bob").await.unwrap();
        // Another one by that name.
        login("ann").await.unwrap();
        access("ann").await.unwrap();
        process.store.close().await;
    });
}

#[test]
fn who_knows_a_connector_as_it_was_bound_before_does_not_take_the_tokens_of_now_away() {
    block_on(async {
        let (disk, server, key) = logged_in().await;
        let process = Process::start(&disk, &server, &key);
        let now = otherwise(|setup| setup.keep = Keep::Memory);
        process.bound.lock().unwrap().clone_from(&now.binding);
        process.desk.forget("zoo").await.unwrap();
        process.desk.password(&now, "service", "ann", Secret::new("password")).await.unwrap();
        let refusal = process.access().await.unwrap_err();
        assert!(refusal.public.contains("bound anew"), "{refusal:?}");
        let (access, _) = process.desk.access(&now, &Principal::anonymous()).await.unwrap();
        assert_eq!(access, Secret::new("access-2"));
        process.store.close().await;
    });
}

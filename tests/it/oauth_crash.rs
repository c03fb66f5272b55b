//! The power goes at every moment of a refresh, and the disk fails in it: there are always the old tokens or the new
//! ones, what was acknowledged is durable, and what is lost is said.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode};
use sekisho::audit::Audit;
use sekisho::audit::keep::Keeper;
use sekisho::audit::log::LogHook;
use sekisho::base::clock::{Clock, SystemClock, Timestamp};
use sekisho::base::principal::Principal;
use sekisho::base::refusal::Refusal;
use sekisho::base::secret::Secret;
use sekisho::config::Config;
use sekisho::config::raw::Raw;
use sekisho::connector::binding::{Binding, Scheme};
use sekisho::connector::oauth::desk::Desk;
use sekisho::connector::oauth::setup::{ClientAuth, Endpoints, Grant, Keep, OAuth, Whose};
use sekisho::connector::pick::{Picks, Switches};
use sekisho::connector::record::{ConnectorRecord, DocumentFacts, Mode};
use sekisho::connector::upstream::{Answered, Outgoing, Unsent, Upstream};
use sekisho::crypto::password::Iterations;
use sekisho::custody::Custody;
use sekisho::store::table::Table;
use sekisho::store::{Put, Store};
use sekisho::vault;
use sekisho::vault::door::Door;
use serde_json::json;
use tokio::sync::Notify;
use url::form_urlencoded;

use crate::dice::Dice;
use crate::disk::{Fault, FaultKind, SimulatedDisk, Tear};
use crate::harness::is_soak;

/// Gives tokens by number; one refresh token holds at a time, and one that was used before ends them all.
#[derive(Default)]
pub(crate) struct Server {
    state: Mutex<State>,
    /// It has done what it was asked, and tells it only when it is let.
    pub(crate) holds: AtomicBool,
    pub(crate) held: Arc<Notify>,
}

#[derive(Clone, Default)]
pub(crate) struct State {
    /// Of the newest tokens.
    pub(crate) number: u64,
    is_over: bool,
    pub(crate) refreshes: u64,
    pub(crate) is_down: bool,
    pub(crate) without_refresh: bool,
}

impl Server {
    pub(crate) fn state(&self) -> State {
        self.state.lock().unwrap().clone()
    }

    pub(crate) fn is(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    fn answer(&self, form: &[u8]) -> (u16, serde_json::Value) {
        let field = |name: &str| {
            form_urlencoded::parse(form).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
        };
        let mut state = self.state.lock().unwrap();
        if state.is_down {
            return (503, json!({}));
        }
        if field("grant_type").as_deref() == Some("refresh_token") {
            state.refreshes += 1;
            if state.is_over || field("refresh_token") != Some(format!("refresh-{}", state.number)) {
                state.is_over = true;
                return (400, json!({"error": "invalid_grant"}));
            }
        } else {
            state.is_over = false;
        }
        state.number += 1;
        let (access, refresh) = (format!("access-{}", state.number), format!("refresh-{}", state.number));
        let mut answer = json!({"access_token": access, "token_type": "Bearer", "expires_in": 3600});
        if !state.without_refresh {
            answer["refresh_token"] = refresh.into();
        }
        (200, answer)
    }
}

impl Upstream for Server {
    fn send<'a>(&'a self, _to: &'a ConnectorRecord, request: Outgoing) -> BoxFuture<'a, Result<Answered, Unsent>> {
        let (status, body) = self.answer(&request.body);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let status = StatusCode::from_u16(status).unwrap();
        let held = self.holds.load(Ordering::SeqCst).then(|| Arc::clone(&self.held));
        Box::pin(async move {
            if let Some(held) = held {
                held.notified().await;
            }
            Ok(Answered { status, headers, body: body.to_string().into_bytes() })
        })
    }
}

pub(crate) fn connector() -> ConnectorRecord {
    let document = DocumentFacts {
        title: "Zoo".into(),
        version: "1".into(),
        bytes: 0,
        sha256: [0; 32],
        operations: 0,
        left_out: 0,
        security: "{}".into(),
        flags: Vec::new(),
    };
    let setup = OAuth {
        grant: Grant::Password,
        client_id: "sekisho".into(),
        client_auth: ClientAuth::Basic,
        scopes: Vec::new(),
        whose: Whose::Service,
        keep: Keep::Sealed,
        endpoints: Endpoints { token: "https://login.example/token".into(), ..Endpoints::default() },
    };
    let origin = "https://zoo.example".to_owned();
    ConnectorRecord {
        name: "zoo".into(),
        base_url: origin.clone(),
        loopback_http: false,
        networks: Vec::new(),
        enabled: true,
        mode: Mode::Tools,
        classification: sekisho::base::classification::Classification::default(),
        picks: Picks::default(),
        switches: Switches::default(),
        binding: Some(Binding { credential: String::new(), scheme: Scheme::OAuth(Box::new(setup)), origin }),
        settings: sekisho::connector::settings::Settings::default(),
        generation: 1,
        document,
        pending: None,
        added: Timestamp(0),
        changed: Timestamp(0),
    }
}

/// A process on a disk: everything between the disk and whoever asks for a token.
pub(crate) struct Process {
    pub(crate) store: Store,
    pub(crate) desk: Desk,
    /// How the connector is bound now.
    pub(crate) bound: Arc<Mutex<Option<Binding>>>,
}

impl Process {
    pub(crate) fn start(disk: &SimulatedDisk, server: &Arc<Server>, key: &Secret) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let opened = Store::open_on(Arc::new(disk.clone())).unwrap();
        let hook = LogHook::of(&opened).unwrap();
        let store = opened.start(Box::new(hook)).unwrap();
        let vault = Arc::new(Door::new(store.read(vault::state).unwrap(), Arc::clone(&clock)));
        assert!(vault.try_derived(key).unwrap());
        let audit = Audit::new(store.clone(), Arc::clone(&clock), Arc::clone(&vault));
        let keeper = Arc::new(Keeper::new(audit.clone(), &[1; 16], "/nonexistent/checkpoints".into(), false));
        let config = Config::of(Raw::default()).unwrap();
        let custody = Custody::new(audit, vault, keeper, "/nonexistent/key".into(), &config);
        let bound = Arc::new(Mutex::new(connector().binding));
        let known = Arc::clone(&bound);
        let bound_now = Arc::new(move |_: &str| known.lock().unwrap().clone());
        let desk = Desk::new(Arc::new(custody), bound_now, Arc::clone(server) as _, clock);
        Self { store, desk, bound }
    }

    pub(crate) async fn access(&self) -> Result<String, Refusal> {
        let (access, _) = self.desk.access(&connector(), &caller()).await?;
        Ok(String::from_utf8(access.expose_secret().to_vec()).unwrap())
    }

    async fn log_in(&self) {
        self.desk.password(&connector(), "service", "ann", Secret::new("password")).await.unwrap();
    }

    /// The API refuses the token that there is.
    pub(crate) async fn refused(&self, access: &str) -> Result<bool, Refusal> {
        self.desk.renew(&connector(), &caller(), &Secret::new(access)).await
    }
}

pub(crate) fn caller() -> Principal {
    Principal::anonymous()
}

/// Somebody is logged in, and nothing is under way.
pub(crate) async fn logged_in() -> (SimulatedDisk, Arc<Server>, Secret) {
    let made = vault::create([1; 16], &Secret::new("secret"), Iterations::default(), Timestamp(0)).unwrap();
    let disk = SimulatedDisk::empty();
    let rows = [made.rows, vec![Put::new(Table::Meta, b"database_id".as_slice(), vec![1; 16])]].concat();
    Store::create_on(&disk, &rows).unwrap();
    let server = Arc::new(Server::default());
    let process = Process::start(&disk, &server, &made.derived);
    process.log_in().await;
    assert_eq!(process.access().await.unwrap(), "access-1");
    process.store.close().await;
    (disk, server, made.derived)
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn wherever_the_power_goes_in_a_refresh_there_are_the_old_tokens_or_the_new_ones() {
    block_on(async {
        let (disk, server, key) = logged_in().await;
        let begin = server.state();
        // How much there is to break off.
        let whole = disk.twin();
        let process = Process::start(&whole, &server, &key);
        let before = whole.changes();
        assert!(process.refused("access-1").await.unwrap());
        let changes = whole.changes() - before;
        process.store.close().await;
        assert!(changes > 3, "{changes}");

        let (mut new, mut lost) = (0, 0);
        let stride = if is_soak() { 1 } else { 2 };
        // From the end, so that the moment after the last change is always among them.
        for moment in (0..=changes).rev().step_by(stride) {
            for tear in [Tear::Whole, Tear::Torn] {
                let disk = disk.twin();
                let server = Arc::new(Server { state: Mutex::new(begin.clone()), ..Server::default() });
                let process = Process::start(&disk, &server, &key);
                disk.power_off_at(disk.changes() + moment);
                let renewed = process.refused("access-1").await;
                // What was given to a call was given by the server, durable or not.
                assert!(renewed.is_ok(), "{moment}: {renewed:?}");
                drop(process);

                let after = disk.after_power_loss(&mut Dice::of(moment), tear);
                let process = Process::start(&after, &server, &key);
                // The old access token is refused by the API; then it is the refresh token that counts.
                let mut access = process.access().await.unwrap();
                assert!(["access-1", "access-2"].contains(&access.as_str()), "{moment}: {access}");
                if access == "access-1" {
                    match process.refused("access-1").await {
                        Ok(_) => access = process.access().await.unwrap(),
                        Err(refusal) => {
                            assert!(refusal.public.contains("Nobody is logged in to zoo"), "{refusal:?}");
                            let standing = process.desk.standing(&connector(), "service").await.unwrap();
                            assert!(!standing.is_logged_in && standing.ended.unwrap().contains("cleared"));
                            process.log_in().await;
                            access = process.access().await.unwrap();
                            lost += 1;
                        }
                    }
                } else {
                    new += 1;
                }
                assert_eq!(access, format!("access-{}", server.state().number), "{moment}");
                process.store.close().await;
            }
        }
        assert!(new > 0 && lost > 0, "both happened: {new} kept, {lost} said to be lost");
    });
}

#[test]
fn tokens_that_cannot_be_written_down_are_used_and_written_when_the_disk_is_well() {
    for kind in [FaultKind::EioLasting, FaultKind::FullLasting] {
        block_on(async {
            let (disk, server, key) = logged_in().await;
            let process = Process::start(&disk, &server, &key);
            assert_eq!(process.access().await.unwrap(), "access-1");
            disk.break_with(Fault { from: disk.operations(), kind });
            assert!(process.refused("access-1").await.unwrap());
            assert_eq!(process.access().await.unwrap(), "access-2", "the call need not suffer");
            disk.mend();
            process.store.probe().await.ok();
            let written = async {
                loop {
                    assert_eq!(process.access().await.unwrap(), "access-2");
                    let again = Process::start(&disk.twin(), &server, &key);
                    let access = again.access().await.unwrap();
                    again.store.close().await;
                    if access == "access-2" {
                        return;
                    }
                    process.store.probe().await.ok();
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(crate::harness::PATIENCE, written).await.expect("it is never written");
            assert_eq!(server.state().refreshes, 1, "{kind:?}: one refresh for all of it");
        });
    }
}

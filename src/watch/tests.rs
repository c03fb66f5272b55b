//! The watch over a real store: what is kept, folded and sent, place by place, and over a restart.

use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::notify::Sink;
use super::*;
use crate::audit::log::LogHook;
use crate::base::clock::{Clock, ManualClock};
use crate::base::secret::Secret;
use crate::config::Config;
use crate::config::raw::Raw;
use crate::crypto::password::Iterations;
use crate::store::table::Table;
use crate::vault;
use crate::vault::door::{Door, Key};

const PATIENCE: Duration = Duration::from_secs(30);

struct Rig {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

/// A process over the rig's database.
struct Running {
    audit: Audit,
    watch: Arc<Watch>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

/// Takes alerts into a channel while it is alive.
#[derive(Debug)]
struct Fake {
    name: &'static str,
    alive: Arc<AtomicBool>,
    taken: mpsc::UnboundedSender<AlertRecord>,
}

impl Sink for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn describe(&self) -> String {
        "nowhere".into()
    }

    fn send<'a>(&'a self, alert: &'a AlertRecord) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async {
            if !self.alive.load(Ordering::Relaxed) {
                return Err("dead".to_owned());
            }
            self.taken.send(alert.clone()).map(|()| "taken".to_owned()).map_err(|error| error.to_string())
        })
    }
}

fn fake(name: &'static str) -> (Arc<Place>, Arc<AtomicBool>, mpsc::UnboundedReceiver<AlertRecord>) {
    let (taken, alerts) = mpsc::unbounded_channel();
    let alive = Arc::new(AtomicBool::new(true));
    let sink = Fake { name, alive: Arc::clone(&alive), taken };
    (Place::new(Box::new(sink), Severity::Low), alive, alerts)
}

async fn next(alerts: &mut mpsc::UnboundedReceiver<AlertRecord>) -> AlertRecord {
    tokio::time::timeout(PATIENCE, alerts.recv()).await.unwrap().unwrap()
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (secret, now) = (Secret::new("a secret of tests"), Timestamp(1_790_000_000_000));
        let made = vault::create([7; 16], &secret, Iterations::stored(1000).unwrap(), now).unwrap();
        let mut rows = made.rows;
        rows.push(Put::new(Table::Meta, b"database_id", vec![7; 16]));
        Store::create(&directory.path().join("sekisho.redb"), &rows).unwrap();
        Self { directory, clock: Arc::new(ManualClock::at(now)) }
    }

    async fn run(&self, places: Vec<Arc<Place>>, sanctions: Arc<dyn Sanctions>) -> Running {
        let opened = Store::open(&self.directory.path().join("sekisho.redb")).unwrap();
        let hook = LogHook::of(&opened).unwrap();
        let store = opened.start(Box::new(hook)).unwrap();
        let clock: Arc<dyn Clock> = self.clock.clone();
        let door = Arc::new(Door::new(store.read(vault::state).unwrap(), Arc::clone(&clock)));
        door.unseal(&Key::Secret(&Secret::new("a secret of tests"))).unwrap();
        let audit = Audit::new(store, clock, door);
        let mut raw = Raw::default();
        raw.watch.suspicious_patterns = 1;
        let settings = Config::of(raw).unwrap().watch;
        let feed = audit.subscribe();
        let watch = Watch::open(audit.clone(), settings, sanctions, places).await.unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&watch).run(feed, stop.clone()));
        Running { audit, watch, stop, task }
    }
}

impl Running {
    async fn refuse(&self, principal: &str, reason: &str) -> u64 {
        let mut draft = Draft::new(Event::Call, "http", self.audit.now());
        draft.personal.principal = Some(principal.to_owned());
        self.audit.append(draft, Outcome::Refused, Some(reason.to_owned())).await.unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        self.audit.store().close().await;
    }
}

const ATTACK: &str = "invalid: suspicious_pattern sql-1";

#[tokio::test]
async fn an_alert_is_kept_recorded_and_sent_and_names_nobody() {
    let rig = Rig::new();
    let (place, _, mut alerts) = fake("webhook");
    let running = rig.run(vec![place], Arc::new(NoSanctions)).await;
    let sequence = running.refuse("account:ann", ATTACK).await;
    let alert = next(&mut alerts).await;
    assert_eq!((alert.event, alert.count, alert.entry), (SecurityEvent::SuspiciousPatterns, 1, Some(sequence)));
    assert!(alert.subject.as_deref().is_some_and(|subject| subject.starts_with("p1-")), "{alert:?}");
    assert!(alert.action.as_deref().is_some_and(|action| action.contains("not blocked")), "{alert:?}");
    assert!(!format!("{alert:?}").contains("ann"), "{alert:?}");
    let entry = running.audit.read(sequence + 1, 1).unwrap().remove(0).entry;
    assert_eq!((entry.event, entry.operation.as_deref()), (Event::Alert, Some("alert.suspicious_patterns")));
    assert_eq!(entry.subject, alert.subject);
    assert_eq!(running.watch.list(None, Severity::High).unwrap(), std::slice::from_ref(&alert));
    assert_eq!(running.watch.list(None, Severity::Critical).unwrap(), []);
    assert!(running.watch.acknowledge(alert.id).await.unwrap().unwrap().acknowledged.is_some());
    assert_eq!(running.watch.acknowledge(99).await.unwrap(), None);
    running.stop().await;
}

#[tokio::test]
async fn a_storm_is_told_at_once_and_at_its_end() {
    let rig = Rig::new();
    let (place, _, mut alerts) = fake("webhook");
    let running = rig.run(vec![place], Arc::new(NoSanctions)).await;
    running.refuse("account:ann", ATTACK).await;
    let first = next(&mut alerts).await;
    for _ in 0..20 {
        running.refuse("account:ann", ATTACK).await;
    }
    // Another subject is another alert; when it is there, the twenty before it were looked at.
    running.refuse("account:bob", ATTACK).await;
    assert_ne!(next(&mut alerts).await.id, first.id);
    rig.clock.advance(bound::ALERT_FOLD);
    let again = next(&mut alerts).await;
    assert_eq!((again.id, again.count, again.update), (first.id, 21, true));
    let listed = running.watch.list(None, Severity::Low).unwrap();
    assert_eq!(listed.iter().map(|alert| (alert.id, alert.count)).collect::<Vec<_>>(), [(2, 1), (1, 21)]);
    running.stop().await;
}

#[tokio::test]
async fn what_was_only_counted_is_written_at_the_end() {
    let rig = Rig::new();
    let (place, _, mut alerts) = fake("webhook");
    let running = rig.run(vec![place], Arc::new(NoSanctions)).await;
    running.refuse("account:ann", ATTACK).await;
    next(&mut alerts).await;
    running.refuse("account:ann", ATTACK).await;
    running.refuse("account:bob", ATTACK).await;
    next(&mut alerts).await;
    running.stop().await;
    let (place, _, mut later) = fake("webhook");
    let running = rig.run(vec![place], Arc::new(NoSanctions)).await;
    // Written at the end, it goes out then if there is time, or else at the next start.
    let again = match alerts.try_recv() {
        Ok(at_the_end) => at_the_end,
        Err(_) => next(&mut later).await,
    };
    assert_eq!((again.id, again.count, again.update), (1, 2, true));
    running.stop().await;
}

#[tokio::test]
async fn a_dead_place_holds_up_no_other_and_gets_its_alerts_after_a_restart() {
    let rig = Rig::new();
    let (dead, alive, mut late) = fake("webhook");
    alive.store(false, Ordering::Relaxed);
    let (place, _, mut alerts) = fake("syslog");
    let running = rig.run(vec![dead, place], Arc::new(NoSanctions)).await;
    running.refuse("account:ann", ATTACK).await;
    running.refuse("account:bob", ATTACK).await;
    let taken = [next(&mut alerts).await.id, next(&mut alerts).await.id];
    assert_eq!(taken, [1, 2]);
    assert!(late.try_recv().is_err());
    running.stop().await;

    let (back, _, mut late) = fake("webhook");
    let (place, _, mut alerts) = fake("syslog");
    let running = rig.run(vec![back, place], Arc::new(NoSanctions)).await;
    assert_eq!([next(&mut late).await.id, next(&mut late).await.id], [1, 2]);
    running.refuse("account:eve", ATTACK).await;
    assert_eq!(next(&mut alerts).await.id, 3, "what it had is not sent again");
    running.stop().await;
}

#[tokio::test]
async fn a_new_place_is_given_what_comes_from_then_on() {
    let rig = Rig::new();
    let running = rig.run(vec![], Arc::new(NoSanctions)).await;
    let mut listed = 0;
    running.refuse("account:ann", ATTACK).await;
    tokio::time::timeout(PATIENCE, async {
        while listed == 0 {
            tokio::task::yield_now().await;
            listed = running.watch.list(None, Severity::Low).unwrap().len();
        }
    })
    .await
    .unwrap();
    running.stop().await;
    let (place, _, mut alerts) = fake("webhook");
    let running = rig.run(vec![place], Arc::new(NoSanctions)).await;
    running.refuse("account:bob", ATTACK).await;
    assert_eq!(next(&mut alerts).await.id, 2);
    running.stop().await;
}

#[tokio::test]
async fn whoever_goes_on_in_another_session_is_shut_out_as_who_they_are() {
    let rig = Rig::new();
    let (place, _, mut alerts) = fake("webhook");
    let blocks = Arc::new(Blocks::default());
    let running = rig.run(vec![place], Arc::clone(&blocks) as _).await;
    for session in ["first", "first", "second", "third"] {
        let mut draft = Draft::new(Event::Call, "http", running.audit.now());
        draft.personal.principal = Some("token:ci".into());
        draft.session = Some(session.into());
        running.audit.append(draft, Outcome::Refused, Some(ATTACK.into())).await.unwrap();
    }
    running.refuse("account:bob", ATTACK).await;
    next(&mut alerts).await;
    next(&mut alerts).await;
    let told = blocks.0.lock().unwrap().clone();
    let told: Vec<(&str, Option<&str>)> =
        told.iter().map(|(who, session)| (who.as_str(), session.as_deref())).collect();
    let ci = "token:ci";
    assert_eq!(told, [(ci, Some("first")), (ci, None), (ci, None), ("account:bob", None)]);
    running.stop().await;
}

/// Remembers whom it was to shut out: the principal and the session.
#[derive(Debug, Default)]
struct Blocks(StdMutex<Vec<(String, Option<String>)>>);

impl Sanctions for Blocks {
    fn block_session<'a>(&'a self, block: &'a sanction::Block) -> BoxFuture<'a, Result<(), String>> {
        let who = (block.principal.clone().unwrap_or_default(), block.session.clone());
        self.0.lock().unwrap().push(who);
        Box::pin(async { Ok(()) })
    }

    fn ban_address<'a>(&'a self, _: &'a sanction::Block) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

/// Shuts nobody out.
#[derive(Debug)]
struct NoSanctions;

impl Sanctions for NoSanctions {
    fn block_session<'a>(&'a self, _: &'a sanction::Block) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Err("this is a test".to_owned()) })
    }

    fn ban_address<'a>(&'a self, _: &'a sanction::Block) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Err("this is a test".to_owned()) })
    }
}

/// Remembers whom it shut out.
#[derive(Debug, Default)]
struct Remembered(StdMutex<Vec<String>>);

impl Sanctions for Remembered {
    fn block_session<'a>(&'a self, block: &'a sanction::Block) -> BoxFuture<'a, Result<(), String>> {
        let until = block.until.rfc3339();
        self.0.lock().unwrap().push(format!("session of {:?} until {until}", block.principal));
        Box::pin(async { Ok(()) })
    }

    fn ban_address<'a>(&'a self, block: &'a sanction::Block) -> BoxFuture<'a, Result<(), String>> {
        self.0.lock().unwrap().push(format!("address {:?}", block.address));
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn an_attack_blocks_the_session_for_the_set_time() {
    let rig = Rig::new();
    let (place, _, mut alerts) = fake("webhook");
    let sanctions = Arc::new(Remembered::default());
    let running = rig.run(vec![place], sanctions.clone()).await;
    running.refuse("account:ann", ATTACK).await;
    let alert = next(&mut alerts).await;
    let until = rig.clock.now().plus(Duration::from_secs(15 * 60)).rfc3339();
    assert_eq!(*sanctions.0.lock().unwrap(), [format!("session of Some(\"account:ann\") until {until}")]);
    assert_eq!(alert.action, Some(format!("the session is blocked until {until}")));
    running.stop().await;
}

#[tokio::test]
async fn a_test_says_what_each_place_answered() {
    let rig = Rig::new();
    let (dead, alive, _late) = fake("webhook");
    alive.store(false, Ordering::Relaxed);
    let (place, _, mut alerts) = fake("syslog");
    let running = rig.run(vec![dead, place], Arc::new(NoSanctions)).await;
    let answers = running.watch.test().await;
    let told: Vec<_> = answers.as_array().unwrap().iter().map(|place| place["answer"].as_str().unwrap()).collect();
    assert_eq!(told, ["written", "dead", "taken"]);
    assert_eq!(next(&mut alerts).await.event, SecurityEvent::Test);
    running.stop().await;
}

#[tokio::test]
async fn entries_that_came_too_fast_are_told() {
    let rig = Rig::new();
    let (place, _, mut alerts) = fake("webhook");
    let running = rig.run(vec![place], Arc::new(NoSanctions)).await;
    let (sender, feed) = broadcast::channel(2);
    for sequence in 0..10 {
        let draft = Draft::new(Event::Call, "http", Timestamp(0));
        let entry = Arc::new(crate::audit::entry::of_draft(draft, Outcome::Done, None, Timestamp(0)));
        let personal = crate::audit::Disclosed::Sealed;
        sender.send(Numbered { sequence, entry, personal }).unwrap();
    }
    drop(sender);
    let rules = Rules::new(&running.watch.settings);
    running.watch.follow(rules, feed, &CancellationToken::new()).await;
    let alert = next(&mut alerts).await;
    assert_eq!((alert.event, alert.detail.as_str()), (SecurityEvent::WatchLagged, "8 entries were not looked at"));
    running.stop().await;
}

fn of_incident(title: &str) -> OfIncident {
    OfIncident { kind: "leak".into(), systems: vec!["crm".into()], title: title.into(), description: String::new() }
}

#[tokio::test]
async fn alerts_of_a_time_are_those_of_that_time_and_all_of_them() {
    let rig = Rig::new();
    let running = rig.run(Vec::new(), Arc::new(NoSanctions)).await;
    let count = u64::try_from(bound::ALERT_LIST_MAX).unwrap() + 3;
    let began = running.audit.now();
    running.watch.announce(Severity::High, of_incident("the first")).await;
    rig.clock.advance(Duration::from_secs(60));
    let later = running.audit.now();
    // More than a list shows came since.
    let first = running.watch.list(None, Severity::Low).unwrap()[0].clone();
    let rows = (0..count).map(|number| {
        let (id, at) = (first.id + 1 + number, Timestamp(later.0 + number));
        alert::row(id, &AlertRecord { id, first: at, last: at, ..first.clone() }).unwrap()
    });
    for some in rows.collect::<Vec<_>>().chunks(100) {
        running.audit.store().commit(Batch::puts(some.to_vec())).await.unwrap();
    }
    let of_then = running.watch.between(began, later).unwrap();
    assert_eq!(of_then.iter().map(|alert| alert.id).collect::<Vec<_>>(), [first.id]);
    let since = running.watch.between(later, Timestamp(u64::MAX)).unwrap();
    assert_eq!((since.len() as u64, since[0].id), (count, first.id + count), "newest first, and none is left out");
    running.stop().await;
}

#[tokio::test]
async fn an_incident_displaces_another_alert_that_waits_for_the_store() {
    let rig = Rig::new();
    let running = rig.run(Vec::new(), Arc::new(NoSanctions)).await;
    running.watch.announce(Severity::High, of_incident("a leak")).await;
    let incident = running.watch.list(None, Severity::Low).unwrap()[0].clone();
    running.stop().await;
    let raised = |id, event| {
        let alert = AlertRecord { id, event, ..incident.clone() };
        Raised { alert, who: Who::default() }
    };
    let mut state = State { next: 0, storm: Storm::default(), unsaved: VecDeque::new() };
    let most = bound::ALERT_BATCH_MAX as u64;
    for id in 0..=most {
        keep_for_later(&mut state, raised(id, SecurityEvent::SuspiciousPatterns));
    }
    let ids = |state: &State| state.unsaved.iter().map(|raised| raised.alert.id).collect::<Vec<_>>();
    assert_eq!(ids(&state), (0..most).collect::<Vec<_>>(), "another alert displaces none");
    keep_for_later(&mut state, raised(most + 1, SecurityEvent::Incident));
    assert_eq!(ids(&state), (0..most - 1).chain([most + 1]).collect::<Vec<_>>());
}

/// Places are told in the order of the numbers: an alert that is kept behind a greater number would never be sent.
#[tokio::test]
async fn alerts_that_come_while_others_wait_for_the_store_wait_behind_them() {
    let rig = Rig::new();
    let (place, _, mut alerts) = fake("webhook");
    let running = rig.run(vec![place], Arc::new(NoSanctions)).await;
    let watch = &running.watch;
    watch.announce(Severity::High, of_incident("the first")).await;
    let first = next(&mut alerts).await;
    {
        // As one that the store would not take; this one it takes at no time.
        let mut state = watch.state.lock().await;
        let alert = AlertRecord { id: state.next, detail: "x".repeat(bound::COMMIT_BYTES_MAX), ..first.clone() };
        state.next += 1;
        keep_for_later(&mut state, Raised { alert, who: Who::default() });
    }
    watch.announce(Severity::High, of_incident("behind it")).await;
    watch.raise(own(SecurityEvent::WatchLagged, "behind both".into())).await;
    watch.tick().await;
    let kept =
        |watch: &Watch| watch.list(None, Severity::Low).unwrap().iter().map(|alert| alert.id).collect::<Vec<_>>();
    assert_eq!(kept(watch), [first.id], "what was announced later is not kept earlier");
    assert!(alerts.try_recv().is_err());
    {
        let mut state = watch.state.lock().await;
        let waiting: Vec<u64> = state.unsaved.iter().map(|raised| raised.alert.id).collect();
        assert_eq!(waiting, [first.id + 1, first.id + 2, first.id + 3]);
        state.unsaved[0].alert.detail = "now it does".into();
    }
    watch.announce(Severity::High, of_incident("after all")).await;
    for number in 1..=4 {
        assert_eq!(next(&mut alerts).await.id, first.id + number);
    }
    assert_eq!(kept(watch).len(), 5);
    running.stop().await;
}

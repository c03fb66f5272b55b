//! Who may be reached, and that a name leads only where it was judged to lead.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::http::{HeaderMap, Method};
use futures::future::BoxFuture;
use tokio::net::TcpListener;

use super::exchange::{Answer, Exchange, Limits};
use super::*;
use crate::base::network::Network;
use crate::config::target::HostPattern;

/// Answers each question with the next of its lists, the last one for ever.
pub(super) struct Scripted {
    pub(super) answers: Vec<Vec<IpAddr>>,
    pub(super) asked: AtomicUsize,
}

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, _: &'a Door, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.get(turn).or(self.answers.last()).cloned().unwrap_or_default();
        Box::pin(async move { Ok(answer) })
    }
}

#[derive(Default)]
pub(super) struct Told(pub(super) Mutex<Vec<String>>);

impl Witness for Told {
    fn connected(&self, purpose: Purpose, target: &Endpoint, address: SocketAddr) {
        self.0.lock().unwrap().push(format!("{} {} {}", purpose.operation(), target.host, address.ip()));
    }

    fn refused(&self, _: Purpose, target: &Endpoint, reason: &str) {
        self.0.lock().unwrap().push(format!("refused {}: {reason}", target.host));
    }
}

pub(super) struct Bench {
    pub(super) egress: Egress,
    pub(super) told: Arc<Told>,
    pub(super) resolver: Arc<Scripted>,
}

pub(super) fn patterns(hosts: &[&str]) -> Vec<HostPattern> {
    hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect()
}

pub(super) fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| Network::parse(text).unwrap()).collect()
}

pub(super) fn settings(allowed: &[&str], blocked: &[&str]) -> config::egress::Egress {
    config::egress::Egress { allowed: patterns(allowed), blocked: patterns(blocked), ..Default::default() }
}

pub(super) fn bench_of(settings: &config::egress::Egress, configured: &[&str], answers: &[&[&str]]) -> Bench {
    let answers = answers.iter().map(|list| list.iter().map(|address| address.parse().unwrap()).collect()).collect();
    let resolver = Arc::new(Scripted { answers, asked: AtomicUsize::new(0) });
    let told = Arc::new(Told::default());
    let configured = configured.iter().map(|host| (*host).to_owned()).collect();
    let egress = Egress::with_resolver(settings, configured, resolver.clone(), told.clone());
    Bench { egress, told, resolver }
}

pub(super) fn bench(allowed: &[&str], blocked: &[&str], configured: &[&str], answers: &[&[&str]]) -> Bench {
    bench_of(&settings(allowed, blocked), configured, answers)
}

/// A route of a connector that names these hosts and networks.
pub(super) fn route(hosts: &[&str], near: &[&str]) -> Route {
    let mut route = Route::new("demo");
    route.hosts = patterns(hosts);
    route.networks = networks(near);
    route
}

pub(super) fn get(route: &Arc<Route>, url: &str) -> Exchange {
    Exchange {
        purpose: Purpose::Connector,
        route: Arc::clone(route),
        method: Method::GET,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        credential: None,
        body: bytes::Bytes::new(),
        limits: Limits { total: Duration::from_secs(20), response_bytes_max: 10_000, redirects_max: 5 },
    }
}

pub(super) async fn asked(bench: &Bench, exchange: &Exchange) -> Result<Answer, EgressError> {
    bench.egress.exchange(exchange).await
}

fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.to_owned(), port }
}

/// The reason of a refusal, or the addresses.
async fn judged_by(bench: &Bench, host: &str, route: Option<&Route>) -> String {
    let target = endpoint(host, 1);
    let way = Way { purpose: Purpose::Alert, target: &target, path: Some("/a"), route };
    let addresses = match bench.egress.admitted(way) {
        Ok(standing) => bench.egress.addresses(way, standing).await,
        Err(error) => Err(error),
    };
    match addresses {
        Ok(addresses) => addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(" "),
        Err(EgressError::Refused { reason, .. }) => reason,
        Err(error) => panic!("{error}"),
    }
}

async fn judged(bench: &Bench, host: &str) -> String {
    judged_by(bench, host, None).await
}

#[tokio::test]
async fn only_hosts_that_a_setting_names_are_reached() {
    let public: &[&[&str]] = &[&["1.1.1.1"]];
    let bench = bench(&["a.example", "*.b.example", "*d.example"], &["bad.b.example"], &["sink.example"], public);
    for host in ["a.example", "x.b.example", "sink.example", "bad.example"] {
        assert_eq!(judged(&bench, host).await, "1.1.1.1", "{host}");
    }
    for host in ["b.example", "c.example", "1.1.1.1", "x.a.example"] {
        assert!(judged(&bench, host).await.contains("not in egress.allowed_hosts"), "{host}");
    }
    assert!(judged(&bench, "bad.b.example").await.contains("blocked_hosts"));
    assert_eq!(bench.told.0.lock().unwrap().len(), 5, "each refusal is told");
}

#[tokio::test]
async fn what_a_setting_names_is_no_connectors_and_blocked_beats_allowed_for_all() {
    let public: &[&[&str]] = &[&["1.1.1.1"]];
    let bench = bench(&["both.example"], &["both.example", "own.example/a"], &["sink.example"], public);
    let route = route(&["own.example", "both.example", "ok.example"], &[]);
    assert!(judged_by(&bench, "sink.example", Some(&route)).await.contains("demo does not name it"));
    for host in ["both.example", "own.example"] {
        assert!(judged_by(&bench, host, Some(&route)).await.contains("blocked_hosts"), "{host}");
    }
    assert_eq!(judged_by(&bench, "ok.example", Some(&route)).await, "1.1.1.1");
}

#[tokio::test]
async fn a_private_address_is_reached_only_under_a_name_written_in_full() {
    for private in ["127.0.0.1", "10.1.2.3", "::1", "fd00::1", "64:ff9b::101:101"] {
        let lists: &[&[&str]] = &[&[private]];
        let bench = bench(&["*.example", "named.test"], &[], &["sink.test"], lists);
        assert!(judged(&bench, "x.example").await.contains("not on the internet"), "{private}");
        assert_eq!(judged(&bench, "named.test").await, private);
        assert_eq!(judged(&bench, "sink.test").await, private);
    }
}

/// The table of a connector's networks: what they name is reached, a metadata service only by a network of its own kind.
#[tokio::test]
async fn a_connector_reaches_private_addresses_only_in_networks_that_it_names() {
    let all = ["10.0.0.0/8", "127.0.0.0/8", "0.0.0.0/0", "fd00::/8", "::/0", "64:ff9b::/96"];
    for (address, networks, is_reached) in [
        ("10.1.2.3", &[][..], false),
        ("10.1.2.3", &["10.1.0.0/16"], true),
        ("10.2.2.3", &["10.1.0.0/16"], false),
        ("::ffff:10.1.2.3", &["10.1.0.0/16"], true),
        ("64:ff9b::a01:203", &["10.1.0.0/16"], false),
        ("64:ff9b::a01:203", &["64:ff9b::/96"], true),
        ("127.0.0.1", &["127.0.0.0/8"], true),
        ("169.254.169.254", &all, false),
        ("169.254.169.254", &["169.254.169.254"], true),
        ("168.63.129.16", &all, false),
        ("fd00:ec2::254", &all, false),
        ("fd00:ec2::254", &["fd00:ec2::254"], true),
        ("64:ff9b::a9fe:a9fe", &all, false),
        ("0.0.0.0", &all, false),
        ("0.0.0.0", &["0.0.0.0"], false),
        ("::", &all, false),
        ("224.0.0.1", &all, false),
        ("255.255.255.255", &["255.255.255.255"], false),
    ] {
        let lists: &[&[&str]] = &[&[address]];
        let bench = bench(&["api.example"], &[], &[], lists);
        let found = judged_by(&bench, "api.example", Some(&route(&["api.example"], networks))).await;
        assert_eq!(!found.contains("not on the internet"), is_reached, "{address} by {networks:?}: {found}");
    }
}

#[tokio::test]
async fn metadata_services_are_behind_no_name() {
    let lists: &[&[&str]] = &[&["169.254.169.254"]];
    let bench = bench(&["named.test", "169.254.1.1"], &[], &[], lists);
    assert!(judged(&bench, "named.test").await.contains("169.254.169.254"));
    assert_eq!(judged(&bench, "169.254.1.1").await, "169.254.1.1");
}

#[tokio::test]
async fn one_address_that_may_not_be_refuses_the_others() {
    let lists: &[&[&str]] = &[&["1.1.1.1", "10.0.0.1"]];
    let bench = bench(&["*.example"], &[], &[], lists);
    assert!(judged(&bench, "x.example").await.contains("10.0.0.1"));
}

#[tokio::test]
async fn a_blocked_address_is_blocked_under_every_name() {
    let lists: &[&[&str]] = &[&["1.1.1.1"]];
    let bench = bench(&["a.example"], &["1.1.1.1"], &[], lists);
    assert!(judged(&bench, "a.example").await.contains("blocked_hosts"));
}

#[tokio::test]
async fn a_blocked_address_is_blocked_in_every_spelling_and_by_every_way() {
    for (blocked, address) in [
        ("2001:DB8:0::1", "2001:db8::1"),
        ("2606:4700:0:0::1", "2606:4700::1"),
        ("::ffff:1.1.1.1", "1.1.1.1"),
        ("1.1.1.1", "64:ff9b::101:101"),
    ] {
        let lists: &[&[&str]] = &[&[address]];
        let bench = bench(&["a.example", "named.test"], &[blocked], &["named.test"], lists);
        let found = judged(&bench, "named.test").await;
        assert!(found.contains("blocked_hosts") || found.contains("no connection"), "{blocked} {address}: {found}");
    }
}

/// DNS rebinding: the name is looked up once, so a second answer that leads elsewhere is never heard.
#[tokio::test]
async fn a_name_is_looked_up_once_for_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let lists: &[&[&str]] = &[&["127.0.0.1"], &["169.254.169.254"]];
    let bench = bench(&[], &[], &["sink.test"], lists);
    let stream = bench.egress.tcp(Purpose::Alert, &endpoint("sink.test", port)).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    assert_eq!(bench.resolver.asked.load(Ordering::Relaxed), 1);
    assert_eq!(*bench.told.0.lock().unwrap(), ["egress.alert sink.test 127.0.0.1"]);
}

/// Every way out of the room, tried: none opens a socket, and none asks a resolver.
#[tokio::test]
async fn behind_a_closed_door_no_socket_is_opened_and_no_name_is_looked_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let of = |dns: Dns, mode| config::egress::Egress { mode, dns, ..settings(&["*.test"], &[]) };
    let configured = || vec!["127.0.0.1".to_owned(), "sink.test".to_owned()];
    let server = Dns::Server(listener.local_addr().unwrap());
    let https = Dns::Https(crate::config::target::Url::parse(&format!("https://127.0.0.1:{port}/")).unwrap());
    for dns in [Dns::System, server, https] {
        for proxy in [None, Some(endpoint("127.0.0.1", port))] {
            let settings = config::egress::Egress { proxy, ..of(dns.clone(), EgressMode::None) };
            let egress = Egress::new(&settings, configured(), Arc::new(Told::default()));
            let mut route = route(&["127.0.0.1", "sink.test"], &["127.0.0.0/8"]);
            route.cleartext_loopback = true;
            let route = Arc::new(route);
            for host in ["127.0.0.1", "sink.test", "a.test"] {
                let target = endpoint(host, port);
                assert!(egress.tcp(Purpose::Alert, &target).await.is_err());
                assert!(egress.tls(Purpose::Checkpoint, &target).await.is_err());
                assert!(egress.udp(Purpose::Alert, &target).await.is_err());
                let error = egress.exchange(&get(&route, &format!("https://{host}:{port}/"))).await.unwrap_err();
                assert!(
                    matches!(error, EgressError::Refused { .. }) && error.to_string().contains("--offline"),
                    "{error}"
                );
            }
            let url = crate::config::target::Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
            assert!(egress.post(Purpose::Alert, &url, Vec::new(), "x".into()).await.is_err());
            // Past the policy, too: whoever forgot to ask is held by the door.
            assert!(egress.resolver.resolve(&egress.door, "sink.test").await.is_err());
            assert!(egress.door.tcp(listener.local_addr().unwrap()).await.is_err());
            assert_eq!(egress.sockets_opened(), 0);
        }
    }
    // The same way leads there when the door is open, so that the test can fail.
    let egress = Egress::new(&of(Dns::System, EgressMode::Listed), configured(), Arc::new(Told::default()));
    egress.tcp(Purpose::Alert, &endpoint("127.0.0.1", port)).await.unwrap();
    assert_eq!(egress.sockets_opened(), 1);
    // A connection that was opened waits in the kernel by now.
    listener.accept().unwrap();
    assert!(listener.accept().is_err(), "one connection, and no other");
}

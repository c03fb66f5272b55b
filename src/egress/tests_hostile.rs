//! Targets that somebody would like us to connect to: none is, whether asked for or pointed to.

use std::net::TcpListener;

use super::tests::{Told, get, networks};
use super::tests_dns::{Names, Zone};
use super::tests_http::Site;
use super::tests_tls::{authority, server, serving, today};
use super::*;
use crate::config::target::HostPattern;

/// `PORT` is that of a listener on 127.0.0.1 and ::1 that nobody may reach.
const HOSTILE: &[&str] = &[
    // This machine, written plainly.
    "https://127.0.0.1:PORT/",
    "https://127.0.0.1:PORT/latest/meta-data/",
    "https://localhost:PORT/",
    "https://LOCALHOST:PORT/",
    "https://localhost.:PORT/",
    "https://[::1]:PORT/",
    "https://[0:0:0:0:0:0:0:1]:PORT/",
    "https://127.255.255.254:PORT/",
    // In forms that some parsers take for it.
    "https://127.1:PORT/",
    "https://127.0.1:PORT/",
    "https://2130706433:PORT/",
    "https://0x7f000001:PORT/",
    "https://0x7f.0x0.0x0.0x1:PORT/",
    "https://0x7F.1:PORT/",
    "https://0177.0.0.1:PORT/",
    "https://0177.0000.0000.0001:PORT/",
    "https://017700000001:PORT/",
    "https://127.0.0.1.:PORT/",
    "https://127.0.0.01:PORT/",
    "https://0:PORT/",
    "https://0.0.0.0:PORT/",
    "https://00000000000:PORT/",
    "https://4294967295:PORT/",
    "https://256.256.256.256:PORT/",
    // IPv4 within IPv6.
    "https://[::]:PORT/",
    "https://[::ffff:127.0.0.1]:PORT/",
    "https://[::ffff:7f00:1]:PORT/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "https://[::127.0.0.1]:PORT/",
    "https://[64:ff9b::127.0.0.1]:PORT/",
    "https://[64:ff9b:1::7f00:1]:PORT/",
    "https://[64:ff9b::a9fe:a9fe]:PORT/",
    "https://[2002:7f00:1::]:PORT/",
    "https://[2001:0:0:0:0:0:80ff:fffe]:PORT/",
    "https://[2606:4700::5efe:7f00:1]:PORT/",
    "https://[::ffff:0:127.0.0.1]:PORT/",
    "https://[fe80::1]:PORT/",
    "https://[fe80::1%25lo]:PORT/",
    "https://[fd00::1]:PORT/",
    "https://[fec0::1]:PORT/",
    "https://[ff02::1]:PORT/",
    "https://[::1:PORT/",
    // Metadata services and private networks.
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.170.2/v2/credentials",
    "https://[fd00:ec2::254]/latest/",
    "https://[::ffff:169.254.169.254]/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://100.64.0.1/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    // Users, passwords, backslashes, missing slashes.
    "https://api.example@127.0.0.1:PORT/",
    "https://api.example:443@127.0.0.1:PORT/",
    "https://@127.0.0.1:PORT/",
    "https://127.0.0.1:PORT@api.example/",
    "https://api.example#@127.0.0.1:PORT/",
    "https://127.0.0.1:PORT\\@api.example/",
    "https:\\\\127.0.0.1:PORT\\",
    "https:/127.0.0.1:PORT/",
    "https:127.0.0.1:PORT/",
    "https:///127.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
    // Letters, digits and dots of others.
    "https://127\u{3002}0\u{3002}0\u{3002}1:PORT/",
    "https://127\u{ff0e}0\u{ff0e}0\u{ff0e}1:PORT/",
    "https://\u{ff11}\u{ff12}\u{ff17}.0.0.1:PORT/",
    "https://\u{2460}\u{2461}\u{2466}.0.0.1:PORT/",
    "https://\u{24db}ocalhost:PORT/",
    "https://local\u{ad}host:PORT/",
    "https://localhost\u{3002}:PORT/",
    "https://%31%32%37.0.0.1:PORT/",
    "https://127%2e0%2e0%2e1:PORT/",
    "https://localhos%74:PORT/",
    // Control characters and spaces.
    "https://127.0.0.1\t:PORT/",
    "https://127.0.0.1 :PORT/",
    " https://127.0.0.1:PORT/",
    "https://local\nhost:PORT/",
    "https://127.0.0.1:PORT/\r\nHost: api.example",
    "https://127.0.0.1\0.api.example:PORT/",
    // Other schemes, ports that are none.
    "http://127.0.0.1:PORT/",
    "http://localhost:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "http://loop.evil.test:PORT/",
    "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/_GET",
    "ws://127.0.0.1:PORT/",
    "file:///etc/passwd",
    "https://127.0.0.1:0/",
    "https://127.0.0.1:99999/",
    // Names that lead there.
    "https://loop.evil.test:PORT/",
    "https://loop.evil.test.:PORT/",
    "https://LOOP.evil.TEST:PORT/",
    "https://six.evil.test:PORT/",
    "https://mapped.evil.test:PORT/",
    "https://zero.evil.test:PORT/",
    "https://translated.evil.test:PORT/",
    "https://relayed.evil.test:PORT/",
    "https://teredo.evil.test:PORT/",
    "https://meta.evil.test:PORT/",
    "https://mixed.evil.test:PORT/",
    "https://alias.evil.test:PORT/",
    "https://absent.evil.test:PORT/",
];

fn zone() -> Zone {
    Zone::new(&[
        ("localhost", vec![vec!["127.0.0.1", "::1"]]),
        ("loop.evil.test", vec![vec!["127.0.0.1"]]),
        ("six.evil.test", vec![vec!["::1"]]),
        ("mapped.evil.test", vec![vec!["::ffff:127.0.0.1"]]),
        ("zero.evil.test", vec![vec!["0.0.0.0"]]),
        ("translated.evil.test", vec![vec!["64:ff9b::7f00:1"]]),
        ("relayed.evil.test", vec![vec!["2002:7f00:1::"]]),
        ("teredo.evil.test", vec![vec!["2001::80ff:fffe"]]),
        ("meta.evil.test", vec![vec!["169.254.169.254"]]),
        ("mixed.evil.test", vec![vec!["1.1.1.1", "127.0.0.1"]]),
        ("alias.evil.test", vec![vec!["loop.evil.test", "127.0.0.1"]]),
        // Good when it is judged, and then not.
        ("flips.evil.test", vec![vec!["127.0.0.2"], vec!["127.0.0.1"]]),
    ])
}

/// A listener that nobody may reach.
struct Forbidden {
    listeners: Vec<TcpListener>,
    port: u16,
}

impl Forbidden {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // There may be no IPv6 here, or the port may be taken there.
        let listeners: Vec<_> = [Ok(listener), TcpListener::bind(("::1", port))].into_iter().flatten().collect();
        for listener in &listeners {
            listener.set_nonblocking(true).unwrap();
        }
        Self { listeners, port }
    }

    /// Connections that the kernel has accepted since the last look.
    fn reached(&self) -> usize {
        self.listeners.iter().map(|listener| std::iter::from_fn(|| listener.accept().ok()).count()).sum()
    }
}

fn egress(names: &Names) -> Egress {
    let settings = config::egress::Egress { dns: Dns::Server(names.address), ..Default::default() };
    Egress::new(&settings, Vec::new(), Arc::new(Told::default()))
}

/// A route that names the very host of the target, so that only what it leads to can be against it.
fn route(target: &str) -> Route {
    let mut route = Route::new("demo");
    let named = url::parse(target, true).map(|url| HostPattern::exactly(&url.endpoint.host));
    route.hosts = named.into_iter().collect();
    route.hosts.extend(super::tests::patterns(&["*.evil.test", "*.example", "localhost", "127.0.0.1", "::1"]));
    route
}

#[tokio::test]
async fn no_hostile_target_is_reached() {
    let (names, forbidden) = (Names::start(zone()).await, Forbidden::open());
    let egress = egress(&names);
    assert!(HOSTILE.len() >= 60);
    for target in HOSTILE {
        let target = target.replace("PORT", &forbidden.port.to_string());
        let answer = egress.exchange(&get(&Arc::new(route(&target)), &target)).await;
        let error = answer.expect_err(&target);
        assert!(!error.may_be_done(), "{target}: {error}");
        assert!(!matches!(error, EgressError::Connect { .. } | EgressError::Tls { .. }), "{target}: {error}");
        assert_eq!(forbidden.reached(), 0, "{target}");
    }
    // So that the test can fail: with its network named, the same way leads there.
    let target = format!("https://loop.evil.test:{}/", forbidden.port);
    let mut route = route(&target);
    route.networks = networks(&["127.0.0.0/8"]);
    let mut exchange = get(&Arc::new(route), &target);
    exchange.limits.total = Duration::from_millis(300);
    egress.exchange(&exchange).await.unwrap_err();
    assert_eq!(forbidden.reached(), 1);
}

#[tokio::test]
async fn no_redirect_leads_to_a_hostile_target() {
    let (names, forbidden) = (Names::start(zone()).await, Forbidden::open());
    let egress = egress(&names);
    let authority = authority();
    let tls = serving(&server(&authority, "127.0.0.3", today()), false, None);
    let site = Site::start_at("127.0.0.3", &[""], Some(tls)).await;
    let mut followed = 0;
    for target in HOSTILE.iter().filter(|target| !target.contains(['\r', '\n', '\0', '#'])) {
        let target = target.replace("PORT", &forbidden.port.to_string());
        site.answer(&format!("HTTP/1.1 302 Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"));
        let mut route = route(&target);
        route.hosts.push(HostPattern::exactly("127.0.0.3"));
        route.networks = networks(&["127.0.0.3"]);
        route.ca = Some(authority.certificate().as_bytes().to_vec());
        let exchange = get(&Arc::new(route), &format!("https://127.0.0.3:{}/", site.port));
        let error = egress.exchange(&exchange).await.expect_err(&target);
        let is_refused = matches!(error, EgressError::Redirect { .. } | EgressError::NotFound { .. });
        assert!(is_refused, "{target}: {error:?}");
        assert_eq!(forbidden.reached(), 0, "{target}");
        followed += 1;
    }
    assert!(followed >= 60 && site.heard().len() == followed, "{followed}");
}

/// DNS rebinding, with a real server: what is connected to is what was judged, and each connection is judged anew.
#[tokio::test]
async fn a_name_that_is_answered_differently_the_second_time_leads_nowhere_else() {
    let (names, forbidden) = (Names::start(zone()).await, Forbidden::open());
    let egress = egress(&names);
    let target = format!("https://flips.evil.test:{}/", forbidden.port);
    let mut route = route(&target);
    route.networks = networks(&["127.0.0.2"]);
    let route = Arc::new(route);
    let first = egress.exchange(&get(&route, &target)).await.unwrap_err();
    assert!(matches!(first, EgressError::Connect { .. }), "nobody listens at the first address: {first}");
    let asked = |names: &Names| names.zone.asked.lock().unwrap().iter().filter(|text| text.starts_with("A ")).count();
    assert_eq!(asked(&names), 1, "judged and connected by one look-up");
    let second = egress.exchange(&get(&route, &target)).await.unwrap_err();
    assert!(matches!(second, EgressError::Refused { .. }), "{second}");
    assert_eq!((asked(&names), forbidden.reached()), (2, 0));
}

//! Who may be reached, and that a name leads only where it was judged to lead.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::config::target::Url;

/// Answers each question with the next of its lists, the last one for ever.
struct Scripted {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.get(turn).or(self.answers.last()).cloned().unwrap_or_default();
        Box::pin(async move { Ok(answer) })
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Witness for Told {
    fn connected(&self, purpose: Purpose, target: &Endpoint, address: SocketAddr) {
        self.0.lock().unwrap().push(format!("{} {} {}", purpose.operation(), target.host, address.ip()));
    }

    fn refused(&self, _: Purpose, target: &Endpoint, reason: &str) {
        self.0.lock().unwrap().push(format!("refused {}: {reason}", target.host));
    }
}

struct Bench {
    egress: Egress,
    told: Arc<Told>,
    resolver: Arc<Scripted>,
}

fn bench(allowed: &[&str], blocked: &[&str], configured: &[&str], answers: &[&[&str]]) -> Bench {
    let patterns = |hosts: &[&str]| hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect();
    let settings = config::watch::Egress { allowed: patterns(allowed), blocked: patterns(blocked), ca_file: None };
    let answers = answers.iter().map(|list| list.iter().map(|address| address.parse().unwrap()).collect()).collect();
    let resolver = Arc::new(Scripted { answers, asked: AtomicUsize::new(0) });
    let told = Arc::new(Told::default());
    let configured = configured.iter().map(|host| (*host).to_owned()).collect();
    let egress = Egress::new(&settings, configured, resolver.clone(), told.clone());
    Bench { egress, told, resolver }
}

fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.to_owned(), port }
}

/// The reason of a refusal, or the addresses.
async fn judged(bench: &Bench, host: &str) -> String {
    match bench.egress.addresses(Purpose::Alert, &endpoint(host, 1)).await {
        Ok(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(EgressError::Refused { reason, .. }) => reason,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn only_hosts_that_a_setting_names_are_reached() {
    let public: &[&[&str]] = &[&["1.1.1.1"]];
    let bench = bench(&["a.example", "*.b.example"], &["bad.b.example"], &["sink.example"], public);
    for host in ["a.example", "x.b.example", "sink.example"] {
        assert_eq!(judged(&bench, host).await, "1.1.1.1", "{host}");
    }
    for host in ["b.example", "c.example", "1.1.1.1", "x.a.example"] {
        assert!(judged(&bench, host).await.contains("not in egress.allowed_hosts"), "{host}");
    }
    assert!(judged(&bench, "bad.b.example").await.contains("blocked_hosts"));
    assert_eq!(bench.told.0.lock().unwrap().len(), 5, "each refusal is told");
}

#[tokio::test]
async fn a_private_address_is_reached_only_under_a_name_written_in_full() {
    for private in ["127.0.0.1", "10.1.2.3", "::1", "fd00::1"] {
        let lists: &[&[&str]] = &[&[private]];
        let bench = bench(&["*.example", "named.test"], &[], &["sink.test"], lists);
        assert!(judged(&bench, "x.example").await.contains("not on the internet"), "{private}");
        assert_eq!(judged(&bench, "named.test").await, private);
        assert_eq!(judged(&bench, "sink.test").await, private);
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

/// What the server answers to a post.
async fn posted(answer: &'static [u8]) -> Result<exchange::Answer, EgressError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port())).unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"body") {
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
        }
        stream.write_all(answer).await.ok();
    });
    let bench = bench(&[], &[], &["127.0.0.1"], &[]);
    let answered = bench.egress.post(Purpose::Alert, &url, Vec::new(), "body".into()).await;
    serving.await.unwrap();
    answered
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let answer = posted(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(answer.unwrap().status, 302);
}

#[tokio::test]
async fn an_answer_beyond_its_bound_is_an_error() {
    let long: Vec<u8> = [&b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"[..], &vec![b'a'; 100_000]].concat();
    let error = posted(long.leak()).await.unwrap_err().to_string();
    assert!(error.contains("200") && error.contains("length limit"), "{error}");
}

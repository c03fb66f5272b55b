//! What goes over the wire: requests, redirects, connections that are used again, a proxy.

use std::sync::atomic::{AtomicUsize, Ordering};

use ::http::{HeaderName, Method, header};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::exchange::{Answer, Credential, Exchange};
use super::tests::{Bench, asked, bench, bench_of, get, route, settings};
use super::*;
use crate::base::secret::Secret;
use crate::config::target::Url;

/// A server on loopback that writes down what it hears.
pub(super) struct Site {
    pub(super) port: u16,
    pub(super) heard: Arc<Mutex<Vec<String>>>,
    pub(super) connections: Arc<AtomicUsize>,
    answers: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// Answers the requests of all its connections in order, the last answer for ever. One that ends with a NUL closes
    /// the connection behind it.
    pub(super) async fn start(answers: &[&str]) -> Self {
        Self::start_with(answers, None).await
    }

    pub(super) async fn start_with(answers: &[&str], tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        Self::start_at("127.0.0.1", answers, tls).await
    }

    /// At an address of this machine.
    pub(super) async fn start_at(at: &str, answers: &[&str], tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind((at, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers: Arc<Mutex<Vec<_>>> = Arc::new(Mutex::new(answers.iter().map(ToString::to_string).collect()));
        let (heard, connections) = Default::default();
        let site = Self { port, heard, connections, answers: Arc::clone(&answers) };
        let (heard, connections) = (Arc::clone(&site.heard), Arc::clone(&site.connections));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::Relaxed);
                let (heard, answers, tls) = (Arc::clone(&heard), Arc::clone(&answers), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => speak(stream, &heard, &answers).await,
                        Some(tls) => {
                            if let Ok(stream) = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await {
                                speak(stream, &heard, &answers).await;
                            }
                        }
                    }
                });
            }
        });
        site
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// What is answered from now on.
    pub(super) fn answer(&self, answer: &str) {
        *self.answers.lock().unwrap() = vec![answer.to_owned()];
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn speak(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    heard: &Mutex<Vec<String>>,
    answers: &Mutex<Vec<String>>,
) {
    loop {
        let mut bytes = Vec::new();
        let request = loop {
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    break text;
                }
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let turn = {
            let mut heard = heard.lock().unwrap();
            heard.push(request);
            heard.len() - 1
        };
        let answer = {
            let answers = answers.lock().unwrap();
            answers.get(turn).or(answers.last()).unwrap().clone()
        };
        let (answer, is_last) = answer.strip_suffix('\0').map_or((&*answer, false), |answer| (answer, true));
        if stream.write_all(answer.as_bytes()).await.is_err() || is_last {
            return;
        }
    }
}

pub(super) const GOOD: &str = "HTTP/1.1 200 OK\r\nX-Kept: yes\r\nContent-Length: 4\r\n\r\nbody";

fn to(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

fn near() -> Arc<Route> {
    let mut route = route(&["127.0.0.1", "localhost"], &[]);
    route.cleartext_loopback = true;
    Arc::new(route)
}

fn nowhere() -> Bench {
    bench(&[], &[], &[], &[&["10.0.0.9"]])
}

fn credential() -> Option<Arc<Credential>> {
    let mut credential = Credential { query: vec![("key".into(), Secret::new("query-secret"))], ..Default::default() };
    credential.headers.insert(header::AUTHORIZATION, "Bearer header-secret".parse().unwrap());
    Some(Arc::new(credential))
}

fn post(url: &str) -> Exchange {
    let mut exchange = get(&near(), url);
    exchange.method = Method::POST;
    exchange.body = "the-body".into();
    exchange.headers.insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
    exchange.headers.insert(HeaderName::from_static("x-api-key"), "header-key".parse().unwrap());
    exchange.credential = credential();
    exchange
}

fn reason(answer: Result<Answer, EgressError>) -> String {
    answer.unwrap_err().to_string()
}

#[tokio::test]
async fn a_request_goes_out_as_it_was_asked_for_with_its_credential() {
    let site = Site::start(&[GOOD]).await;
    let mut exchange = post(&site.url("/a%20b?x=1&key=mine#part"));
    // What belongs to the connection is ours to say.
    for (name, value) in [("host", "evil.example"), ("content-length", "3"), ("transfer-encoding", "chunked")] {
        exchange.headers.insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    exchange.headers.insert(header::AUTHORIZATION, "Bearer of-the-caller".parse().unwrap());
    let answer = asked(&nowhere(), &exchange).await.unwrap();
    assert_eq!((answer.status.as_u16(), &*answer.body, answer.requests), (200, &b"body"[..], 1));
    assert_eq!(answer.headers["x-kept"], "yes");
    let heard = site.heard().remove(0);
    assert!(heard.starts_with("post /a%20b?x=1&key=query-secret http/1.1\r\n"), "{heard}");
    assert!(heard.contains(&format!("host: 127.0.0.1:{}\r\n", site.port)) && heard.contains("content-length: 8\r\n"));
    assert!(heard.contains("bearer header-secret") && heard.ends_with("\r\n\r\nthe-body"), "{heard}");
    assert!(!heard.contains("evil") && !heard.contains("chunked") && !heard.contains("of-the-caller"), "{heard}");
    let shown = format!("{exchange:?} {:?} {answer:?}", exchange.credential);
    assert!(!shown.contains("secret") && !shown.contains("body\""), "{shown}");
}

#[tokio::test]
async fn within_an_origin_a_redirect_is_followed_with_the_credential() {
    for (status, expected) in [(301, "get"), (302, "get"), (303, "get"), (307, "post"), (308, "post")] {
        let site = Site::start(&[&to(status, "/next?key=query-secret"), GOOD]).await;
        let answer = asked(&nowhere(), &post(&site.url("/"))).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.requests), (200, 2));
        let heard = site.heard().remove(1);
        assert!(heard.starts_with(&format!("{expected} /next?key=query-secret http")), "{status}: {heard}");
        assert!(heard.contains("bearer header-secret") && heard.contains("x-api-key"), "{heard}");
        assert_eq!(heard.contains("the-body"), expected == "post", "{heard}");
        assert_eq!(heard.contains("content-type"), expected == "post", "{heard}");
    }
    let site = Site::start(&[&to(303, "/next"), GOOD]).await;
    let mut exchange = post(&site.url("/"));
    (exchange.method, exchange.body) = (Method::HEAD, bytes::Bytes::new());
    exchange.limits.total = Duration::from_secs(20);
    // An answer to HEAD has no body: the server's is one for us to refuse, after the method was seen.
    asked(&nowhere(), &exchange).await.ok();
    assert!(site.heard()[1].starts_with("head /next"));
}

/// A call that failed after redirects was counted as one request, and its repetitions sent more than it might.
#[tokio::test]
async fn requests_are_counted_whatever_comes_of_them() {
    let site = Site::start(&[&to(302, "/a"), &to(302, "/b"), "\0"]).await;
    let sent = std::sync::atomic::AtomicU32::new(0);
    nowhere().egress.exchange_counted(&get(&near(), &site.url("/")), &sent).await.unwrap_err();
    assert_eq!((sent.load(Ordering::Relaxed), site.heard().len()), (3, 3));
}

#[tokio::test]
async fn no_credential_goes_to_another_origin_nor_back_from_there() {
    let other = Site::start(&[GOOD]).await;
    let site = Site::start(&[&to(302, &other.url("/there")), GOOD]).await;
    let mut exchange = get(&near(), &site.url("/"));
    exchange.credential = credential();
    exchange.headers.insert(HeaderName::from_static("x-api-key"), "header-key".parse().unwrap());
    exchange.headers.insert(header::COOKIE, "a=header-key".parse().unwrap());
    exchange.headers.insert(header::ACCEPT, "text/html".parse().unwrap());
    asked(&nowhere(), &exchange).await.unwrap();
    let heard = other.heard().remove(0);
    assert!(heard.starts_with("get /there http") && heard.contains("text/html"), "{heard}");
    for secret in ["secret", "header-key", "authorization", "cookie", "referer", "key="] {
        assert!(!heard.contains(secret), "{secret} in {heard}");
    }
    // There and on: whoever has left does not come back as who he was.
    let other = Site::start(&[&to(302, "/{}")]).await;
    let site = Site::start(&[&to(302, &other.url("/")), GOOD]).await;
    other.answer(&to(302, &site.url("/back")));
    exchange.url = site.url("/");
    asked(&nowhere(), &exchange).await.unwrap();
    let back = site.heard().remove(1);
    assert!(back.starts_with("get /back") && !back.contains("secret") && !back.contains("header-key"), "{back}");
}

#[tokio::test]
async fn a_redirect_hands_neither_body_nor_credential_to_another_origin() {
    let other = Site::start(&[GOOD]).await;
    let check = async |exchange: &dyn Fn(&str) -> Exchange, status: u16, location: String, why: &str| {
        let site = Site::start(&[&to(status, &location)]).await;
        let error = asked(&nowhere(), &exchange(&site.url("/"))).await.unwrap_err();
        assert!(matches!(error, EgressError::Redirect { .. }) && error.may_be_done(), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    };
    let reading = |url: &str| Exchange { credential: credential(), ..get(&near(), url) };
    let deleting = |url: &str| Exchange { method: Method::DELETE, ..get(&near(), url) };
    for status in [307, 308] {
        check(&post, status, other.url("/"), "hand what was sent").await;
        check(&deleting, status, other.url("/"), "hand what was sent").await;
    }
    check(&deleting, 302, other.url("/"), "hand what was sent").await;
    for path in ["/?token=header-secret", "/?a=query%2Dsecret", "/?key=x", "/query-secret/"] {
        check(&reading, 302, other.url(path), "hand a credential").await;
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn redirects_are_judged_counted_and_left_alone_where_nobody_wants_them() {
    let refused = async |location: &str, why: &str| {
        let site = Site::start(&[&to(302, location)]).await;
        let error = reason(asked(&nowhere(), &get(&near(), &site.url("/"))).await);
        assert!(error.contains(why), "{location}: {error}");
    };
    refused("https://other.example/", "demo does not name it").await;
    refused("https://localhost/", "10.0.0.9").await;
    refused("http://other.example/", "this machine only").await;
    refused("http://127.1/", "four decimal numbers").await;
    refused("file:///etc/passwd", "expected a URL").await;
    let site = Site::start(&[&to(302, "/")]).await;
    let mut exchange = get(&near(), &site.url("/"));
    assert!(reason(asked(&nowhere(), &exchange).await).contains("5 were followed already"));
    assert_eq!(site.heard().len(), 6);
    exchange.limits.redirects_max = 0;
    assert_eq!(asked(&nowhere(), &exchange).await.unwrap().status, 302);
    let two = "HTTP/1.1 302 Moved\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n";
    let site = Site::start(&[two]).await;
    assert!(reason(asked(&nowhere(), &get(&near(), &site.url("/"))).await).contains("more than one place"));
    let site = Site::start(&["HTTP/1.1 304 Not Modified\r\nLocation: /a\r\n\r\n"]).await;
    assert_eq!(asked(&nowhere(), &get(&near(), &site.url("/"))).await.unwrap().status, 304);
}

#[tokio::test]
async fn a_connection_is_used_again_and_replaced_when_it_was_closed() {
    let bench = nowhere();
    let site = Site::start(&[GOOD, GOOD, &format!("{GOOD}\0"), GOOD]).await;
    let exchange = get(&near(), &site.url("/"));
    for _ in 0..3 {
        asked(&bench, &exchange).await.unwrap();
    }
    assert_eq!(site.connections(), 1);
    // Closed by the server behind the third answer. Nothing of a fourth request is lost by that.
    while exchange.route.pool.take(&Url::parse(&exchange.url).unwrap()).is_some() {
        tokio::task::yield_now().await;
    }
    asked(&bench, &exchange).await.unwrap();
    assert_eq!((site.connections(), site.heard().len()), (2, 4));
    assert_eq!(bench.told.0.lock().unwrap().len(), 2, "each connection is told, not each request");
    // Another route has connections of its own: its certificate and its authorities may be others.
    asked(&bench, &get(&near(), &site.url("/"))).await.unwrap();
    assert_eq!(site.connections(), 3);
}

#[tokio::test]
async fn an_error_tells_whether_the_request_may_have_been_heard() {
    let long: String = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "a".repeat(100_000));
    let site = Site::start(&[&long]).await;
    let error = asked(&nowhere(), &get(&near(), &site.url("/"))).await.unwrap_err();
    assert!(matches!(error, EgressError::TooLarge { bytes_max: 10_000, .. }) && error.may_be_done(), "{error}");

    let site = Site::start(&[""]).await;
    let mut exchange = get(&near(), &site.url("/"));
    exchange.limits.total = Duration::from_millis(200);
    let error = asked(&nowhere(), &exchange).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { is_sent: true, within_ms: 200, .. }) && error.may_be_done());

    let site = Site::start(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody\0"]).await;
    let error = asked(&nowhere(), &get(&near(), &site.url("/"))).await.unwrap_err();
    assert!(matches!(error, EgressError::Exchange { .. }) && error.may_be_done(), "{error}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = asked(&nowhere(), &get(&near(), &format!("http://127.0.0.1:{closed}/"))).await.unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. }) && !error.may_be_done(), "{error}");

    for method in [Method::CONNECT, Method::TRACE] {
        let error = asked(&nowhere(), &Exchange { method, ..get(&near(), &site.url("/")) }).await.unwrap_err();
        assert!(matches!(error, EgressError::Request { .. }) && !error.may_be_done(), "{error}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    let many: String = (0..1000).map(|number| format!("x-{number}: y\r\n")).collect();
    for answer in [long, format!("HTTP/1.1 200 OK\r\n{many}\r\n")] {
        let site = Site::start(&[&answer]).await;
        let error = asked(&nowhere(), &get(&near(), &site.url("/"))).await.unwrap_err();
        assert!(matches!(error, EgressError::Exchange { .. }), "{error}");
    }
}

/// A proxy on loopback that writes down what it is asked, and answers as told.
async fn proxy(answer: &'static str) -> (Endpoint, Arc<Mutex<Vec<String>>>) {
    let site = Site::start(&[answer]).await;
    (Endpoint { host: "127.0.0.1".into(), port: site.port }, site.heard)
}

fn by_proxy(proxy: &Endpoint) -> Bench {
    let mut settings = settings(&["full.example", "*.below.example", "10.0.0.1"], &["bad.example"]);
    settings.proxy = Some(proxy.clone());
    settings.direct = super::tests::patterns(&["direct.example"]);
    bench_of(&settings, &["bad.example", "direct.example"], &[&["127.0.0.1"]])
}

#[tokio::test]
async fn through_a_proxy_go_hosts_that_are_named_in_full_and_no_name_is_looked_up_here() {
    let (proxy, heard) = proxy("HTTP/1.1 200 Connection established\r\n\r\n").await;
    let bench = by_proxy(&proxy);
    let reach = async |host: &str| bench.egress.tcp(Purpose::Alert, &Endpoint { host: host.into(), port: 25 }).await;
    reach("full.example").await.unwrap();
    reach("10.0.0.1").await.unwrap();
    assert_eq!(heard.lock().unwrap()[0], "connect full.example:25 http/1.1\r\nhost: full.example:25\r\n\r\n");
    for (host, why) in [("a.below.example", "named in full"), ("bad.example", "blocked"), ("x.example", "not in")] {
        let error = reach(host).await.unwrap_err().to_string();
        assert!(error.contains(why), "{host}: {error}");
    }
    let target = Endpoint { host: "full.example".into(), port: 514 };
    assert!(bench.egress.udp(Purpose::Alert, &target).await.unwrap_err().to_string().contains("no UDP"));
    assert_eq!((heard.lock().unwrap().len(), bench.resolver.asked.load(Ordering::Relaxed)), (2, 0));
    // What a connector reaches by its networks is no business of a proxy: a literal is judged all the same.
    let error = asked(&bench, &get(&Arc::new(route(&["10.0.0.2"], &[])), "https://10.0.0.2/")).await;
    assert!(reason(error).contains("not on the internet"));
    // Without the proxy: this machine, and what is named for that.
    let site = Site::start(&[GOOD]).await;
    let direct = Endpoint { host: "direct.example".into(), port: site.port };
    bench.egress.tcp(Purpose::Alert, &direct).await.unwrap();
    assert_eq!(bench.resolver.asked.load(Ordering::Relaxed), 1);
    asked(&bench, &get(&near(), &site.url("/"))).await.unwrap();
    assert_eq!(heard.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_a_proxy_refuses_is_told() {
    for answer in ["HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 20\r\n\r\n"] {
        let (proxy, _) = proxy(answer).await;
        let target = Endpoint { host: "full.example".into(), port: 443 };
        let error = by_proxy(&proxy).egress.tcp(Purpose::Alert, &target).await.unwrap_err();
        assert!(matches!(error, EgressError::Connect { .. }) && error.to_string().contains("the proxy answered"));
    }
}

/// What the server answers to a post of a setting's URL.
async fn posted(answer: &str) -> Result<Answer, EgressError> {
    let site = Site::start(&[answer]).await;
    let bench = bench(&[], &[], &["127.0.0.1"], &[]);
    bench.egress.post(Purpose::Alert, &Url::parse(&site.url("/")).unwrap(), Vec::new(), "body".into()).await
}

#[tokio::test]
async fn a_posts_redirect_is_an_answer_and_is_not_followed() {
    let answer = posted("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(answer.unwrap().status, 302);
}

#[tokio::test]
async fn a_posts_answer_beyond_its_bound_is_an_error() {
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "a".repeat(100_000));
    assert!(matches!(posted(&long).await, Err(EgressError::TooLarge { bytes_max: 65_536, .. })));
}

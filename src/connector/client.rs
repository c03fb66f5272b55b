//! One call of an operation: the request is made, the credential added, sent, perhaps sent again, and the answer read.
//!
//! The only retries are of idempotent methods, and of a call that the API refused as unauthenticated where whoever
//! authorises has something newer. Everything happens within the call's time and its budget of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use tokio::time::Instant;

use super::authorise::Authorise;
use super::base_url::BaseUrl;
use super::binding::Binding;
use super::breaker::{Breakers, Failure, Pass};
use super::next::next;
use super::pieces::{Step, Told, Uploads, Whose};
use super::record::ConnectorRecord;
use super::reply::{Part, Reader, Reply};
use super::request::{SentFile, WireRequest};
use super::scan::{self, Dial, Verdict};
use super::scanner::Scanner;
use super::tool::Tool;
use super::unanswered::{left_alone, log_in_again, unanswered};
use super::upload::File;
use super::upstream::{Answered, Authority, Outgoing, Unsent, Upstream};
use super::wire::Ready;
use super::{retry, upload};
use crate::base::bound::connector as bound;
use crate::base::budget::Meter;
use crate::base::clock::Clock;
use crate::base::id::{hex, random_bytes};
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal, whole_seconds};
use crate::base::secret::Secret;
use crate::schema::{NotASchema, Schema};

/// Calls operations of connectors.
pub struct Client {
    upstream: Arc<dyn Upstream>,
    authorise: Arc<dyn Authorise>,
    scanners: Arc<dyn Dial>,
    breakers: Breakers,
    uploads: Uploads,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("breakers", &self.breakers).finish_non_exhaustive()
    }
}

/// An operation whose schemas are compiled.
#[derive(Debug)]
pub struct Callable {
    ready: Ready,
    output: Option<Schema>,
}

impl Callable {
    pub fn new(tool: Tool) -> Result<Self, NotASchema> {
        let output = tool.output.as_ref().map(Schema::compile).transpose()?;
        Ok(Self { ready: Ready::new(tool)?, output })
    }

    pub fn tool(&self) -> &Tool {
        self.ready.tool()
    }
}

/// What is called, by whom, and what the call may use.
pub struct Call<'a> {
    pub connector: &'a ConnectorRecord,
    pub operation: &'a Callable,
    pub principal: &'a Principal,
    pub meter: &'a Meter,
    /// Is told each secret that the request carries, in each of its forms, before it is sent.
    pub used: &'a (dyn Fn(&Secret) -> Result<(), Refusal> + Send + Sync),
    /// Is told how far an upload in pieces is.
    pub watcher: &'a dyn Watcher,
    /// All of it, waits included.
    pub time: Duration,
}

/// Hears how far an upload in pieces is, in bytes.
pub trait Watcher: Send + Sync {
    fn progress(&self, done: u64, total: u64, text: String) -> BoxFuture<'_, ()>;
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Call").field(&self.operation.tool().name).finish()
    }
}

impl Client {
    pub fn new(
        upstream: Arc<dyn Upstream>,
        authorise: Arc<dyn Authorise>,
        scanners: Arc<dyn Dial>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (breakers, uploads) = (Breakers::new(Arc::clone(&clock)), Uploads::new(Arc::clone(&clock)));
        Self { upstream, authorise, scanners, breakers, uploads, clock }
    }

    pub fn breakers(&self) -> &Breakers {
        &self.breakers
    }

    /// A connector is gone: another one may get its name.
    pub fn forget(&self, connector: &str) {
        self.breakers.forget(connector);
        self.uploads.forget(connector);
    }

    /// Forgets uploads in pieces that nobody went on with for their time.
    pub fn forget_old_uploads(&self) {
        let held_bytes = self.uploads.forget_all_old();
        if held_bytes > 0 {
            tracing::debug!(held_bytes, "files wait for the scanner");
        }
    }

    /// Calls an operation. What the API answered is a reply, its errors too; a refusal is Sekisho's own.
    pub async fn call(&self, call: Call<'_>, mut arguments: Value) -> Result<Reply, Refusal> {
        let until = Instant::now() + call.time;
        let tool = call.operation.tool();
        let name = &call.connector.name;
        let base = BaseUrl::parse(&call.connector.base_url, call.connector.loopback_http).map_err(Refusal::internal)?;
        let scanner = call.connector.settings.scanner().map_err(Refusal::internal)?;
        if scanner.is_some() && upload::has_unseen_files(tool) {
            let public = format!(
                "{} takes files in a form that cannot be shown to the scanner of {name}, so it is not called.",
                tool.name
            );
            return Err(Refusal::new(Code::Conflict, public));
        }
        let files = if arguments.is_object() { upload::prepare(tool, &mut arguments)? } else { Vec::new() };
        note_files(call.meter, files.iter().map(File::sent));
        let request = call.operation.ready.request(&base, &arguments, &random_bytes::<16>)?;
        let principal = Arc::clone(&call.principal.id);
        let whose = Whose { connector: name, principal, is_scanned: scanner.is_some() };
        let step = self.uploads.step(whose, tool, &arguments, &files)?;
        drop(arguments);
        if let Some(body) = &request.body {
            call.meter.hold(body.bytes.len())?;
            note_files(call.meter, body.files.iter().cloned());
        }
        if let Some(scanner) = &scanner {
            self.scan(&call, scanner, &shown(&files, &request, &step), until).await?;
        }
        drop(files);
        if let Step::Going(going) = &step {
            let told = &going.told;
            call.watcher.progress(told.bytes, told.bytes_expected, told.text()).await;
        }
        let pass = match self.breakers.enter(name, &call.principal.id) {
            Ok(pass) => pass,
            Err(left) => return Ok(left_alone(call.meter, name, left)),
        };
        let Attempted { sent, attempts, secrets } = self.attempts(&call, &base, &request, until).await?;
        if attempts > 1 {
            call.meter.note(format!("{attempts} attempts"));
        }
        tell(pass, &sent, Instant::now() >= until);
        match sent {
            Ok(answered) => {
                call.meter.hold(answered.body.len())?;
                call.meter.note(format!("status {}", answered.status.as_u16()));
                let mut reply = self.read(&call, &request, &answered, &secrets);
                if answered.status.is_success()
                    && let Some(told) = taken(call.meter, step, &answered)
                {
                    call.watcher.progress(told.bytes, told.bytes_expected, told.text()).await;
                    reply.parts.push(Part::Text(format!("[{}.]", told.text())));
                }
                Ok(reply)
            }
            Err(unsent) => {
                call.meter.note(unsent.to_string());
                Ok(unanswered(name, tool, &unsent))
            }
        }
    }

    fn read(&self, call: &Call<'_>, request: &WireRequest, answered: &Answered, secrets: &[Secret]) -> Reply {
        let mut reply = self.read_plainly(call, request, answered, secrets);
        let setup = call.connector.binding.as_ref().and_then(Binding::oauth);
        if let Some(setup) = setup.filter(|_| answered.status == StatusCode::UNAUTHORIZED) {
            reply.parts.push(Part::Text(log_in_again(&call.connector.name, setup.whose)));
        }
        reply
    }

    fn read_plainly(&self, call: &Call<'_>, request: &WireRequest, answered: &Answered, secrets: &[Secret]) -> Reply {
        let tool = call.operation.tool();
        let after = retry::retry_after(&answered.headers, self.clock.now());
        let next = |headers: &HeaderMap, body: Option<&Value>| next(tool, &request.url, headers, body);
        let output = call.operation.output.as_ref();
        let reader = Reader { connector: &call.connector.name, tool, output, next: &next, secrets };
        reader.read(answered, after.map(whole_seconds))
    }

    /// Shows files to the scanner; only if it finds nothing in any of them, the call goes on.
    async fn scan(
        &self,
        call: &Call<'_>,
        scanner: &Scanner,
        files: &[(String, &[u8])],
        until: Instant,
    ) -> Result<(), Refusal> {
        for (name, content) in files {
            if matches!(scanner, Scanner::Tcp(_)) {
                call.meter.request()?;
            }
            let left = until.saturating_duration_since(Instant::now());
            match scan::scan(&*self.scanners, call.connector, scanner, content, left).await {
                Ok(Verdict::Clean) => call.meter.note_once("scanned, nothing was found"),
                Ok(Verdict::Found(found)) => {
                    let public = format!("The file {name} was not sent: the scanner found {found} in it.");
                    return Err(Refusal::new(Code::Invalid, public)
                        .with_private(format!("the scanner found {found} in {name}")));
                }
                Err(error) => {
                    let public = format!(
                        "The file {name} was not sent, because the scanner could not look at it; an operator finds the reason in the audit log."
                    );
                    return Err(Refusal::new(Code::Unavailable, public)
                        .with_private(format!("{name} was not scanned by {scanner}: {error}")));
                }
            }
        }
        Ok(())
    }

    async fn attempts(
        &self,
        call: &Call<'_>,
        base: &BaseUrl,
        request: &WireRequest,
        until: Instant,
    ) -> Result<Attempted, Refusal> {
        let (mut attempt, mut is_renewed, mut secrets) = (1, false, Vec::new());
        loop {
            let (sent, authority) = self.attempt(call, base, request, until).await?;
            for secret in &authority.secrets {
                // The same ones, mostly.
                if !secrets.contains(secret) {
                    secrets.push(secret.clone());
                }
            }
            let unauthenticated = matches!(&sent, Ok(answered) if answered.status == StatusCode::UNAUTHORIZED);
            if unauthenticated
                && !is_renewed
                // It may take a request, and is worth it only if another one is left for the call.
                && call.meter.network_requests_left() > 1
                && self.authorise.renew(call.connector, call.principal, &authority).await?
            {
                is_renewed = true;
                // Perhaps another call's, for all that wait.
                call.meter.request()?;
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            let Some(wait) = retry::wait(request.method, &sent, attempt, left, self.clock.now()) else {
                return Ok(Attempted { sent, attempts: attempt, secrets });
            };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        base: &BaseUrl,
        request: &WireRequest,
        until: Instant,
    ) -> Result<(Result<Answered, Unsent>, Authority), Refusal> {
        call.meter.request()?;
        let authority = self.authorise.authorise(call.connector, call.principal, base.origin()).await?;
        for _ in 0..authority.requests {
            call.meter.request()?;
        }
        for secret in &authority.secrets {
            (call.used)(secret)?;
        }
        if let Some(note) = &authority.note {
            call.meter.note_once(note);
        }
        let redirects_max = if request.method.is_safe() { bound::REDIRECTS_MAX } else { 0 };
        let left = u32::try_from(call.meter.network_requests_left()).unwrap_or(u32::MAX);
        let requests = Arc::new(AtomicU32::new(0));
        let outgoing = Outgoing {
            method: http::Method::from_bytes(request.method.as_str().as_bytes()).map_err(Refusal::internal)?,
            url: request.url.clone(),
            headers: headers(request)?,
            authority: authority.clone(),
            body: request.body.as_ref().map(|body| body.bytes.clone()).unwrap_or_default().into(),
            time: until.saturating_duration_since(Instant::now()),
            answer_bytes_max: bound::ANSWER_BYTES_MAX,
            redirects_max: redirects_max.min(left),
            sent: Arc::clone(&requests),
        };
        let sent = self.upstream.send(call.connector, outgoing).await;
        for _ in 1..requests.load(Ordering::Relaxed) {
            call.meter.request()?;
        }
        // What ended at the last redirect that the budget has room for goes no further for want of it.
        if left < redirects_max && call.meter.network_requests_left() == 0 && is_redirected(&sent) {
            call.meter.request()?;
        }
        Ok((sent, authority))
    }
}

/// Whether the API sent us on, and nobody went.
fn is_redirected(sent: &Result<Answered, Unsent>) -> bool {
    match sent {
        Ok(answered) => answered.status.is_redirection() && answered.headers.contains_key(header::LOCATION),
        Err(unsent) => matches!(unsent, Unsent::Redirected(_)),
    }
}

/// What became of a call.
struct Attempted {
    sent: Result<Answered, Unsent>,
    attempts: u32,
    /// All that it carried: an answer may send it back.
    secrets: Vec<Secret>,
}

/// `is_over`: the call's time was up. That nobody was reached may then lie in how little of it was left, after a scanner
/// or an authorization server had had the rest: it says nothing of the API.
fn tell(pass: Pass<'_>, sent: &Result<Answered, Unsent>, is_over: bool) {
    match sent {
        Ok(answered) if retry::is_outage(answered.status) => pass.failed(Failure::Unanswered),
        Err(Unsent::Unreached(_)) if is_over => {}
        Err(Unsent::Unreached(_)) => pass.failed(Failure::Unreached),
        Err(Unsent::Interrupted(_)) => pass.failed(Failure::Unanswered),
        // What our own settings refuse says nothing of the API.
        Err(Unsent::Refused(_)) => {}
        Ok(_) | Err(_) => pass.answered(),
    }
}

fn headers(request: &WireRequest) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(Refusal::internal)?;
        headers.append(name, HeaderValue::from_str(value).map_err(Refusal::internal)?);
    }
    if let Some(body) = &request.body {
        let value = HeaderValue::from_str(&body.content_type).map_err(Refusal::internal)?;
        headers.insert(header::CONTENT_TYPE, value);
    }
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/*;q=0.8, */*;q=0.5"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(headers)
}

/// All that a scanner has to see: the files of the call, and at the end of an upload in pieces the whole of it.
fn shown<'a>(files: &'a [File], request: &'a WireRequest, step: &'a Step<'_>) -> Vec<(String, &'a [u8])> {
    let mut shown: Vec<(String, &[u8])> =
        files.iter().map(|file| (file.name.clone(), file.content.as_slice())).collect();
    if let Some(body) = &request.body {
        let parts = body.files.iter().filter_map(|file| Some((file.name.clone(), body.bytes.get(file.at.clone())?)));
        shown.extend(parts);
    }
    if let Step::Going(going) = step
        && let Some(content) = &going.content
    {
        shown.push((going.told.name.clone(), content));
    }
    shown
}

/// The API took a step of an upload. Gives how far the upload is, where it is followed.
fn taken(meter: &Meter, step: Step<'_>, answered: &Answered) -> Option<Told> {
    match step {
        Step::Other => None,
        Step::Begin(begin) => {
            meter.note(begin.note());
            begin.done(serde_json::from_slice(&answered.body).ok().as_ref())
        }
        Step::Going(going) => {
            let (told, whole) = going.done();
            if let Some(hash) = whole {
                meter.note(format!("file {}, {} bytes, sha256 {}", told.name, told.bytes, hex(&hash)));
                return None;
            }
            meter.note(format!("a piece of {}, {} of {} bytes", told.name, told.bytes, told.bytes_expected));
            Some(told)
        }
    }
}

/// Name, size and digest: the content is nobody's business.
fn note_files(meter: &Meter, files: impl Iterator<Item = SentFile>) {
    for file in files {
        let name = if file.name.is_empty() { "without a name" } else { &file.name };
        meter.note(format!("file {name}, {} bytes, sha256 {}", file.bytes, hex(&file.sha256)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};

    /// One whose scanner was slow shut the API for all.
    #[test]
    fn a_call_that_used_up_its_own_time_keeps_nobody_out() {
        for (is_over, is_kept_out) in [(true, false), (false, true)] {
            let breakers = Breakers::new(Arc::new(ManualClock::at(Timestamp(0))));
            let (ann, bob): (Arc<str>, Arc<str>) = ("token:ann".into(), "token:bob".into());
            for _ in 0..bound::BREAKER_FAILURES_MAX {
                let sent = Err(Unsent::Unreached("no answer within 3 ms".into()));
                tell(breakers.enter("zoo", &ann).unwrap(), &sent, is_over);
            }
            assert_eq!(breakers.enter("zoo", &bob).is_err(), is_kept_out);
        }
    }
}

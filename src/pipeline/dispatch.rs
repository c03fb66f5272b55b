//! Step 5: runs the operation under its budget; a panic, a timeout and a cancellation end one call only.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::authorize::Allowed;
use super::ran::Ran;
use super::redact::Redactor;
use super::request::Asked;
use crate::base::bound;
use crate::base::budget::Meter;
use crate::base::id::{hex, random_bytes};
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};
use crate::config;
use crate::crypto::aead::SealingKey;
use crate::crypto::digest::sha256;
use crate::operation::{
    Abilities, Ask, Caller, Catalog, Cx, Effect, Kind, Outcome, Output, Progress, Question, UsedSecrets,
};

/// What dispatch borrows from the pipeline.
pub(super) struct Shared<'a> {
    pub(super) catalog: &'a Arc<Catalog>,
    pub(super) key: &'a SealingKey,
    pub(super) asks: &'a Asks,
    pub(super) limits: config::Limits,
    pub(super) redactor: &'a Arc<Redactor>,
    pub(super) used: &'a Arc<UsedSecrets>,
    pub(super) meter: &'a Arc<Meter>,
}

pub(super) async fn dispatch(shared: &Shared<'_>, allowed: Allowed) -> Result<(Kind, Ran), Refusal> {
    let Allowed { principal, access, asked, permit, registered } = allowed;
    let about = Arc::clone(&registered.about);
    let context = seal_context(&principal, &asked);
    let state = asked.state.as_deref().map(|sealed| shared.asks.open(shared.key, sealed, &context)).transpose()?;
    let Asked { arguments, caller, cancel, answers, completion, kind, .. } = asked;
    let waiting = Arc::new(Waiting::default());
    let used = Arc::clone(shared.used);
    let redactor = Arc::clone(shared.redactor);
    let caller = Arc::new(Guarded { caller, waiting: Arc::clone(&waiting), redactor, used: Arc::clone(&used) });
    let catalog = Arc::clone(shared.catalog);
    let meter = Arc::clone(shared.meter);
    let cx = Cx { principal, access, catalog, caller, cancel: cancel.clone(), answers, state, used, meter };
    let budget = about.budget.unwrap_or(shared.limits.call_timeout);
    let run: BoxFuture<'_, Result<Outcome, Refusal>> = match &completion {
        None => registered.operation.run(&cx, arguments),
        Some((argument, start)) => Box::pin(async {
            let values = registered.operation.complete(&cx, argument, start).await?;
            Ok(Outcome::Done(Output::Completion { total: values.len(), values }))
        }),
    };
    let run = AssertUnwindSafe(run).catch_unwind();
    let abandon = about.effect == Effect::ReadOnly;
    let outcome = within(budget, &waiting, abandon.then_some(&cancel), run, &about.name).await?;
    drop(permit);
    let outcome = outcome.unwrap_or_else(|panic| {
        Err(Refusal::internal(format!("{} panicked: {}", about.name, message_of(panic.as_ref()))))
    })?;
    if cancel.is_cancelled() {
        return Err(Refusal::new(Code::Cancelled, "The caller withdrew this call.")
            .with_private("done, but the caller had withdrawn"));
    }
    let ran = match outcome {
        Outcome::Done(output) => Ran::Done(output),
        Outcome::Task(job) => Ran::Task(job),
        Outcome::Ask(Ask { questions, state }) => {
            let state = state.map(|state| shared.asks.seal(shared.key, &state, &context)).transpose()?;
            Ran::Ask { questions, state }
        }
    };
    Ok((kind, ran))
}

/// Runs `run` to its end, its budget's end, or (where it may be abandoned) its cancellation. Time spent
/// waiting for a person does not count.
async fn within<T>(
    budget: Duration,
    waiting: &Waiting,
    cancel: Option<&CancellationToken>,
    run: impl Future<Output = T>,
    name: &str,
) -> Result<T, Refusal> {
    let mut run = pin!(run);
    let start = Instant::now();
    loop {
        let end = start + budget + waiting.spent();
        tokio::select! {
            outcome = &mut run => return Ok(outcome),
            () = cancelled(cancel) => return Err(Refusal::new(Code::Cancelled, "The caller withdrew this call.")),
            () = tokio::time::sleep_until(end) => {
                if !waiting.is_waiting() && Instant::now() >= start + budget + waiting.spent() {
                    let public = format!("{name} was stopped after {} ms, which is all the time it has.", budget.as_millis());
                    return Err(Refusal::new(Code::Timeout, public));
                }
                // A person is being asked; look again soon.
                tokio::time::sleep(Duration::from_millis(bound::WAIT_POLL_MS)).await;
            }
        }
    }
}

async fn cancelled(cancel: Option<&CancellationToken>) {
    match cancel {
        Some(cancel) => cancel.cancelled().await,
        None => std::future::pending().await,
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// How long a call has waited for answers of its caller.
#[derive(Debug, Default)]
struct Waiting {
    /// Held for a moment, never across an await.
    state: Mutex<(Duration, Option<Instant>)>,
}

impl Waiting {
    fn begin(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(Instant::now());
    }

    fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = state.1.take() {
            state.0 += since.elapsed();
        }
    }

    fn is_waiting(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1.is_some()
    }

    fn spent(&self) -> Duration {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 + state.1.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// The caller as an operation sees it: what goes through is redacted like any output.
struct Guarded {
    caller: Arc<dyn Caller>,
    waiting: Arc<Waiting>,
    redactor: Arc<Redactor>,
    used: Arc<UsedSecrets>,
}

impl Caller for Guarded {
    fn abilities(&self) -> Abilities {
        self.caller.abilities()
    }

    fn progress(&self, mut progress: Progress) -> BoxFuture<'_, ()> {
        if let Some(message) = &mut progress.message {
            let mut value = Value::String(std::mem::take(message));
            self.redactor.redact_value(&mut value, &self.used.all());
            value.as_str().unwrap_or_default().clone_into(message);
        }
        self.caller.progress(progress)
    }

    fn log(&self, mut message: Value) -> BoxFuture<'_, ()> {
        self.redactor.redact_value(&mut message, &self.used.all());
        self.caller.log(message)
    }

    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Value, Refusal>> {
        let question = self.redactor.redact_question(question, &self.used.all());
        Box::pin(async move {
            self.waiting.begin();
            let limit = Duration::from_secs(bound::ASK_SECONDS_MAX);
            let answer = tokio::time::timeout(limit, self.caller.ask(question)).await;
            self.waiting.end();
            answer.unwrap_or_else(|_| Err(Refusal::new(Code::Timeout, "Nobody answered the question in time.")))
        })
    }
}

/// What a sealed state is bound to: it opens for the same principal, operation and arguments only.
fn seal_context(principal: &Principal, asked: &Asked) -> Vec<u8> {
    let arguments = serde_json::to_vec(&asked.arguments).unwrap_or_default();
    sha256(&[principal.id.as_bytes(), &[0], asked.name.as_bytes(), &[0], &arguments]).to_vec()
}

/// States that are out with callers: each opens once, within its lifetime.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// Held for a moment, never across an await. Key: the state's nonce.
    open: Mutex<HashMap<[u8; NONCE_BYTES], Instant>>,
}

const NONCE_BYTES: usize = 16;

impl Asks {
    fn seal(&self, key: &SealingKey, state: &[u8], context: &[u8]) -> Result<String, Refusal> {
        let nonce = random_bytes::<NONCE_BYTES>().map_err(Refusal::internal)?;
        let sealed = key.seal(&[&nonce, state].concat(), context).map_err(Refusal::internal)?;
        let end = Instant::now() + Duration::from_secs(bound::ASK_SECONDS_MAX);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= bound::ASKS_MAX {
            open.retain(|_, end| *end > Instant::now());
        }
        if open.len() >= bound::ASKS_MAX {
            return Err(Refusal::new(Code::Busy, "Too many questions are waiting for an answer; come back later."));
        }
        open.insert(nonce, end);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn open(&self, key: &SealingKey, sealed: &str, context: &[u8]) -> Result<Vec<u8>, Refusal> {
        let invalid = |private: &str| {
            Refusal::new(Code::Invalid, "requestState is not one that Sekisho gave out for this call, or it was used or is too old; call again without it.")
                .with_private(private)
                .with_data(json!({"requestState": "invalid"}))
        };
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| invalid("not base64"))?;
        let text = key.open(&bytes, context).map_err(|_| invalid("it does not open"))?;
        let (nonce, state) = text.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| invalid("too short"))?;
        let end = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(nonce);
        match end {
            Some(end) if end > Instant::now() => Ok(state.to_vec()),
            Some(_) => Err(invalid("too old")),
            None => Err(invalid(&format!("state {} was used before", hex(&nonce[..4])))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_state_opens_once_and_only_in_its_context() {
        let key = SealingKey::ephemeral().unwrap();
        let asks = Asks::default();
        let sealed = asks.seal(&key, b"step 2", b"ann").unwrap();
        asks.open(&key, &sealed, b"bob").unwrap_err();
        assert_eq!(asks.open(&key, &sealed, b"ann").unwrap(), b"step 2");
        let again = asks.open(&key, &sealed, b"ann").unwrap_err();
        assert!(again.private.contains("used before"), "{again:?}");
    }

    #[tokio::test]
    async fn time_spent_waiting_for_a_person_does_not_count() {
        let waiting = Arc::new(Waiting::default());
        let during = Arc::clone(&waiting);
        let run = async move {
            during.begin();
            tokio::time::sleep(Duration::from_millis(100)).await;
            during.end();
            7
        };
        assert_eq!(within(Duration::from_millis(20), &waiting, None, run, "x").await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_run_over_its_budget_is_stopped() {
        let refusal = within(Duration::from_millis(1), &Waiting::default(), None, std::future::pending::<()>(), "x")
            .await
            .unwrap_err();
        assert_eq!(refusal.code, Code::Timeout);
    }
}

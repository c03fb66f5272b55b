//! `drain`: asks a server to finish and to end, and waits until it has.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::exit::Failure;
use super::print::tell;
use super::reach::{self, Reach};
use super::{Context, print};
use crate::base::bound;
use crate::config::file;
use crate::store::lock::{DirectoryLock, LockError};

#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// How long calls under way may take, in seconds; then the server ends without them
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = bound::DRAIN_SECONDS,
        value_parser = clap::value_parser!(u64).range(..=bound::DRAIN_SECONDS_MAX)
    )]
    timeout: u64,
}

pub(super) async fn run(context: &Context, Drain { timeout }: Drain) -> Result<u8, Failure> {
    let places = context.places()?;
    if !reach::is_answering(&places.control).await {
        // This process must not become the owner, only to find out that there is no server.
        return Err(Failure::unavailable("no server runs here"));
    }
    let config = file::load(&places.config, &context.environment)?;
    let server = Reach::Remote { socket: places.control.clone() };
    let result = server.ask("drain", json!({"timeout_seconds": timeout})).await?;
    if !context.json {
        print::error_line(&format!("{} calls are under way.", result["in_flight"]));
    }
    // The calls, then the listeners and the control socket, each of which is given the time of a shutdown.
    let deadline = Instant::now() + Duration::from_secs(timeout) + 3 * config.http.shutdown_timeout;
    loop {
        // The lock is the last that it gives up; a supervisor may have begun the next one already.
        let has_ended = match DirectoryLock::acquire(&places.data) {
            Ok(_) => true,
            Err(LockError::Held { process, .. }) => process.is_some_and(|process| result["process"] != process),
            Err(_) => !reach::is_answering(&places.control).await,
        };
        if has_ended {
            return tell(context, &result, || print::line("The server has ended."));
        }
        if Instant::now() >= deadline {
            return Err(Failure::unavailable(format!("process {} has not ended in time", result["process"])));
        }
        sleep(Duration::from_millis(bound::RELAY_RETRY_MS)).await;
    }
}

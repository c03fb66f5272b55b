//! `doctor` and `healthcheck`: is everything well, and what to do where it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::exit::{Failure, NO};
use super::reach::{self, Reach};
use super::settings::overridden;
use super::{Context, print};
use crate::app::reading;
use crate::base::bound;
use crate::base::clock::{Clock as _, SystemClock};
use crate::config::{Config, Tls, file};
use crate::crypto::tls::Material;
use crate::http::certificates;
use crate::vault::key_file;
use crate::vault::source::SourceError;

/// One thing that was looked at.
struct Finding {
    good: bool,
    what: String,
    /// What to do, where it is not good.
    way_out: String,
}

fn good(what: impl Into<String>) -> Finding {
    Finding { good: true, what: what.into(), way_out: String::new() }
}

fn bad(what: impl Into<String>, way_out: impl Into<String>) -> Finding {
    Finding { good: false, what: what.into(), way_out: way_out.into() }
}

pub(super) async fn doctor(context: &Context) -> Result<u8, Failure> {
    let places = context.places()?;
    let mut findings = Vec::new();
    if !places.data.exists() {
        findings.push(bad(
            format!("there is no data directory {}", places.data.display()),
            "run `sekisho quickstart` or `sekisho init`",
        ));
        return report(context, &findings, &Value::Null);
    }
    findings.push(private(&places.data, "data directory", 0o700));
    for (path, what) in [(places.database(), "database"), (places.http_token(), "HTTP token")] {
        findings.push(if path.exists() {
            private(&path, what, 0o600)
        } else {
            bad(format!("there is no {what} {}", path.display()), "run `sekisho init`")
        });
    }
    let config = match file::load(&places.config, &context.environment) {
        Ok(config) => {
            findings.push(good(if places.config.exists() {
                format!("configuration {} is valid", places.config.display())
            } else {
                format!("there is no {}; the defaults are in force", places.config.display())
            }));
            findings.extend(overridden(&places, &config).into_iter().map(good));
            findings.extend(config.http.tls.as_ref().map(certificate));
            let unheard = config.unheard_contacts();
            findings.extend(unheard.map(|warning| {
                bad(warning, "or take the addresses out of [contacts]; sekisho alert test shows whether mail goes out")
            }));
            findings.push(sandbox(&config).await);
            findings.extend(config.backup.directory.as_deref().and_then(backups));
            config
        }
        Err(error) => {
            findings.push(bad(error.to_string(), format!("mend {}", places.config.display())));
            return report(context, &findings, &Value::Null);
        }
    };
    let status = Box::pin(look(context, &config, &mut findings)).await;
    report(context, &findings, &status)
}

/// What holds the processes in which foreign documents are read.
async fn sandbox(config: &Config) -> Finding {
    match reading::sandbox(config).look().await {
        Ok(None) => {
            good("documents of foreign formats are read in the server itself (tool_execution.sandboxing_enabled)")
        }
        Ok(Some(layers)) => match layers.lacking() {
            None => good("documents of foreign formats are read in a process that seccomp and Landlock confine"),
            Some(lacking) if layers.is_filtered() => {
                good(format!("documents of foreign formats are read in a process that seccomp confines; {lacking}"))
            }
            Some(lacking) => {
                bad(lacking, "run it where seccomp filters are allowed: Landlock alone keeps from files only")
            }
        },
        Err(error) => bad(error.to_string(), "PDF, DOCX, archives and OpenAPI documents cannot be read until then"),
    }
}

/// The files of TLS, as a server that starts now would find them.
fn certificate(tls: &Tls) -> Finding {
    match Material::read(tls).and_then(|material| material.server()) {
        Err(error) => {
            bad(error.to_string(), "a server that runs keeps what it has, and none can start: mend the files")
        }
        Ok(served) => match certificates::warning(&served.certificate, SystemClock::default().now()) {
            Some(warning) => bad(
                print::harmless(&warning),
                "put a new certificate and its key there; a running server takes them by itself",
            ),
            None => good(format!("certificate is valid: {}", print::harmless(&served.certificate.described()))),
        },
    }
}

/// The folder of scheduled backups, where no backup could be made.
fn backups(folder: &Path) -> Option<Finding> {
    let error = fs::read_dir(folder).err()?;
    let what = format!("the folder of scheduled backups {} cannot be read: {error}", folder.display());
    Some(bad(what, "make it for the user who runs the server, or set another one in backup.directory"))
}

/// The file that vault.key_file names, as a server that starts now would find it.
fn key_file(config: &Config, serving: bool) -> Option<Finding> {
    match key_file::read(config.vault.key_file.as_deref()?) {
        Ok(_) => None,
        // The server has another user than whoever asks.
        Err(SourceError::Foreign { .. }) if serving => None,
        Err(error) => Some(bad(
            format!("the file that vault.key_file names cannot be used: {error}"),
            "a server that starts now does not open its vault by it: mend the file, or take the setting out",
        )),
    }
}

/// Asks the owner of the data directory, or becomes it.
async fn look(context: &Context, config: &Config, findings: &mut Vec<Finding>) -> Value {
    let reach = match Reach::find(context).await {
        Ok(reach) => reach,
        Err(failure) => {
            findings.push(bad(
                failure.to_string(),
                "the message says what to do; the log is in the data directory's logs/",
            ));
            return Value::Null;
        }
    };
    findings.push(match &reach {
        Reach::Remote { socket } => good(format!("a server answers at {}", socket.display())),
        Reach::Here { .. } => good("no server runs at the moment; commands work by themselves"),
    });
    findings.extend(key_file(config, matches!(reach, Reach::Remote { .. })));
    let status = match reach.ask("status", json!({})).await {
        Ok(status) => status,
        Err(failure) => {
            findings.push(bad(failure.to_string(), "look into the log"));
            Value::Null
        }
    };
    if status["store_writable"] == true {
        findings
            .push(good(format!("store is writable ({} bytes, schema {})", status["store_bytes"], status["schema"])));
    } else if status["store_health"] == "full" {
        let way_out =
            "make room on the disk, or prune the log: sekisho audit prune; calls are taken again by themselves";
        findings.push(bad("the disk is full", way_out));
    } else if !status.is_null() {
        findings.push(bad("the store cannot be written", "is the disk read-only or broken? the log says more"));
    }
    if status["frozen"] == true {
        let what = "everything is frozen: only health, the audit log, reports and incidents are served";
        findings.push(bad(what, "when that is over: sekisho unfreeze"));
    }
    if status["http_token_known"] == false {
        let way_out = "delete the file and run `sekisho init` while no server runs; clients need the new token";
        findings.push(bad("the HTTP token in the file is not one that the database knows, or holds no more", way_out));
    }
    if !status.is_null() {
        strongroom(&status, matches!(reach, Reach::Remote { .. }), findings);
        let (passages, libraries) = (&status["index_passages"], &status["libraries"]);
        findings.push(good(format!("index holds {passages} passages of {libraries} libraries")));
    }
    sizes(&status, findings);
    match reach.ask("audit.verify", json!({})).await {
        Ok(verdict) if verdict["sound"] == true => {
            findings.push(good(format!("audit log is sound ({} entries)", verdict["entries"])));
        }
        Ok(verdict) if verdict["verdict"] == "incomplete" => findings.push(bad(
            format!(
                "the audit log could not be checked: {}",
                print::harmless(verdict["reason"].as_str().unwrap_or_default())
            ),
            "see `sekisho audit verify`",
        )),
        Ok(verdict) => findings.push(bad(
            format!(
                "the audit log was tampered with: expected {}, found {}",
                print::harmless(verdict["expected"].as_str().unwrap_or_default()),
                print::harmless(verdict["found"].as_str().unwrap_or_default())
            ),
            "keep a copy of the data directory and find out who could write to it",
        )),
        Err(failure) => findings.push(bad(failure.to_string(), "look into the log")),
    }
    reach.close().await;
    status
}

/// How large the parts are, how they grow, and whether there is room for that.
fn sizes(status: &Value, findings: &mut Vec<Finding>) {
    let now = &status["sizes"];
    if now.is_null() {
        return;
    }
    let part = |name: &str, key: &str| format!("{name} {}", mebibytes(now[key].as_u64().unwrap_or_default()));
    let parts = [
        part("database", "database_bytes"),
        part("index", "index_bytes"),
        part("logs", "log_bytes"),
        part("web sites", "mirror_bytes"),
        part("backups", "backup_bytes"),
        part("other", "other_bytes"),
    ];
    let mut line = format!("sizes: {}", parts.join(", "));
    if let Some(first) = status["history"].as_array().and_then(|history| history.first()) {
        let grown =
            now["database_bytes"].as_i64().unwrap_or_default() - first["database_bytes"].as_i64().unwrap_or_default();
        let days = now["at"].as_u64().unwrap_or_default().saturating_sub(first["at"].as_u64().unwrap_or_default())
            / 86_400_000;
        if days > 0 {
            let sign = if grown < 0 { "-" } else { "+" };
            let grown = mebibytes(grown.unsigned_abs());
            line = format!("{line}; database {sign}{grown} within {days} days");
        }
    }
    findings.push(good(line));
    if let Some(warning) = status["disk_warning"].as_str() {
        findings.push(bad(print::harmless(warning), "make room: sekisho prune, then sekisho vacuum"));
    }
}

/// With one decimal.
fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// The vault, and what vouches for the log from outside of the file.
fn strongroom(status: &Value, serving: bool, findings: &mut Vec<Finding>) {
    let vault = &status["vault"];
    findings.push(match vault["standing"].as_str() {
        Some("open") => {
            good(format!("vault is open, by {}", print::harmless(vault["from"].as_str().unwrap_or("an operator"))))
        }
        // Where no server runs, a passphrase is nobody's yet.
        _ if !serving => good("vault is sealed until a server is given its secret"),
        _ => bad(
            "the vault is sealed: entries name nobody, and credentials are out of reach",
            "run `sekisho vault unseal`",
        ),
    });
    if let Some(alarm) = status["alarm"].as_str() {
        let way_out = "keep a copy of the data directory, and find out who could write to it: `sekisho audit verify`";
        findings.push(bad(print::harmless(alarm), way_out));
    }
    if status["checkpoints_leave_the_file"] == false {
        let way_out = "look into the log, and at audit.checkpoint_file";
        findings.push(bad("signed checkpoints do not reach every place outside of the database", way_out));
    }
    if let Some(error) = status["policy"]["error"].as_str() {
        findings.push(bad(print::harmless(error), "mend it; until then the policies from before are in force"));
    }
    if status["core_dumps"] == true {
        let way_out = "start it where prctl(2) and setrlimit(2) are allowed";
        findings.push(bad("a core of the process could be written, with the vault's keys in it", way_out));
    }
}

/// Whether only the owner can read it.
fn private(path: &Path, what: &str, mode: u32) -> Finding {
    match fs::metadata(path) {
        Err(error) => bad(format!("{what} {}: {error}", path.display()), "run as the user who owns it"),
        Ok(metadata) => {
            let found = metadata.permissions().mode() & 0o777;
            let others = found & 0o077;
            if others == 0 {
                good(format!("{what} {} is private ({found:o})", path.display()))
            } else {
                bad(
                    format!("{what} {} can be read by others ({found:o})", path.display()),
                    format!("chmod {mode:o} {}", path.display()),
                )
            }
        }
    }
}

fn report(context: &Context, findings: &[Finding], status: &Value) -> Result<u8, Failure> {
    let well = findings.iter().all(|finding| finding.good);
    if context.json {
        let list: Vec<Value> = findings
            .iter()
            .map(|finding| json!({"good": finding.good, "what": finding.what, "way_out": finding.way_out}))
            .collect();
        print::line(&json!({"well": well, "findings": list, "status": status}).to_string())?;
    } else {
        for finding in findings {
            let mark =
                if finding.good { print::painted(print::GOOD, "ok ") } else { print::painted(print::BAD, "BAD") };
            print::line(&format!("{mark} {}", finding.what))?;
            if !finding.good {
                print::line(&format!("    {}", finding.way_out))?;
            }
        }
    }
    Ok(if well { 0 } else { NO })
}

pub(super) async fn healthcheck(context: &Context) -> Result<u8, Failure> {
    let places = context.places()?;
    let asking = async {
        let response = reach::request(&places.control, Method::GET, "/ready", String::new()).await?;
        let ready = response.status() == StatusCode::OK;
        let body = response.into_body().collect().await.map_err(Failure::unavailable)?.to_bytes();
        Ok::<_, Failure>((ready, body))
    };
    // A process that is stopped or hangs takes the connection and says nothing.
    let patience = Duration::from_secs(bound::scan::HEALTHCHECK_SECONDS);
    let Ok(asked) = tokio::time::timeout(patience, asking).await else {
        let seconds = patience.as_secs();
        return Err(Failure::unavailable(format!(
            "the server said nothing for {seconds} seconds: it hangs or is stopped"
        )));
    };
    let (ready, body) = asked?;
    let body = String::from_utf8_lossy(&body);
    if !ready {
        return Err(Failure::unavailable(format!("the server is not ready: {body}")));
    }
    print::line(if context.json { &body } else { "ready" })?;
    Ok(0)
}

//! `connector add|list|show|find|lock|update|diff|approve|reject|enable|disable|remove`; the rest is in `login.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::exit::{Failure, NO};
use super::library::tell;
use super::reach::Reach;
use super::{Context, login, print};
use crate::base::bound::connector as bound;
use crate::base::classification::Classification;

#[derive(Debug, Subcommand)]
pub(crate) enum Connector {
    /// Show what a REST API would expose as tools, and with --yes add it
    Add(Add),
    /// List the connectors
    List,
    /// Show a connector and its operations
    Show { name: String },
    /// Find operations by words
    Find {
        name: String,
        #[arg(required = true)]
        words: Vec<String>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=50))]
        limit: u64,
    },
    /// Print the digest of each operation, to be kept and reviewed
    Lock { name: String },
    /// Read a new document; what it changes waits until it is approved
    Update {
        name: String,
        /// The OpenAPI document [default: the one that Sekisho ships with]
        file: Option<PathBuf>,
    },
    /// Show the change that waits; exit 1 if there is one
    Diff { name: String },
    /// Show the change that waits, and with --yes put it in force
    Approve {
        name: String,
        /// Do it
        #[arg(long)]
        yes: bool,
        /// Do it if the change has this digest, as `connector diff` told it
        #[arg(long, value_name = "SHA256", conflicts_with = "yes")]
        digest: Option<String>,
    },
    /// Give the change that waits up
    Reject { name: String },
    /// Switch a connector on, or kinds of its operations, or single ones
    Enable(Switched),
    /// Switch a connector off, or kinds of its operations, or single ones
    Disable(Switched),
    /// Say with which credential of the vault, or by which login, a connector calls its API
    Bind(login::Bind),
    /// Log in to a connector's API: in a browser, on another machine, or with a password
    Login(login::Login),
    /// Forget the tokens of a login
    Logout(login::Logout),
    /// Say who is logged in; exit 1 if nobody is
    Status { name: String },
    /// Forget a connector
    Remove { name: String },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// A name of a-z 0-9 - with which its tools begin; iconect takes the document that Sekisho ships with
    name: String,
    /// The OpenAPI document, 3.0 or 3.1, JSON or YAML
    file: Option<PathBuf>,
    /// Where the API is; the path of the document's server comes behind it
    #[arg(long, value_name = "URL")]
    base_url: String,
    /// Take an http:// URL of this machine
    #[arg(long)]
    loopback_http: bool,
    /// Let its host be in this network, which is not on the internet, such as 10.0.0.0/8 (may be given again)
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// Take only operations with this tag (may be given again)
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Take only operations with this method (may be given again)
    #[arg(long, value_name = "METHOD")]
    method: Vec<String>,
    /// Take only operations whose path matches this glob, such as "/pets/**" (may be given again)
    #[arg(long, value_name = "GLOB")]
    path: Vec<String>,
    /// Take only the operation with this operationId (may be given again)
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// How agents see it: every operation as a tool, or three tools that find, describe and call operations
    #[arg(long, value_enum, default_value_t = ModeName::Tools)]
    mode: ModeName,
    /// How confidential what it answers is: public, internal, confidential or restricted
    #[arg(long, value_name = "LEVEL", default_value = "internal")]
    classification: Classification,
    /// Only show what it would expose
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ModeName {
    Tools,
    Search,
}

#[derive(Debug, Args)]
pub(crate) struct Switched {
    name: String,
    /// What reads: GET and HEAD
    #[arg(long)]
    reads: bool,
    /// What writes: POST, PUT and PATCH
    #[arg(long)]
    writes: bool,
    /// What deletes: DELETE
    #[arg(long)]
    deletes: bool,
    /// This operation, by the name of its tool or its operationId (may be given again)
    #[arg(long, value_name = "NAME")]
    operation: Vec<String>,
}

pub(super) async fn run(context: &Context, command: Connector) -> Result<u8, Failure> {
    let reach = Reach::find(context).await?;
    let result = answer(context, &reach, command).await;
    reach.close().await;
    result
}

async fn answer(context: &Context, reach: &Reach, command: Connector) -> Result<u8, Failure> {
    let named = |name: &str| json!({"name": name});
    match command {
        Connector::Add(add) => self::add(context, reach, add).await,
        Connector::List => {
            let result = reach.ask("connector.list", json!({})).await?;
            tell(context, &result, || list(&result["connectors"]))
        }
        Connector::Show { name } => {
            let result = reach.ask("connector.show", named(&name)).await?;
            tell(context, &result, || {
                facts(&result["connector"])?;
                breaker(&result["breaker"])?;
                print::line("")?;
                operations(&result["operations"])
            })
        }
        Connector::Find { name, words, limit } => {
            let arguments = json!({"name": name, "query": words.join(" "), "limit": limit});
            let result = reach.ask("connector.find", arguments).await?;
            tell(context, &result, || operations(&result["operations"]))?;
            Ok(if items(&result["operations"]).is_empty() { NO } else { 0 })
        }
        Connector::Lock { name } => {
            let result = reach.ask("connector.lock", named(&name)).await?;
            tell(context, &result, || print::bytes(text(&result, "lock").as_bytes()).map(drop))
        }
        Connector::Update { name, file } => {
            let mut arguments = named(&name);
            if let Some(file) = file {
                arguments["packed"] = json!(packed(&file)?);
            }
            let result = reach.ask("connector.update", arguments).await?;
            tell(context, &result, || {
                left_out(&result["left_out"])?;
                if result["waits"] != true {
                    return print::line(&format!("{name} exposes what it exposed before; nothing waits."));
                }
                change(&result)?;
                print::line(&format!("It waits: sekisho connector approve {name}, or reject {name}."))
            })
        }
        Connector::Diff { name } => {
            let result = reach.ask("connector.diff", named(&name)).await?;
            let waits = result["waits"] == true;
            tell(context, &result, || if waits { change(&result) } else { print::line("Nothing waits.") })?;
            Ok(if waits { NO } else { 0 })
        }
        Connector::Approve { name, yes, digest } => {
            let digest = if let Some(digest) = digest {
                digest
            } else {
                let waiting = reach.ask("connector.diff", named(&name)).await?;
                // Where nothing waits, the approval is refused.
                if !yes && waiting["waits"] == true {
                    tell(context, &waiting, || {
                        change(&waiting)?;
                        print::line("Nothing was approved; say --yes to put this in force.")
                    })?;
                    return Ok(NO);
                }
                text(&waiting, "digest").to_owned()
            };
            let result = reach.ask("connector.approve", json!({"name": name, "digest": digest})).await?;
            tell(context, &result, || {
                let count = &result["connector"]["document"]["operations"];
                print::line(&format!("{name} has {count} operations now."))
            })
        }
        Connector::Reject { name } => {
            let result = reach.ask("connector.reject", named(&name)).await?;
            tell(context, &result, || print::line(&format!("The change was given up; {name} is as it was.")))
        }
        Connector::Enable(switched) => switch(context, reach, "connector.enable", switched).await,
        Connector::Disable(switched) => switch(context, reach, "connector.disable", switched).await,
        Connector::Bind(bind) => login::bind(context, reach, bind).await,
        Connector::Login(login) => login::login(context, reach, login).await,
        Connector::Logout(logout) => login::logout(context, reach, logout).await,
        Connector::Status { name } => login::status(context, reach, &name).await,
        Connector::Remove { name } => {
            let result = reach.ask("connector.remove", named(&name)).await?;
            tell(context, &result, || print::line(&format!("Removed {name}.")))
        }
    }
}

async fn add(context: &Context, reach: &Reach, add: Add) -> Result<u8, Failure> {
    let mode = match add.mode {
        ModeName::Tools => "tools",
        ModeName::Search => "search",
    };
    let methods: Vec<String> = add.method.iter().map(|method| method.to_ascii_uppercase()).collect();
    let mut arguments = json!({
        "name": add.name,
        "base_url": add.base_url,
        "loopback_http": add.loopback_http,
        "networks": add.network,
        "picks": {"tags": add.tag, "methods": methods, "paths": add.path, "ids": add.id},
        "mode": mode,
        "classification": add.classification,
    });
    if let Some(file) = &add.file {
        arguments["packed"] = json!(packed(file)?);
    }
    let operation = if add.yes { "connector.add" } else { "connector.preview" };
    let result = reach.ask(operation, arguments).await?;
    tell(context, &result, || {
        facts(&result["connector"])?;
        print::line("")?;
        operations(&result["operations"])?;
        left_out(&result["left_out"])?;
        let all = items(&result["operations"]);
        let on = all.iter().filter(|it| it["on"] == true).count();
        let (name, all) = (&add.name, all.len());
        if add.yes {
            print::line(&format!(
                "Added {name}: {on} of {all} operations are on. More: sekisho connector enable {name} --writes"
            ))
        } else {
            print::line(&format!("{on} of {all} operations would be on. Nothing was added; say --yes to do it."))
        }
    })?;
    Ok(if add.yes || add.dry_run { 0 } else { NO })
}

/// A document as the operation takes it: LZ4 with the size in front, in base64.
fn packed(file: &Path) -> Result<String, Failure> {
    let at = |error: &dyn std::fmt::Display| Failure::no_input(format!("{}: {error}", file.display()));
    let bytes_max = bound::OPENAPI_DOCUMENT_BYTES_MAX;
    let length = fs::metadata(file).map_err(|error| at(&error))?.len();
    if usize::try_from(length).map_or(true, |length| length > bytes_max) {
        return Err(at(&format!("it has {length} bytes, and a document may have {bytes_max}")));
    }
    let document = fs::read(file).map_err(|error| at(&error))?;
    let packed = STANDARD.encode(lz4_flex::compress_prepend_size(&document));
    if packed.len() > bound::DOCUMENT_ARGUMENT_BYTES_MAX - crate::base::bound::ARGUMENT_BYTES_MAX {
        return Err(at(&"it is too large even when it is compressed; take out what is not needed"));
    }
    Ok(packed)
}

async fn switch(context: &Context, reach: &Reach, operation: &str, switched: Switched) -> Result<u8, Failure> {
    let Switched { name, reads, writes, deletes, operation: operations } = switched;
    let classes = [("read", reads), ("write", writes), ("delete", deletes)];
    let classes: Vec<&str> = classes.into_iter().filter(|(_, wanted)| *wanted).map(|(class, _)| class).collect();
    let arguments = json!({"name": name, "classes": classes, "operations": operations});
    let result = reach.ask(operation, arguments).await?;
    tell(context, &result, || {
        let all = &result["connector"]["document"]["operations"];
        print::line(&format!("{name}: {} of {all} operations are on.", result["on"]))
    })
}

pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list(connectors: &Value) -> Result<(), Failure> {
    if items(connectors).is_empty() {
        return print::line("There are no connectors. Add one: sekisho connector add NAME FILE --base-url URL");
    }
    for connector in items(connectors) {
        let state = match (connector["enabled"] == true, connector["waits"].is_null()) {
            (false, _) => "off",
            (true, true) => "on",
            (true, false) => "on, a change waits",
        };
        let note = format!("{} operations, {state}", connector["document"]["operations"]);
        print::line(&format!(
            "{}  {}  {}",
            print::painted(print::TITLE, &format!("{:<16}", text(connector, "name"))),
            text(connector, "base_url"),
            print::painted(print::FAINT, &note)
        ))?;
    }
    Ok(())
}

fn facts(connector: &Value) -> Result<(), Failure> {
    let document = &connector["document"];
    let bound = &connector["binding"];
    let oauth = &bound["oauth"];
    let binding = match bound["name"].as_str() {
        Some(_) if oauth.is_object() => {
            format!("tokens of {} from {}, as {}", text(oauth, "client"), text(oauth, "endpoint"), text(oauth, "grant"))
        }
        Some(name) => format!("the credential {name}, as {}", text(bound, "as")),
        None => "no credential".to_owned(),
    };
    let api = print::harmless(&format!("{} {}", text(document, "title"), text(document, "version")));
    for (key, value) in [
        ("name", text(connector, "name").to_owned()),
        ("calls", text(connector, "base_url").to_owned()),
        ("API", api),
        ("mode", text(connector, "mode").to_owned()),
        ("level", text(connector, "classification").to_owned()),
        ("carries", binding),
        ("document", format!("sha256:{}", text(document, "sha256"))),
    ] {
        print::line(&format!("{} {value}", print::painted(print::FAINT, &format!("{key:<9}"))))?;
    }
    Ok(())
}

/// Only where there is something to say: most APIs answer.
fn breaker(breaker: &Value) -> Result<(), Failure> {
    let said = match text(breaker, "state") {
        "open" => format!("failed repeatedly; nothing is sent to it for {} s", breaker["seconds_left"]),
        "half-open" => "failed repeatedly; the next call tries it again".to_owned(),
        _ if breaker["failures"] != 0 => format!("{} calls in a row failed", breaker["failures"]),
        _ => return Ok(()),
    };
    print::line(&format!("{} {}", print::painted(print::FAINT, "API state"), print::painted(print::WARNING, &said)))
}

fn operations(rows: &Value) -> Result<(), Failure> {
    for row in items(rows) {
        let (word, style) = if row["on"] == true { ("on ", print::GOOD) } else { ("off", print::FAINT) };
        let old = if row["deprecated"] == true { " (deprecated)" } else { "" };
        let title = print::harmless(text(row, "title"));
        let what = format!("{:<6} {}  {title}{old}", text(row, "method"), print::harmless(text(row, "path")));
        let name = text(row, "name");
        print::line(&format!("{} {name}  {}", print::painted(style, word), print::painted(print::FAINT, &what)))?;
    }
    Ok(())
}

fn left_out(report: &Value) -> Result<(), Failure> {
    let rows = items(&report["items"]);
    let (operations, details): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(|row| row["operation"] == true);
    for row in &operations {
        let line = format!("left out: {}: {}", text(row, "pointer"), text(row, "reason"));
        print::line(&print::painted(print::WARNING, &print::harmless(&line)))?;
    }
    let details = details.len() as u64 + report["more"].as_u64().unwrap_or_default();
    if details > 0 {
        print::line(&format!("{details} parts of operations were left out as well; --json lists them."))?;
    }
    Ok(())
}

fn change(waiting: &Value) -> Result<(), Failure> {
    let diff = &waiting["diff"];
    for (key, word, style) in [("added", "+", print::GOOD), ("removed", "-", print::BAD)] {
        for row in items(&diff[key]) {
            let line = format!(
                "{word} {}  {} {}  {}",
                text(row, "name"),
                text(row, "method"),
                text(row, "path"),
                text(row, "title")
            );
            print::line(&print::painted(style, &print::harmless(&line)))?;
        }
    }
    let security = Some(&diff["security"]).filter(|it| !it.is_null());
    for row in items(&diff["changed"]).iter().chain(security) {
        print::line(&print::painted(print::WARNING, &format!("~ {}", text(row, "name"))))?;
        for change in items(&row["changes"]) {
            let side =
                |key: &str| change[key].as_str().map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"));
            let line = format!("    {}: {} -> {}", text(change, "pointer"), side("before"), side("after"));
            print::line(&print::harmless(&line))?;
        }
        if row["more"].as_u64().unwrap_or_default() > 0 {
            print::line(&format!("    and {} more", row["more"]))?;
        }
    }
    for name in items(&waiting["would_be_on"]) {
        print::line(&format!("new and on at once: {}", name.as_str().unwrap_or_default()))?;
    }
    print::line(&format!("digest {}", text(waiting, "digest")))
}

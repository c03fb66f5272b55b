//! `connector add|list|show|find|lock|update|diff|approve|reject|enable|disable|set|remove`; what calls carry is in
//! `login.rs`.

pub(super) mod show;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use self::show::{items, text};
use super::exit::{Failure, NO};
use super::print::tell;
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
        /// Fetch the document from here instead: https://, or http:// of this machine with --loopback-http of its add
        #[arg(long, value_name = "URL", conflicts_with = "file")]
        from_url: Option<String>,
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
        /// Take this operation although its words look like an attack on an agent (may be given again)
        #[arg(long, value_name = "NAME")]
        accept: Vec<String>,
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
    /// Say how its calls go out: whom they trust, who they are, by which proxy, past which scanner
    Set(Set),
    /// Forget a connector
    Remove { name: String },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// A name of a-z 0-9 - with which its tools begin; iconect takes the document that Sekisho ships with
    name: String,
    /// The OpenAPI document, 3.0 or 3.1, JSON or YAML
    file: Option<PathBuf>,
    /// Fetch the document from here instead; the server does, by the way that the connector's calls take
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    from_url: Option<String>,
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
    /// Trust only the authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The least version of TLS: 1.2 or 1.3
    #[arg(long, value_name = "VERSION")]
    tls_min: Option<String>,
    /// Go through this proxy, http://HOST:PORT, or through none: direct
    #[arg(long, value_name = "PROXY")]
    proxy: Option<String>,
    /// Show files to this scanner first: clamd:/PATH/OF/SOCKET or clamd:tcp://HOST:PORT
    #[arg(long, value_name = "PLACE")]
    scan: Option<String>,
    /// Take this operation although its words look like an attack on an agent (may be given again)
    #[arg(long, value_name = "NAME")]
    accept: Vec<String>,
    /// Do it
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    name: String,
    /// Let its host be in this network alone (may be given again); none for the internet only
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// Trust only the authorities in this PEM file; none for the usual ones
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Show the certificate that this credential of the vault holds, with its key, in PEM; none for none
    #[arg(long, value_name = "NAME")]
    client_certificate: Option<String>,
    /// The least version of TLS: 1.2 or 1.3
    #[arg(long, value_name = "VERSION")]
    tls_min: Option<String>,
    /// Go through this proxy, http://HOST:PORT, or through none: direct; none for what egress.proxy says
    #[arg(long, value_name = "PROXY")]
    proxy: Option<String>,
    /// Show files to this scanner first: clamd:/PATH/OF/SOCKET or clamd:tcp://HOST:PORT; none for none
    #[arg(long, value_name = "PLACE")]
    scan: Option<String>,
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
            tell(context, &result, || show::list(&result["connectors"]))
        }
        Connector::Show { name } => {
            let result = reach.ask("connector.show", named(&name)).await?;
            tell(context, &result, || {
                show::facts(&result["connector"])?;
                show::breaker(&result["breaker"])?;
                print::line("")?;
                show::operations(&result["operations"])
            })
        }
        Connector::Find { name, words, limit } => {
            let arguments = json!({"name": name, "query": words.join(" "), "limit": limit});
            let result = reach.ask("connector.find", arguments).await?;
            tell(context, &result, || show::operations(&result["operations"]))?;
            Ok(if items(&result["operations"]).is_empty() { NO } else { 0 })
        }
        Connector::Lock { name } => {
            let result = reach.ask("connector.lock", named(&name)).await?;
            tell(context, &result, || print::bytes(text(&result, "lock").as_bytes()).map(drop))
        }
        Connector::Update { name, file, from_url } => {
            let mut arguments = named(&name);
            if let Some(url) = from_url {
                arguments["from_url"] = json!(url);
            }
            if let Some(file) = file {
                arguments["packed"] = json!(packed(&file)?);
            }
            let result = reach.ask("connector.update", arguments).await?;
            tell(context, &result, || {
                show::left_out(&result["left_out"])?;
                if result["waits"] != true {
                    return print::line(&format!("{name} exposes what it exposed before; nothing waits."));
                }
                show::change(&result)?;
                print::line(&format!("It waits: sekisho connector approve {name}, or reject {name}."))
            })
        }
        Connector::Diff { name } => {
            let result = reach.ask("connector.diff", named(&name)).await?;
            let waits = result["waits"] == true;
            tell(context, &result, || if waits { show::change(&result) } else { print::line("Nothing waits.") })?;
            Ok(if waits { NO } else { 0 })
        }
        Connector::Approve { name, yes, digest, accept } => {
            let digest = if let Some(digest) = digest {
                digest
            } else {
                let waiting = reach.ask("connector.diff", named(&name)).await?;
                // Where nothing waits, the approval is refused.
                if !yes && waiting["waits"] == true {
                    tell(context, &waiting, || {
                        show::change(&waiting)?;
                        print::line("Nothing was approved; say --yes to put this in force.")
                    })?;
                    return Ok(NO);
                }
                text(&waiting, "digest").to_owned()
            };
            let result =
                reach.ask("connector.approve", json!({"name": name, "digest": digest, "accept": accept})).await?;
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
        Connector::Set(set) => self::set(context, reach, set).await,
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
        "settings": wished(add.ca.as_deref(), add.tls_min.as_deref(), add.proxy.as_deref(), add.scan.as_deref())?,
        "accept": add.accept,
    });
    if let Some(file) = &add.file {
        arguments["packed"] = json!(packed(file)?);
    }
    if let Some(url) = &add.from_url {
        arguments["from_url"] = json!(url);
    }
    let operation = if add.yes { "connector.add" } else { "connector.preview" };
    let result = reach.ask(operation, arguments).await?;
    tell(context, &result, || {
        show::facts(&result["connector"])?;
        print::line("")?;
        show::operations(&result["operations"])?;
        show::left_out(&result["left_out"])?;
        show::findings(&result["findings"])?;
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

async fn set(context: &Context, reach: &Reach, set: Set) -> Result<u8, Failure> {
    let settings = wished(set.ca.as_deref(), set.tls_min.as_deref(), set.proxy.as_deref(), set.scan.as_deref())?;
    let mut arguments = json!({"name": set.name, "settings": settings});
    if let Some(certificate) = set.client_certificate {
        arguments["client_certificate"] = json!(certificate);
    }
    if !set.network.is_empty() {
        let networks: Vec<&String> = set.network.iter().filter(|network| *network != "none").collect();
        arguments["networks"] = json!(networks);
    }
    let result = reach.ask("connector.set", arguments).await?;
    tell(context, &result, || show::facts(&result["connector"]))
}

/// What was said of how calls go out; what was not said stays as it is.
fn wished(ca: Option<&Path>, tls_min: Option<&str>, proxy: Option<&str>, scan: Option<&str>) -> Result<Value, Failure> {
    let authorities = match ca {
        Some(file) if file != Path::new("none") => {
            let at = |error: &dyn std::fmt::Display| Failure::no_input(format!("{}: {error}", file.display()));
            let length = fs::metadata(file).map_err(|error| at(&error))?.len();
            if length > bound::AUTHORITIES_BYTES_MAX as u64 {
                let most = bound::AUTHORITIES_BYTES_MAX;
                return Err(at(&format!("it has {length} bytes, and authorities may have {most}")));
            }
            Some(fs::read_to_string(file).map_err(|error| at(&error))?)
        }
        Some(_) => Some("none".to_owned()),
        None => None,
    };
    let fields = [("authorities", authorities.as_deref()), ("tls_min", tls_min), ("proxy", proxy), ("scan", scan)];
    let said = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))));
    Ok(Value::Object(said.collect()))
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

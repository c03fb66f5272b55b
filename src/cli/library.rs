//! `library add|list|sync|show|classify|profile|export|import|rollback|remove`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::sync::{report, with_progress};
use super::{Context, bundle, print};
use crate::base::classification::Classification;

#[derive(Debug, Subcommand)]
pub(crate) enum Library {
    /// Add a folder, an archive (zip, tar, tar.gz), a single document or a web site, and index it
    Add {
        /// A name of a-z 0-9 - _ . by which agents will know it
        name: String,
        /// The folder, archive or document, or the URL at which a web site, its site map or its llms.txt begins
        #[arg(required_unless_present = "web")]
        path: Option<PathBuf>,
        /// Take only files that match this glob, such as "guides/**/*.md" (may be given again)
        #[arg(long, value_name = "GLOB")]
        include: Vec<String>,
        /// Leave out files that match this glob (may be given again)
        #[arg(long, value_name = "GLOB")]
        exclude: Vec<String>,
        /// How confidential its documents are: public, internal, confidential or restricted
        #[arg(long, value_name = "LEVEL", default_value = "internal")]
        classification: Classification,
        /// The profile by which it is read: it brings tools that know these documents
        #[arg(long, value_name = "PROFILE")]
        profile: Option<String>,
        #[command(flatten)]
        site: Web,
    },
    /// List the libraries
    List,
    /// Read what changed in a library's folder, or in all of them
    Sync {
        /// All libraries, if none is named
        name: Option<String>,
    },
    /// Show a library and its first documents
    Show { name: String },
    /// Say how confidential a library is: public, internal, confidential or restricted
    Classify {
        name: String,
        #[arg(value_name = "LEVEL")]
        classification: Classification,
    },
    /// Profiles: what is special about one set of documents
    #[command(subcommand)]
    Profile(super::profile::Profile),
    /// Write a library into one signed file, for a site without a network
    Export(bundle::Export),
    /// Take a library in from such a file, or bring it up to date
    Import(bundle::Import),
    /// Take the last import of a library back
    Rollback { name: String },
    /// Forget a library; its folder is left alone
    Remove { name: String },
}

/// What belongs to a web site.
#[derive(Debug, Args)]
pub(crate) struct Web {
    /// Web site: the one that the profile is for, at its start and on its hosts
    #[arg(long, requires = "profile", conflicts_with = "path")]
    web: bool,
    /// Web site: another host that its pages may be on (may be given again)
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Web site: what the paths of its pages begin with [default: the folder of the first page]
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Web site: the most pages to read [default: 2000]
    #[arg(long, value_name = "COUNT")]
    pages: Option<u32>,
    /// Web site: the most links from the first page to any other [default: 8]
    #[arg(long, value_name = "COUNT")]
    depth: Option<u32>,
    /// Web site: sync it by itself so often [default: only when you say so]
    #[arg(long, value_name = "HOURS")]
    refresh_hours: Option<u32>,
    /// Web site: a network that is not on the internet and that its hosts may be in (may be given again)
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// Web site: take http:// for this machine
    #[arg(long)]
    loopback_http: bool,
}

impl Web {
    /// Nothing where none was given.
    fn arguments(self) -> Value {
        let Self { host, prefix, pages, depth, refresh_hours, network, loopback_http, .. } = self;
        let mut given = serde_json::Map::new();
        let mut put = |name: &str, value: Value, is_given: bool| {
            if is_given {
                given.insert(name.to_owned(), value);
            }
        };
        put("hosts", json!(host), !host.is_empty());
        put("prefix", json!(prefix), prefix.is_some());
        put("pages_max", json!(pages), pages.is_some());
        put("depth_max", json!(depth), depth.is_some());
        put("refresh_hours", json!(refresh_hours), refresh_hours.is_some());
        put("networks", json!(network), !network.is_empty());
        put("loopback_http", json!(true), loopback_http);
        if given.is_empty() { Value::Null } else { given.into() }
    }
}

pub(super) async fn run(context: &Context, command: Library) -> Result<u8, Failure> {
    if let Library::Profile(super::profile::Profile::Check { folder }) = &command {
        return super::profile::check(context, folder);
    }
    let reach = Reach::find(context).await?;
    let result = answer(context, &reach, command).await;
    reach.close().await;
    result
}

async fn answer(context: &Context, reach: &Reach, command: Library) -> Result<u8, Failure> {
    match command {
        Library::Profile(command) => super::profile::answer(context, reach, command).await,
        Library::Add { name, path, include, exclude, classification, profile, mut site } => {
            let path = match (path, &profile) {
                (Some(path), _) => path,
                (None, Some(profile)) => of_profile(reach, profile, &mut site).await?,
                (None, None) => return Err(Failure::usage("say what to add: a path, a URL, or --profile with --web")),
            };
            let path = match path.to_str().filter(|path| path.starts_with("https://") || path.starts_with("http://")) {
                Some(url) => url.to_owned(),
                // Relative to where the person stands, not to where a server was started.
                None => match path.canonicalize() {
                    Ok(path) => path.display().to_string(),
                    Err(error) => {
                        let message = format!("{}: {error}", path.display());
                        return Err(Failure::of_refusal(&json!({"code": "not_found", "message": message})));
                    }
                },
            };
            let arguments = json!({"name": name, "path": path, "include": include, "exclude": exclude, "classification": classification, "profile": profile, "web": site.arguments()});
            let result = with_progress(reach, "library.add", arguments).await?;
            tell(context, &result, || report(&result["report"]))
        }
        Library::List => {
            let result = reach.ask("library.list", json!({})).await?;
            tell(context, &result, || list(&result["libraries"]))
        }
        Library::Show { name } => {
            let result = reach.ask("library.show", json!({"name": name})).await?;
            tell(context, &result, || show(&result))
        }
        Library::Classify { name, classification } => {
            let arguments = json!({"name": name, "classification": classification});
            let result = reach.ask("library.classify", arguments).await?;
            let before = result["before"].as_str().unwrap_or_default();
            tell(context, &result, || print::line(&format!("{name} is {classification}; it was {before}.")))
        }
        Library::Export(command) => bundle::export(context, reach, command).await,
        Library::Import(command) => bundle::import(context, reach, command).await,
        Library::Rollback { name } => bundle::roll_back(context, reach, name).await,
        Library::Remove { name } => {
            let result = reach.ask("library.remove", json!({"name": name})).await?;
            tell(context, &result, || print::line(&format!("Removed {name}; its folder was left alone.")))
        }
        Library::Sync { name: Some(name) } => {
            let result = with_progress(reach, "library.sync", json!({"name": name})).await?;
            tell(context, &result, || report(&result["report"]))
        }
        Library::Sync { name: None } => {
            let libraries = reach.ask("library.list", json!({})).await?;
            let names: Vec<&str> = libraries["libraries"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|library| !bundle::is_bundle(library))
                .filter_map(|library| library["name"].as_str())
                .collect();
            // One vanished folder holds up no other library.
            let mut failed = None;
            for name in names {
                match with_progress(reach, "library.sync", json!({"name": name})).await {
                    Ok(result) => drop(tell(context, &result, || report(&result["report"]))?),
                    Err(failure) => {
                        print::error_line(&format!("{name}: {failure}"));
                        failed = Some(failure);
                    }
                }
            }
            failed.map_or(Ok(0), Err)
        }
    }
}

/// Where the web site of a profile begins; its hosts are added to those that were named.
async fn of_profile(reach: &Reach, profile: &str, site: &mut Web) -> Result<PathBuf, Failure> {
    let shown = reach.ask("profile.show", json!({"name": profile})).await?;
    let words = |key: &str| {
        let words = shown[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let Some(start) = words("start").into_iter().next() else {
        return Err(Failure::usage(format!("the profile {profile} names no web site; give its URL")));
    };
    for host in words("hosts") {
        if host.contains('/') {
            // The pages of a library have one prefix on all its hosts.
            print::error_line(&format!(
                "{host} is a part of a host only, and left out; add it as a library of its own"
            ));
        } else if !site.host.contains(&host) {
            site.host.push(host);
        }
    }
    Ok(start.into())
}

fn list(libraries: &Value) -> Result<(), Failure> {
    for library in libraries.as_array().into_iter().flatten() {
        let text = |key: &str| print::harmless(library[key].as_str().unwrap_or("never"));
        print::line(&format!(
            "{}  {} documents, {} sections  {}",
            print::painted(print::TITLE, &format!("{:<16}", text("name"))),
            library["documents"],
            library["sections"],
            print::painted(
                print::FAINT,
                &format!("{}, {}, synced {}", text("classification"), text("source"), text("synced"))
            ),
        ))?;
    }
    Ok(())
}

fn show(result: &Value) -> Result<(), Failure> {
    let facts = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let bundle = facts(&result["library"]["bundle"]).into_iter().map(|(key, value)| (format!("bundle {key}"), value));
    let facts = facts(&result["library"]).into_iter().filter(|(_, value)| !value.is_null() && !value.is_object());
    for (key, value) in facts.chain(bundle) {
        let value = value.as_str().map_or_else(|| value.to_string(), print::harmless);
        print::line(&format!("{} {value}", print::painted(print::FAINT, &format!("{key:<10}"))))?;
    }
    print::line("")?;
    for document in result["documents"].as_array().into_iter().flatten() {
        let text = |key: &str| print::harmless(document[key].as_str().unwrap_or_default());
        print::line(&format!("{}  {}", text("path"), print::painted(print::FAINT, &text("title"))))?;
    }
    Ok(())
}

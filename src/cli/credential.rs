//! `credential set|list|show|classify|remove|history|import`.

use std::fs;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print, secret};
use crate::base::bound;
use crate::base::classification::Classification;
use crate::base::secret::Secret;
use crate::vault::import;

#[derive(Debug, Subcommand)]
pub(crate) enum Credential {
    /// Keep a credential in the vault; its value is typed, or comes on standard input
    #[command(alias = "add")]
    Set {
        /// A name of A-Z a-z 0-9 . _ -
        name: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// How confidential it is: public, internal, confidential or restricted [default: as it was, or internal]
        #[arg(long, value_name = "LEVEL")]
        classification: Option<Classification>,
    },
    /// Say how confidential a credential is: public, internal, confidential or restricted
    Classify {
        name: String,
        #[arg(value_name = "LEVEL")]
        classification: Classification,
    },
    /// List the credentials, without their values
    List,
    /// Show what is known of a credential, without its value
    Show { name: String },
    /// Show its earlier versions, without their values
    History { name: String },
    /// Destroy a credential and its earlier values
    Remove { name: String },
    /// Take credentials from a .env file, or from variables of this command's environment
    Import {
        /// The file, with lines NAME=VALUE
        #[arg(required_unless_present = "variable")]
        file: Option<PathBuf>,
        /// A variable of the environment (may be given again)
        #[arg(long = "from-env", value_name = "NAME", conflicts_with = "file")]
        variable: Vec<String>,
        /// Replace credentials that are there
        #[arg(long)]
        replace: bool,
    },
}

pub(super) async fn run(context: &Context, command: Credential) -> Result<u8, Failure> {
    // What is typed or read comes before the directory is taken: others should not wait for a person.
    let work = Work::of(context, command)?;
    let reach = Reach::find(context).await?;
    let result = work.answer(context, &reach).await;
    reach.close().await;
    result
}

enum Work {
    Ask { operation: &'static str, name: Option<String> },
    Set { name: String, note: Option<String>, classification: Option<Classification>, value: Secret },
    Classify { name: String, classification: Classification },
    Import { from: String, found: Vec<(String, Secret)>, replace: bool },
}

impl Work {
    fn of(context: &Context, command: Credential) -> Result<Self, Failure> {
        let ask = |operation, name| Ok(Self::Ask { operation, name });
        match command {
            Credential::List => ask("credential.list", None),
            Credential::Show { name } => ask("credential.show", Some(name)),
            Credential::History { name } => ask("credential.history", Some(name)),
            Credential::Remove { name } => ask("credential.remove", Some(name)),
            Credential::Classify { name, classification } => Ok(Self::Classify { name, classification }),
            Credential::Set { name, note, classification } => {
                let value = secret::read_new(&format!("Value of {name}: "))?;
                Ok(Self::Set { name, note, classification, value })
            }
            Credential::Import { file: Some(file), replace, .. } => {
                let at = |error: &dyn std::fmt::Display| Failure::no_input(format!("{}: {error}", file.display()));
                let length = fs::metadata(&file).map_err(|error| at(&error))?.len();
                if length > bound::IMPORT_BYTES_MAX as u64 {
                    return Err(at(&format!("it has {length} bytes, more than {}", bound::IMPORT_BYTES_MAX)));
                }
                let text = Secret::new(fs::read(&file).map_err(|error| at(&error))?);
                let found =
                    import::parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
                let found = found.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect();
                Ok(Self::Import { from: file.display().to_string(), found, replace })
            }
            Credential::Import { variable, replace, .. } => {
                let mut found = Vec::new();
                for name in variable {
                    let value = context.environment.variable(&name).ok_or_else(|| {
                        Failure::no_input(format!("the environment has no variable {name}, or it is not UTF-8"))
                    })?;
                    found.push((name, value));
                }
                Ok(Self::Import { from: "the environment".into(), found, replace })
            }
        }
    }

    async fn answer(self, context: &Context, reach: &Reach) -> Result<u8, Failure> {
        reach.open_vault(context).await?;
        match self {
            Self::Ask { operation, name } => {
                let arguments = name.as_ref().map_or(json!({}), |name| json!({"name": name}));
                let result = reach.ask(operation, arguments).await?;
                tell(context, &result, || match operation {
                    "credential.list" => list(&result["items"]),
                    "credential.history" => history(&result["versions"]),
                    "credential.show" => show(&result),
                    _ => print::line(&format!("Removed {}; its values are destroyed.", name.unwrap_or_default())),
                })
            }
            Self::Classify { name, classification } => {
                let arguments = json!({"name": name, "classification": classification});
                let result = reach.ask("credential.classify", arguments).await?;
                let before = result["before"].as_str().unwrap_or_default().to_owned();
                tell(context, &result, || print::line(&format!("{name} is {classification}; it was {before}.")))
            }
            Self::Set { name, note, classification, value } => {
                let source = if std::io::stdin().is_terminal() { "prompt" } else { "standard_input" };
                let mut arguments =
                    json!({"name": name, "note": note, "value": secret::text(&value)?, "source": source});
                if let Some(classification) = classification {
                    arguments["classification"] = json!(classification);
                }
                let result = reach.ask("credential.set", arguments).await?;
                tell(context, &result, || print::line(&format!("{name}: version {} is kept.", result["version"])))
            }
            Self::Import { from, found, replace } => import_all(context, reach, &from, found, replace).await,
        }
    }
}

async fn import_all(
    context: &Context,
    reach: &Reach,
    from: &str,
    found: Vec<(String, Secret)>,
    replace: bool,
) -> Result<u8, Failure> {
    if !replace {
        // Before anything is changed.
        let there = reach.ask("credential.list", json!({})).await?;
        let there: Vec<&str> =
            there["items"].as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()).collect();
        let both: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).filter(|name| there.contains(name)).collect();
        if !both.is_empty() {
            return Err(Failure::exists(format!(
                "there are credentials {} already; nothing was imported. Replace them with --replace",
                both.join(", ")
            )));
        }
    }
    let note: String = format!("imported from {from}").chars().take(bound::CREDENTIAL_NOTE_CHARS_MAX).collect();
    let mut kept = Vec::new();
    for (name, value) in &found {
        let arguments = json!({
            "name": name, "value": secret::text(value)?, "note": note, "replace": replace, "source": "import",
        });
        let result = reach.ask("credential.set", arguments).await.map_err(|failure| {
            failure.after(&format!("{} of {} were imported, then {name}", kept.len(), found.len()))
        })?;
        kept.push(json!({"name": name, "version": result["version"]}));
    }
    let result = json!({"imported": kept});
    tell(context, &result, || {
        for (name, _) in &found {
            print::line(&format!("  {name}"))?;
        }
        print::line(&format!("In the vault: {}. Delete them from {from} now.", found.len()))
    })
}

fn list(items: &Value) -> Result<(), Failure> {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return print::line("No credentials are kept. Add one: sekisho credential set NAME");
    }
    items.iter().try_for_each(|item| {
        let text = |key: &str| print::harmless(item[key].as_str().unwrap_or_default());
        let note = print::painted(print::FAINT, &text("note"));
        let (name, level, updated) = (text("name"), text("classification"), text("updated"));
        print::line(&format!("{name:<32} version {:<3} {level:<12} since {updated} {note}", item["version"]))
    })
}

fn show(item: &Value) -> Result<(), Failure> {
    for (key, value) in item.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), print::harmless);
        print::line(&format!("{:<14} {value}", key.replace('_', " ")))?;
    }
    Ok(())
}

fn history(versions: &Value) -> Result<(), Failure> {
    versions.as_array().into_iter().flatten().try_for_each(|version| {
        let text = |key: &str| print::harmless(version[key].as_str().unwrap_or_default());
        print::line(&format!("version {:<3} {} {} {}", version["version"], text("at"), text("state"), text("note")))
    })
}

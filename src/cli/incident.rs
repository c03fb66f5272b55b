//! `incident open|list|show|note|close|export|verify|drill`.

mod drill;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::audit::report as told_verdict;
use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print};
use crate::app::verify;
use crate::audit::verify::Against;
use crate::base::severity::Severity;
use crate::crypto::sign::VerifyingKey;

#[derive(Debug, Subcommand)]
pub(crate) enum Incident {
    /// Open an incident; at high and above its contacts are told
    Open(Open),
    /// List the incidents, newest first
    List {
        /// Those with a lower number; without it the newest
        #[arg(long, value_name = "ID")]
        before: Option<u64>,
    },
    /// Show all that is on record of an incident
    Show { id: u64 },
    /// Write down what was found or done
    Note {
        id: u64,
        text: String,
        /// The phase that begins with it: detection, containment, investigation, remediation, recovery, post-incident
        #[arg(long)]
        phase: Option<String>,
    },
    /// Close an incident, with what was learnt and who was told; asked for at a terminal where they are not given
    Close {
        id: u64,
        /// What is done otherwise from now on
        #[arg(long, value_name = "TEXT")]
        lessons: Option<String>,
        /// Who was told, such as an authority (may be given again)
        #[arg(long, value_name = "WHO")]
        notified: Vec<String>,
        /// Nobody had to be told
        #[arg(long, conflicts_with = "notified")]
        nobody_notified: bool,
    },
    /// Write the evidence of an incident into a file that can be checked on another machine
    Export {
        id: u64,
        /// The file to make
        file: PathBuf,
        /// Entries from this time on [default: a day before it was opened]
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
    },
    /// Check the evidence of an incident: exit 0 if sound, 1 if tampered with, 2 if something for the check is missing
    Verify {
        file: PathBuf,
        /// A verifying key whose signatures count (may be given again); otherwise the keys that the evidence names itself, which proves less
        #[arg(long, value_name = "KEY")]
        vkey: Vec<String>,
    },
    /// Practise: go through the six phases with a caller that is made for it, check each step, and clean up
    Drill {
        /// Also freeze the installation and lift it again: nobody is served for a moment
        #[arg(long)]
        freeze: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Open {
    title: String,
    /// low, medium, high, critical
    #[arg(long)]
    severity: Severity,
    /// What kind it is, such as credential_leak
    #[arg(long = "type", value_name = "TYPE", default_value = "security")]
    kind: String,
    /// What it concerns (may be given again)
    #[arg(long = "affected", value_name = "SYSTEM")]
    affected_systems: Vec<String>,
    /// What is known
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// The alert that it begins with
    #[arg(long, value_name = "ID")]
    alert: Option<u64>,
}

pub(super) async fn run(context: &Context, command: Incident) -> Result<u8, Failure> {
    if let Incident::Verify { file, vkey } = &command {
        let keys = vkey.iter().map(|key| VerifyingKey::parse(key)).collect::<Result<Vec<_>, _>>();
        let against = Against { keys: keys.map_err(Failure::usage)?, checkpoints: Vec::new() };
        let verdict = verify::evidence(file, &against).map_err(|error| Failure::from(error).incomplete())?;
        return told_verdict(context, verdict.to_json(), !against.keys.is_empty());
    }
    // Before anything is asked of a person.
    let command = completed(command)?;
    let reach = Reach::find(context).await?;
    let result = answer(context, &reach, command).await;
    reach.close().await;
    result
}

/// Asks for what a close needs and was not given; never where nobody sits.
fn completed(command: Incident) -> Result<Incident, Failure> {
    let Incident::Close { id, lessons, mut notified, mut nobody_notified } = command else { return Ok(command) };
    let is_asked = std::io::stdin().is_terminal();
    let lessons = match lessons {
        Some(lessons) => lessons,
        None if is_asked => {
            let mut lessons = String::new();
            while lessons.is_empty() {
                lessons = ask("What is done otherwise from now on? ")?;
            }
            lessons
        }
        None => return Err(Failure::usage("say what was learnt with --lessons TEXT")),
    };
    if notified.is_empty() && !nobody_notified {
        if !is_asked {
            return Err(Failure::usage("say who was told with --notified WHO, or --nobody-notified"));
        }
        let who = ask("Who was told (authorities, customers; divided by commas; empty: nobody)? ")?;
        notified = who.split(',').map(str::trim).filter(|who| !who.is_empty()).map(str::to_owned).collect();
        nobody_notified = notified.is_empty();
    }
    Ok(Incident::Close { id, lessons: Some(lessons), notified, nobody_notified })
}

fn ask(question: &str) -> Result<String, Failure> {
    print::error_line(question);
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).map_err(Failure::internal)? == 0 {
        return Err(Failure::usage("the answers ended; say them with --lessons and --notified or --nobody-notified"));
    }
    Ok(line.trim().to_owned())
}

async fn answer(context: &Context, reach: &Reach, command: Incident) -> Result<u8, Failure> {
    reach.open_vault(context).await?;
    let (operation, arguments) = match command {
        // Dealt with before anything is opened.
        Incident::Verify { .. } => return Ok(0),
        Incident::Drill { freeze } => return drill::run(context, reach, freeze).await,
        Incident::List { before } => {
            let result = reach.ask("incident.list", json!({"before": before})).await?;
            return tell(context, &result, || list(&result));
        }
        Incident::Export { id, file, from } => {
            // Relative to where the person stands, not to where a server was started.
            let path = std::path::absolute(&file).map_err(Failure::internal)?;
            let arguments = json!({"id": id, "path": path.display().to_string(), "from": from});
            let result = reach.ask("incident.export", arguments).await?;
            return tell(context, &result, || exported(&result));
        }
        Incident::Open(open) => (
            "incident.open",
            json!({
                "title": open.title, "severity": open.severity, "type": open.kind,
                "affected_systems": open.affected_systems, "description": open.description, "alert": open.alert,
            }),
        ),
        Incident::Show { id } => ("incident.show", json!({"id": id})),
        Incident::Note { id, text, phase } => ("incident.note", json!({"id": id, "text": text, "phase": phase})),
        Incident::Close { id, lessons, notified, .. } => {
            ("incident.close", json!({"id": id, "lessons": lessons.unwrap_or_default(), "notified": notified}))
        }
    };
    let result = reach.ask(operation, arguments).await?;
    tell(context, &result, || show(&result))
}

fn list(result: &Value) -> Result<(), Failure> {
    let items = result["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return print::line("There is no incident on record.");
    }
    items.iter().try_for_each(line)?;
    match (result["older"].as_u64(), items.last()) {
        (Some(1..), Some(last)) => {
            print::line(&format!("There are {} older ones: --before {}", result["older"], last["id"]))
        }
        _ => Ok(()),
    }
}

fn line(item: &Value) -> Result<(), Failure> {
    let text = |key: &str| print::harmless(item[key].as_str().unwrap_or_default());
    let state = item["closed"].as_str().map_or_else(|| text("phase"), |at| format!("closed {at}"));
    let drill = if item["drill"] == true { " (drill)" } else { "" };
    print::line(&format!(
        "{:>4} {} {:<8} {}{drill}  {}: {state}",
        item["id"],
        text("opened"),
        text("severity"),
        text("type"),
        text("title")
    ))
}

fn show(incident: &Value) -> Result<(), Failure> {
    line(incident)?;
    let text = |value: &Value| print::harmless(value.as_str().unwrap_or_default());
    let systems: Vec<String> = incident["affected_systems"].as_array().into_iter().flatten().map(text).collect();
    for (name, value) in [("affected", systems.join(", ")), ("known", text(&incident["description"]))] {
        if !value.is_empty() {
            print::line(&format!("     {name}: {value}"))?;
        }
    }
    for note in incident["notes"].as_array().into_iter().flatten() {
        print::line(&format!(
            "     {} {:<13} {}: {}",
            text(&note["at"]),
            text(&note["phase"]),
            text(&note["by"]),
            text(&note["text"])
        ))?;
    }
    if !incident["closed"].is_null() {
        let told: Vec<String> = incident["notified"].as_array().into_iter().flatten().map(text).collect();
        let told = if told.is_empty() { "nobody".to_owned() } else { told.join(", ") };
        print::line(&format!("     learnt: {}", text(&incident["lessons"])))?;
        print::line(&format!("     told: {told}"))?;
    }
    Ok(())
}

fn exported(result: &Value) -> Result<(), Failure> {
    let path = result["path"].as_str().unwrap_or_default();
    print::line(&format!(
        "{path}: incident {}, {} entries from {} on. Check it on any machine, with a key that you were given another way:",
        result["incident"], result["entries"], result["first"]
    ))?;
    let key = result["verifying_keys"].as_array().and_then(|keys| keys.last()).and_then(Value::as_str);
    print::line(&format!("  sekisho incident verify {path} --vkey {}", key.unwrap_or_default()))
}

//! `library profile list|show|use|check`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::{Failure, NO};
use super::print::tell;
use super::reach::Reach;
use super::sync::{report, with_progress};
use super::{Context, print};
use crate::profile::file::Files;

#[derive(Debug, Subcommand)]
pub(crate) enum Profile {
    /// List the profiles, and which libraries are read by them
    List,
    /// Show what a profile has
    Show { name: String },
    /// Read a library by a profile from now on ("none": by none)
    Use { library: String, profile: String },
    /// Check a folder with a profile of yours; what is wrong is told with file and line
    Check { folder: PathBuf },
}

/// Checks a folder; this asks no server.
pub(super) fn check(context: &Context, folder: &Path) -> Result<u8, Failure> {
    let read = Files::of_folder(folder).map_err(|mistake| vec![mistake]);
    let mistakes = read.and_then(|files| crate::profile::Profile::read(&files).map(drop)).err().unwrap_or_default();
    let listed: Vec<Value> =
        mistakes.iter().map(|it| json!({"file": it.file, "line": it.line, "reason": it.reason})).collect();
    tell(context, &json!({"good": mistakes.is_empty(), "mistakes": listed}), || {
        for mistake in &mistakes {
            let file = folder.join(&mistake.file);
            print::line(&print::harmless(&format!("{}:{}: {}", file.display(), mistake.line, mistake.reason)))?;
        }
        if mistakes.is_empty() {
            print::line("The profile is whole.")?;
        }
        Ok(())
    })?;
    Ok(if mistakes.is_empty() { 0 } else { NO })
}

pub(super) async fn answer(context: &Context, reach: &Reach, command: Profile) -> Result<u8, Failure> {
    match command {
        Profile::List => {
            let result = reach.ask("profile.list", json!({})).await?;
            tell(context, &result, || list(&result["profiles"]))
        }
        Profile::Show { name } => {
            let result = reach.ask("profile.show", json!({"name": name})).await?;
            tell(context, &result, || show(&result))
        }
        Profile::Use { library, profile } => {
            let profile = Some(profile).filter(|name| name != "none");
            let result = with_progress(reach, "library.profile", json!({"name": library, "profile": profile})).await?;
            tell(context, &result, || report(&result["report"]))
        }
        Profile::Check { folder } => check(context, &folder),
    }
}

fn list(profiles: &Value) -> Result<(), Failure> {
    for profile in profiles.as_array().into_iter().flatten() {
        let text = |key: &str| print::harmless(profile[key].as_str().unwrap_or_default());
        let libraries = words(&profile["libraries"]);
        let used = if libraries.is_empty() { "no library".to_owned() } else { libraries };
        print::line(&format!(
            "{}  {}, {} tools  {}",
            print::painted(print::TITLE, &format!("{:<16}", text("name"))),
            text("title"),
            profile["tools"],
            print::painted(print::FAINT, &used),
        ))?;
    }
    Ok(())
}

fn show(result: &Value) -> Result<(), Failure> {
    let line = |key: &str, value: &str| {
        let key = print::painted(print::FAINT, &format!("{key:<10}"));
        print::line(&format!("{key} {}", print::harmless(value)))
    };
    line("name", result["profile"]["name"].as_str().unwrap_or_default())?;
    line("about", result["about"].as_str().unwrap_or_default())?;
    for facet in result["facets"].as_array().into_iter().flatten() {
        let text = format!("{}: {}", facet["name"].as_str().unwrap_or_default(), words(&facet["values"]));
        line("facet", &text)?;
    }
    for key in ["tools", "prompts", "resources", "hosts", "start"] {
        line(key, &words(&result[key]))?;
    }
    Ok(())
}

fn words(values: &Value) -> String {
    let words: Vec<&str> = values.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    print::harmless(&words.join(", "))
}

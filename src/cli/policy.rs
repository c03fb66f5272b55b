//! `policy check|show|list|explain|matrix|reload`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::exit::{Failure, NO};
use super::print::tell;
use super::reach::Reach;
use super::{Context, print};
use crate::auth::policy;
use crate::auth::policy::source::{self, PolicyError};
use crate::base::classification::Classification;
use crate::config::file;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check the policies in a folder against the schema; no server is needed
    Check {
        /// The folder [default: policy.directory of the configuration, else policies in the data directory]
        directory: Option<PathBuf>,
    },
    /// Print the schema and the policies that Sekisho ships with
    Show {
        /// Print only this
        what: Option<Shipped>,
    },
    /// List the policies in force
    List,
    /// Say what the policies answer to a question, and which of them decide
    Explain {
        /// role:ROLE, account:NAME, token:NAME (or how it begins), local:UID, stdio:UID, or with --role anything else
        principal: String,
        /// An operation, such as search_documents, prompt:answer_from_library or library.add
        action: String,
        /// appliance, library:NAME, credential:NAME or connector:NAME
        resource: String,
        /// The role of a principal that does not exist: reader, operator, auditor or admin
        #[arg(long)]
        role: Option<String>,
        /// A scope of its credential, such as library:manual (may be given again)
        #[arg(long, value_name = "SCOPE")]
        scope: Vec<String>,
        /// The resource's classification, instead of the one that it has
        #[arg(long, value_name = "LEVEL")]
        classification: Option<Classification>,
    },
    /// Show which role may call which operation, and on libraries of which classification
    Matrix,
    /// Put the policies in force that lie in the folder now; if one is wrong, nothing changes
    Reload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shipped {
    Schema,
    Policies,
}

pub(super) async fn run(context: &Context, command: Policy) -> Result<u8, Failure> {
    match command {
        Policy::Check { directory } => return check(context, directory),
        Policy::Show { what } => return show(context, what),
        _ => {}
    }
    let reach = Reach::find(context).await?;
    let result = answer(context, &reach, command).await;
    reach.close().await;
    result
}

async fn answer(context: &Context, reach: &Reach, command: Policy) -> Result<u8, Failure> {
    match command {
        Policy::Explain { principal, action, resource, role, scope, classification } => {
            let mut arguments =
                json!({"principal": principal, "action": action, "resource": resource, "scopes": scope});
            if let Some(role) = role {
                arguments["role"] = json!(role);
            }
            if let Some(classification) = classification {
                arguments["classification"] = json!(classification);
            }
            let result = reach.ask("policy.explain", arguments).await?;
            tell(context, &result, || explain(&result))?;
            Ok(if result["allowed"] == true { 0 } else { NO })
        }
        Policy::Matrix => {
            let result = reach.ask("policy.matrix", json!({})).await?;
            tell(context, &result, || matrix(&result["operations"]))
        }
        Policy::Reload => {
            let result = reach.ask("policy.reload", json!({})).await?;
            tell(context, &result, || state(&result))
        }
        Policy::List | Policy::Check { .. } | Policy::Show { .. } => {
            let result = reach.ask("policy.list", json!({})).await?;
            tell(context, &result, || {
                for policy in items(&result["policies"]) {
                    let place = format!("{}:{}", text(policy, "file"), policy["line"]);
                    let what = format!("{:<7}{}", text(policy, "effect"), text(policy, "id"));
                    let note = format!("{place}  {}", text(policy, "reason"));
                    print::line(&format!("{what}  {}", print::painted(print::FAINT, &note)))?;
                }
                state(&result["state"])
            })
        }
    }
}

fn check(context: &Context, directory: Option<PathBuf>) -> Result<u8, Failure> {
    let directory = match directory {
        Some(directory) if !directory.is_dir() => {
            return Err(Failure::no_input(format!("{} is no folder", directory.display())));
        }
        Some(directory) => directory,
        None => {
            let places = context.places()?;
            let config = file::load(&places.config, &context.environment)?;
            config.policy.directory.unwrap_or_else(|| places.policies())
        }
    };
    let (valid, problems, files) = match policy::check(&directory) {
        Ok(summary) => (true, summary.warnings, summary.files),
        Err(PolicyError::Wrong { problems, .. }) => (false, problems, 0),
        Err(error) => return Err(Failure::no_input(error)),
    };
    if context.json {
        let problems: Vec<Value> = problems
            .iter()
            .map(|problem| json!({"file": problem.file, "line": problem.line, "column": problem.column, "message": problem.message}))
            .collect();
        let key = if valid { "warnings" } else { "problems" };
        print::line(&json!({"valid": valid, "directory": directory.display().to_string(), key: problems}).to_string())?;
    } else {
        let (style, word) = if valid { (print::WARNING, "note: ") } else { (print::BAD, "") };
        for problem in &problems {
            let place = print::harmless(&format!("{}/{problem}", directory.display()));
            print::line(&format!("{}{place}", print::painted(style, word)))?;
        }
        if valid {
            print::line(&format!("{} files in {} are valid.", files, directory.display()))?;
        }
    }
    Ok(if valid { 0 } else { NO })
}

fn show(context: &Context, what: Option<Shipped>) -> Result<u8, Failure> {
    if context.json {
        print::line(&json!({"schema": source::SCHEMA, "policies": source::SHIPPED}).to_string())?;
        return Ok(0);
    }
    if what != Some(Shipped::Policies) {
        print::line(source::SCHEMA.trim_end())?;
    }
    if what.is_none() {
        print::line("")?;
    }
    if what != Some(Shipped::Schema) {
        print::line(source::SHIPPED.trim_end())?;
    }
    Ok(0)
}

fn explain(result: &Value) -> Result<(), Failure> {
    let (style, word) = if result["allowed"] == true { (print::GOOD, "allowed") } else { (print::BAD, "denied") };
    let classification = &result["resource"]["classification"];
    print::line(&format!(
        "{}: {} ({}) does {} ({}) on {} {} ({})",
        print::painted(style, word),
        text(&result["principal"], "id"),
        text(&result["principal"], "role"),
        text(&result["action"], "name"),
        text(&result["action"], "group"),
        text(&result["resource"], "kind"),
        text(&result["resource"], "name"),
        classification.as_str().unwrap_or_default(),
    ))?;
    print::line(&text(result, "reason"))?;
    if result["note"].is_string() {
        print::line(&format!("{}{}", print::painted(print::WARNING, "note: "), text(result, "note")))?;
    }
    for policy in items(&result["policies"]) {
        print::line("")?;
        let place = format!("{}:{}", text(policy, "file"), policy["line"]);
        print::line(&print::painted(print::FAINT, &format!("{place}  {}", text(policy, "reason"))))?;
        let body = policy["text"].as_str().unwrap_or_default();
        for line in body.lines() {
            print::line(&print::harmless(line))?;
        }
    }
    Ok(())
}

fn matrix(operations: &Value) -> Result<(), Failure> {
    const ROLES: [&str; 4] = ["reader", "operator", "auditor", "admin"];
    let mut head = format!("{:<32} {:<11}", "", "");
    for role in ROLES {
        // Writing to a String cannot fail.
        write!(head, " {role:<13}").unwrap_or_default();
    }
    print::line(&print::painted(print::TITLE, head.trim_end()))?;
    for operation in items(operations) {
        let mut row = format!("{:<32} {:<11}", text(operation, "action"), text(operation, "group"));
        for role in ROLES {
            let answer = &operation[role];
            let word = match (answer["allowed"].as_bool(), items(&answer["libraries"]).last()) {
                (Some(true), Some(level)) => level.as_str().unwrap_or_default(),
                (Some(true), None) => "yes",
                _ => "-",
            };
            write!(row, " {word:<13}").unwrap_or_default();
        }
        print::line(row.trim_end())?;
    }
    print::line("\nA level: may be called, and touches libraries up to that classification.")
}

fn state(state: &Value) -> Result<(), Failure> {
    for warning in items(&state["warnings"]) {
        let note = print::harmless(warning.as_str().unwrap_or_default());
        print::line(&format!("{}{note}", print::painted(print::WARNING, "note: ")))?;
    }
    if let Some(error) = state["error"].as_str() {
        print::line(&print::painted(print::BAD, &print::harmless(error)))?;
    }
    print::line(&format!(
        "{} policies are in force, from {} files in {} and the shipped one, since {}; sha256 {}",
        state["policies"],
        state["files"],
        text(state, "directory"),
        text(state, "since"),
        text(state, "sha256"),
    ))
}

fn items(value: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> String {
    print::harmless(value[key].as_str().unwrap_or_default())
}

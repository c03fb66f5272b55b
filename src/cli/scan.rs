//! `scan`: the installation's own audit, and the guides' checklists with its answers.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::exit::{Failure, NO};
use super::reach::Reach;
use super::{Context, print};
use crate::scan::checklist::{self, Checklist, Name, Standing};
use crate::scan::finding::{Finding, Severity};

#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// The least severity that ends with exit code 1: info, low, medium, high or critical
    #[arg(long, value_name = "SEVERITY", default_value = "medium")]
    fail_on: Severity,
    /// Print one of the guides' checklists, with what the scan can answer ticked
    #[arg(long, value_name = "LIST")]
    checklist: Option<Name>,
    /// How a checklist is printed
    #[arg(long, value_name = "FORMAT", requires = "checklist", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Md,
}

impl ValueEnum for Name {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

pub(super) async fn run(context: &Context, scan: Scan) -> Result<u8, Failure> {
    let reach = Reach::find(context).await.map_err(Failure::incomplete)?;
    let result = reach.ask("scan.run", json!({})).await;
    reach.close().await;
    // Neither yes nor no: the installation was not looked at.
    let result = result.map_err(Failure::incomplete)?;
    let found: Vec<Finding> = serde_json::from_value(result["findings"].clone()).map_err(Failure::internal)?;
    match scan.checklist {
        Some(name) => list(context, &checklist::answered(name, &found), scan.format, &result)?,
        None if context.json => print::line(&result.to_string())?,
        None => tell(&found, &result)?,
    }
    Ok(if found.iter().any(|finding| finding.severity >= scan.fail_on) { NO } else { 0 })
}

fn tell(found: &[Finding], result: &Value) -> Result<(), Failure> {
    for finding in found {
        let style = match finding.severity {
            Severity::Info => print::FAINT,
            Severity::Low | Severity::Medium => print::WARNING,
            Severity::High | Severity::Critical => print::BAD,
        };
        let severity = print::painted(style, &format!("{:<8}", finding.severity));
        print::line(&format!("{severity} {} ({})", print::harmless(&finding.place), finding.check))?;
        print::line(&format!("         {}", print::harmless(&finding.why)))?;
        print::line(&format!("         {}", print::painted(print::FAINT, &print::harmless(&finding.mend))))?;
    }
    let counts: Vec<String> = result["counts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|count| count["findings"] != 0)
        .map(|count| format!("{} {}", count["findings"], count["severity"].as_str().unwrap_or_default()))
        .collect();
    let counts = if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") };
    print::line(&format!("{} checks: {counts}.", result["checks"]))
}

fn list(context: &Context, list: &Checklist, format: Format, result: &Value) -> Result<(), Failure> {
    if context.json {
        let list = serde_json::to_value(list).map_err(Failure::internal)?;
        return print::line(&list.to_string());
    }
    if format == Format::Md {
        let text = |key: &str| result[key].as_str().unwrap_or_default();
        return print::line(list.to_markdown(text("made"), text("version")).trim_end());
    }
    print::line(&print::painted(print::TITLE, &list.title))?;
    for item in &list.items {
        let (mark, style) = match item.standing {
            Standing::Done => ("[x]", print::GOOD),
            Standing::Open => ("[!]", print::BAD),
            Standing::ByHand => ("[ ]", print::WARNING),
        };
        print::line(&format!("{} {}", print::painted(style, mark), item.text))?;
        if item.standing == Standing::ByHand {
            print::line(&format!("    by hand: {}", print::painted(print::FAINT, &item.how)))?;
        }
        for finding in &item.findings {
            let line = format!("    {}: {}: {}", finding.severity, finding.place, finding.why);
            print::line(&print::harmless(&line))?;
        }
    }
    Ok(())
}

//! Shows how far a sync of a library is, and what came of it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::exit::Failure;
use super::print;
use super::reach::{Event, Reach};

/// Runs an operation that syncs: a bar where somebody watches, a line now and then elsewhere.
pub(super) async fn with_progress(reach: &Reach, name: &str, arguments: Value) -> Result<Value, Failure> {
    let target = if print::is_watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}").map_err(Failure::internal)?;
    let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
    let mut tenths = 0;
    let result = reach
        .call(name, arguments, &mut |event| {
            if let Event::Progress { done, total, message } = event {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of files")]
                let (done, total) = (done as u64, total as u64);
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(print::one_line(&message));
                let reached = done * 10 / total.max(1);
                if bar.is_hidden() && reached > tenths {
                    tenths = reached;
                    print::error_line(&format!("{done} of {total} files"));
                }
            }
            Ok(())
        })
        .await;
    bar.finish_and_clear();
    result
}

/// What came of it.
pub(super) fn report(report: &Value) -> Result<(), Failure> {
    let number = |key: &str| report[key].as_u64().unwrap_or_default();
    print::line(&format!(
        "{}: {} documents, {} sections ({} added, {} changed, {} removed, {} unchanged)",
        report["library"].as_str().unwrap_or_default(),
        number("documents"),
        number("sections"),
        number("added"),
        number("changed"),
        number("removed"),
        number("unchanged"),
    ))?;
    if let Some(revision) = report["revision"].as_str() {
        print::line(&format!("  {}", print::painted(print::FAINT, &format!("commit {}", print::harmless(revision)))))?;
    }
    let each = |report: &Value, key: &str, word: &str, style| {
        for failure in report[key].as_array().into_iter().flatten() {
            let text = |field: &str| print::one_line(failure[field].as_str().unwrap_or_default());
            print::line(&format!("  {} {}: {}", print::painted(style, word), text("path"), text("reason")))?;
        }
        Ok::<(), Failure>(())
    };
    let is_none_told = report["failed"].as_array().is_none_or(Vec::is_empty) && number("removed") == 0;
    if number("documents") == 0 && is_none_told {
        print::line(
            "  No file here is a document: the known endings are md, mdx, html, rst, adoc, txt, ipynb, pdf, docx and openapi.yaml.",
        )?;
    }
    each(report, "failed", "not read", print::BAD)?;
    if number("failed_more") > 0 {
        print::line(&format!("  and {} more", number("failed_more")))?;
    }
    each(report, "noted", "note", print::WARNING)?;
    let warned = report["warned"].as_array().map_or(0, Vec::len);
    if warned > 0 {
        let note = format!("{warned} files were read with reservations; --json lists them all, for example:");
        print::line(&format!("  {}", print::painted(print::WARNING, &note)))?;
        let first = json!({"warned": [report["warned"][0]]});
        each(&first, "warned", "note", print::WARNING)?;
    }
    Ok(())
}

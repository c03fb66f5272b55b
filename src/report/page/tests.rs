//! The page of a report: what it shows, and what it must never do.

use super::*;
use crate::report::{Alert, Control, Framework, Noted, Row, Table, Totals};

fn report(text: &str) -> Report {
    let noted = Noted {
        sequence: 7,
        at: "2026-09-21T14:13:20.123Z".into(),
        operation: text.into(),
        outcome: "done".into(),
        by: Some(text.into()),
        reason: Some(text.into()),
    };
    let row = Row { name: text.into(), count: 12 };
    Report {
        format: crate::report::FORMAT.into(),
        version: crate::report::VERSION,
        made: "2026-09-22T00:00:00.000Z".into(),
        program: "0.1.0".into(),
        installation: text.into(),
        period: crate::report::Period {
            from: "2026-09-21T00:00:00.000Z".into(),
            to: "2026-09-22T00:00:00.000Z".into(),
            kept_since: Some("2026-09-21T06:00:00.000Z".into()),
            first: Some(0),
            last: Some(9),
        },
        totals: Totals { entries: 10, calls: 9, outcomes: [("done".to_owned(), 10)].into(), ..Totals::default() },
        over_time: crate::report::OverTime {
            step_seconds: 900,
            steps: vec![Step {
                from: "2026-09-21T14:00:00.000Z".into(),
                done: 4,
                refused: 2,
                alerts: 1,
                p50_ms: 3,
                ..Step::default()
            }],
        },
        operations: Table::default(),
        principals: Table { rows: vec![row.clone()], others: 3, error_max: 1 },
        refusals: Table::default(),
        latency: Vec::new(),
        alerts: vec![Alert {
            id: 1,
            event: "ban".into(),
            severity: "high".into(),
            first: noted.at.clone(),
            last: noted.at.clone(),
            count: 2,
            about: text.into(),
            detail: text.into(),
            action: None,
            acknowledged: Some(noted.at.clone()),
            acknowledged_by: Some(text.into()),
        }],
        changes: vec![row],
        policies: vec![noted.clone()],
        settings: Vec::new(),
        ages: Vec::new(),
        backups: vec![noted.clone()],
        backup_verifications: vec![noted],
        restores: Vec::new(),
        verifications: Vec::new(),
        left_out: 0,
        log: crate::report::Log { checkpoint: Some(text.into()), ..crate::report::Log::default() },
        frameworks: vec![Framework {
            name: text.into(),
            title: "t".into(),
            controls: vec![Control {
                reference: "Art. 1".into(),
                title: text.into(),
                state: State::NotCovered,
                evidence: vec![text.into()],
            }],
        }],
    }
}

#[test]
fn a_page_shows_what_the_report_says() {
    let page = html(&report("token:ci")).unwrap();
    for part in [
        "9 calls, 10 entries",
        "(0 to 9)",
        ">token:ci</td>",
        "not covered",
        "class=\"plot\"",
        "by token:ci",
        "(2 times)",
        "before <time datetime=\"2026-09-21T06:00:00.000Z\"",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert_eq!(page.matches("<svg ").count(), 3);
}

/// Names in a log are whoever's; a page that is handed over must not run them.
#[test]
fn hostile_texts_stay_texts() {
    let page = html(&report("</pre></td><script>alert('x')</script><img src=x onerror=\"y\">")).unwrap();
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
}

#[test]
fn a_page_fetches_nothing_and_its_policy_allows_its_style_only() {
    let page = html(&report("token:ci")).unwrap();
    for reference in ["src=", "href=", "@import", "url(", " style=\"", "<link", "<script"] {
        assert!(!page.contains(reference), "{reference}");
    }
    let addresses = page.matches("http://").count();
    assert_eq!(addresses, page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count(), "no other address");
    let style = page.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).unwrap();
    let hash = STANDARD.encode(sha256(&[style.as_bytes()]));
    assert!(page.contains(&format!("style-src 'sha256-{hash}'")));
}

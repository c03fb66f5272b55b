//! `incident drill`: the six phases of the runbook, with a caller that is made for it; each step is checked, and nothing
//! of it stays but its record.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::exit::{Failure, NO};
use super::super::print::tell;
use super::super::reach::{Event, Reach};
use super::super::{Context, print};
use crate::app::verify;
use crate::audit::verify::{Against, Verdict};
use crate::base::id::{hex, random_bytes};
use crate::crypto::sign::VerifyingKey;
use crate::incident::Phase;

struct Drill<'a> {
    reach: &'a Reach,
    /// Of the token that stands for a stolen one.
    name: String,
    /// Where the evidence lies for a moment.
    file: PathBuf,
    incident: u64,
    steps: Vec<Value>,
    /// What has to be undone.
    issued: bool,
    banned: bool,
    frozen: bool,
}

/// Goes through all phases; what does not work ends the phases, never the cleaning up.
pub(super) async fn run(context: &Context, reach: &Reach, freeze: bool) -> Result<u8, Failure> {
    let status = reach.ask("status", json!({})).await?;
    if status["frozen"] == true {
        let public = "everything is frozen, and a drill needs it served: practise after `sekisho unfreeze`";
        return Err(Failure::unavailable(public));
    }
    let name = format!("drill-{}", hex(&random_bytes::<4>().map_err(Failure::internal)?));
    // Where the server writes and this command reads, whatever temporary directory each of them has.
    let file = context.places()?.data.join(format!("{name}.evidence"));
    let file = std::path::absolute(file).map_err(Failure::internal)?;
    let steps = Vec::new();
    let mut drill = Drill { reach, name, file, incident: 0, steps, issued: false, banned: false, frozen: false };
    let went = drill.phases(freeze).await;
    if let Err(failure) = &went {
        drill.told(Phase::PostIncident, "the phases were gone through", Err(failure.to_string()));
    }
    drill.clean_up().await;
    let failed = drill.failed();
    let result = json!({"incident": drill.incident, "steps": drill.steps, "failed": failed});
    tell(context, &result, || {
        for step in &drill.steps {
            let text = |key: &str| print::harmless(step[key].as_str().unwrap_or_default());
            let good = step["worked"] == true;
            let mark = if good { print::painted(print::GOOD, "ok") } else { print::painted(print::BAD, "FAILED") };
            let why = if good { String::new() } else { format!(": {}", text("found")) };
            print::line(&format!("{mark:<6} {:<13} {}{why}", text("phase"), text("step")))?;
        }
        print::line(&format!("Incident {} has the record of this drill.", drill.incident))
    })?;
    Ok(if failed == 0 { 0 } else { NO })
}

impl Drill<'_> {
    fn told(&mut self, phase: Phase, step: &str, found: Result<(), String>) {
        let worked = found.is_ok();
        let found = found.err().unwrap_or_default();
        self.steps.push(json!({"phase": phase.as_str(), "step": step, "worked": worked, "found": found}));
    }

    fn expect(&mut self, phase: Phase, step: &str, holds: bool, otherwise: &str) {
        self.told(phase, step, if holds { Ok(()) } else { Err(otherwise.to_owned()) });
    }

    fn failed(&self) -> usize {
        self.steps.iter().filter(|step| step["worked"] != true).count()
    }

    async fn phases(&mut self, freeze: bool) -> Result<(), Failure> {
        self.detection().await?;
        self.containment().await?;
        if freeze {
            self.freeze().await?;
        }
        self.investigation().await?;
        self.remediation().await?;
        self.recovery().await?;
        self.post_incident().await
    }

    async fn detection(&mut self) -> Result<(), Failure> {
        let open = json!({
            "title": format!("Drill: the token {} was found in public", self.name), "severity": "low",
            "type": "drill", "affected_systems": [self.name], "drill": true,
        });
        let opened = self.reach.ask("incident.open", open).await?;
        self.incident = opened["id"].as_u64().unwrap_or_default();
        let shown = self.reach.ask("incident.show", json!({"id": self.incident})).await?;
        self.expect(Phase::Detection, "an incident is opened", shown["phase"] == "detection", "it is not there");
        let alerts = self.reach.ask("alert.list", json!({"severity": "low"})).await?;
        self.expect(Phase::Detection, "alerts are listed", alerts["alerts"].is_array(), "there is no list");
        Ok(())
    }

    async fn containment(&mut self) -> Result<(), Failure> {
        let phase = Phase::Containment;
        self.reach.ask("token.issue", json!({"name": self.name})).await?;
        self.issued = true;
        let wanted = json!({
            "principal": format!("token:{}", self.name), "minutes": 60, "incident": self.incident, "reason": "a drill",
        });
        let contained = self.reach.ask("contain", wanted).await?;
        self.banned = true;
        let revoked = contained["revoked"].as_array().is_some_and(|revoked| revoked.len() == 1);
        let revoked = revoked && self.is_revoked().await?;
        self.expect(phase, "the token is revoked", revoked, "it holds still");
        let banned = self.is_banned().await?;
        self.expect(phase, "its holder is banned", banned, "the list of bans has it not");
        let shown = self.reach.ask("incident.show", json!({"id": self.incident})).await?;
        let noted = shown["notes"].as_array().is_some_and(|notes| !notes.is_empty());
        self.expect(phase, "the record says so", noted && shown["phase"] == "containment", "it has no note");
        Ok(())
    }

    async fn freeze(&mut self) -> Result<(), Failure> {
        let phase = Phase::Containment;
        self.reach.ask("freeze", json!({"reason": "a drill"})).await?;
        self.frozen = true;
        let refused = self.reach.ask("library.list", json!({})).await.is_err();
        self.expect(phase, "frozen, nothing else is served", refused, "libraries were listed");
        let tail = self.reach.ask("audit.report", json!({"from": "1h"})).await.is_ok();
        self.expect(phase, "frozen, the log is", tail, "it was refused");
        self.reach.ask("unfreeze", json!({})).await?;
        self.frozen = false;
        let served = self.reach.ask("library.list", json!({})).await.is_ok();
        self.expect(phase, "everything is served again", served, "libraries are not listed");
        Ok(())
    }

    async fn investigation(&mut self) -> Result<(), Failure> {
        let wanted = json!({"subjects": [format!("token:{}", self.name)], "from": "1h", "limit": 10});
        let found = self.reach.call("audit.search", wanted, &mut |_: Event| Ok(())).await?;
        let found = found["found"].as_u64().unwrap_or_default();
        self.expect(Phase::Investigation, "the log has what was done to it", found > 0, "no entry is about it");
        let verdict = self.reach.ask("audit.verify", json!({})).await?;
        self.expect(Phase::Investigation, "the log is sound", verdict["verdict"] == "sound", &verdict.to_string());
        Ok(())
    }

    async fn remediation(&mut self) -> Result<(), Failure> {
        // As its holder would get another one.
        let again = self.reach.ask("token.issue", json!({"name": self.name})).await;
        self.expect(Phase::Remediation, "a new token takes its place", again.is_ok(), "none could be issued");
        Ok(())
    }

    async fn recovery(&mut self) -> Result<(), Failure> {
        self.reach.ask("ban.lift", self.ban()).await?;
        self.banned = self.is_banned().await?;
        self.expect(Phase::Recovery, "the ban is lifted", !self.banned, "the list of bans has it still");
        let status = self.reach.ask("status", json!({})).await?;
        self.expect(Phase::Recovery, "the store takes entries", status["store_writable"] == true, "it does not");
        Ok(())
    }

    async fn post_incident(&mut self) -> Result<(), Failure> {
        let wanted = json!({"id": self.incident, "path": self.file.display().to_string(), "from": "1h"});
        let exported = self.reach.ask("incident.export", wanted).await?;
        let keys = exported["verifying_keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let keys = keys.map(VerifyingKey::parse).collect::<Result<Vec<_>, _>>().map_err(Failure::internal)?;
        let verdict = verify::evidence(&self.file, &Against { keys, checkpoints: Vec::new() })?;
        let sound = matches!(verdict, Verdict::Sound(_));
        self.expect(Phase::PostIncident, "the evidence is sound", sound, &verdict.to_json().to_string());
        Ok(())
    }

    fn ban(&self) -> Value {
        json!({"kind": "principal", "name": format!("token:{}", self.name)})
    }

    async fn is_revoked(&self) -> Result<bool, Failure> {
        let tokens = self.reach.ask("token.list", json!({})).await?;
        let mut named = tokens["items"].as_array().into_iter().flatten().filter(|token| token["name"] == *self.name);
        Ok(named.all(|token| token["revoked"] == true))
    }

    async fn is_banned(&self) -> Result<bool, Failure> {
        let bans = self.reach.ask("ban.list", json!({})).await?;
        let name = format!("token:{}", self.name);
        Ok(bans["items"].as_array().into_iter().flatten().any(|ban| ban["name"] == *name))
    }

    /// Whatever went wrong before. What cannot be undone is told, and is a failure of the drill.
    async fn clean_up(&mut self) {
        let mut left = Vec::new();
        if self.frozen && self.reach.ask("unfreeze", json!({})).await.is_err() {
            left.push("it is frozen: sekisho unfreeze");
        }
        if self.banned && self.reach.ask("ban.lift", self.ban()).await.is_err() {
            left.push("a ban holds: sekisho ban list");
        }
        if self.issued {
            // Of the one that took its place, where one did.
            self.reach.ask("token.revoke", json!({"id": self.name})).await.ok();
            if !self.is_revoked().await.unwrap_or(false) {
                left.push("a token holds: sekisho token list");
            }
        }
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                left.push("the evidence lies in the data directory");
            }
            _ => {}
        }
        self.expect(Phase::PostIncident, "nothing of it is left", left.is_empty(), &left.join("; "));
        if self.incident > 0 {
            let (all, failed) = (self.steps.len(), self.failed());
            let failures: Vec<&str> = self
                .steps
                .iter()
                .filter(|step| step["worked"] != true)
                .filter_map(|step| step["step"].as_str())
                .collect();
            let lessons = match failed {
                0 => format!("all {all} steps of the drill worked"),
                _ => format!("{failed} of {all} steps of the drill did not work: {}", failures.join(", ")),
            };
            let close = json!({"id": self.incident, "lessons": lessons, "notified": []});
            let closed = self.reach.ask("incident.close", close).await.is_ok();
            self.expect(Phase::PostIncident, "the record is closed", closed, "it is open still");
        }
    }
}

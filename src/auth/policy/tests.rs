//! Decisions of the shipped policies, of an operator's, and of sets that are wrong.

use std::fs;
use std::time::Duration;

use super::source::File;
use super::*;
use crate::base::clock::ManualClock;

const HTTP: Circumstances = Circumstances { transport: "http", is_tls: false, peer: None };

fn open(files: &[(&str, &str)]) -> (tempfile::TempDir, Arc<ManualClock>, Arc<Policy>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let clock = Arc::new(ManualClock::default());
    let policy = Policy::open(folder.path().to_owned(), clock.clone()).unwrap();
    (folder, clock, Arc::new(policy))
}

fn action(name: &str, group: ActionGroup) -> Action {
    Action { name: name.into(), group }
}

fn read() -> Action {
    action("read_document", ActionGroup::Agent)
}

fn scoped(role: Role, scopes: &[&str]) -> Principal {
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    Principal { scopes: scopes.into(), ..Principal::token("t", role) }
}

fn allows(policy: &Policy, principal: &Principal, action: &Action, resource: &Resource) -> bool {
    policy.decide(principal, action, resource, &HTTP).is_allowed
}

#[test]
fn the_shipped_policies_are_valid_and_without_notes() {
    let (folder, _, _) = open(&[]);
    let summary = check(folder.path()).unwrap();
    assert_eq!((summary.files, summary.warnings), (0, Vec::new()));
}

#[test]
fn each_role_does_what_it_is_for_and_no_more() {
    let (_folder, _, policy) = open(&[]);
    let groups = [
        ActionGroup::Protocol,
        ActionGroup::Agent,
        ActionGroup::AgentChange,
        ActionGroup::AuditRead,
        ActionGroup::Operate,
        ActionGroup::Administer,
    ];
    for (role, expected) in [
        (Role::Reader, [true, true, true, false, false, false]),
        (Role::Operator, [true, true, true, false, true, false]),
        (Role::Auditor, [false, false, false, true, false, false]),
        (Role::Admin, [true; 6]),
    ] {
        let principal = Principal::token("t", role);
        let may = groups.map(|group| allows(&policy, &principal, &action("x", group), &Resource::appliance()));
        assert_eq!(may, expected, "{role:?}");
    }
    let status = action("status", ActionGroup::Operate);
    assert!(allows(&policy, &Principal::token("t", Role::Auditor), &status, &Resource::appliance()));
}

#[test]
fn a_reader_calls_of_a_connector_what_reads_and_an_operator_what_is_on() {
    let own = "permit (principal == Sekisho::Principal::\"token:robot\", action in Sekisho::Action::\"agent_change\", \
               resource is Sekisho::Connector);";
    for (files, robot) in [(&[][..], false), (&[("robot.cedar", own)][..], true)] {
        let (_folder, _, policy) = open(files);
        let zoo = Resource::connector("zoo", Classification::Internal);
        let may =
            |name: &str, role, group| allows(&policy, &Principal::token(name, role), &action("zoo_x", group), &zoo);
        assert!(may("t", Role::Reader, ActionGroup::Agent) && !may("t", Role::Reader, ActionGroup::AgentChange));
        assert!(may("t", Role::Operator, ActionGroup::Agent) && may("t", Role::Operator, ActionGroup::AgentChange));
        assert!(may("t", Role::Admin, ActionGroup::AgentChange) && !may("t", Role::Auditor, ActionGroup::Agent));
        assert_eq!(may("robot", Role::Reader, ActionGroup::AgentChange), robot);
        let scoped = scoped(Role::Reader, &["connector:zoo"]);
        assert!(!allows(&policy, &scoped, &action("zoo_x", ActionGroup::AgentChange), &zoo));
    }
}

#[test]
fn a_reader_reads_up_to_internal_and_what_a_scope_names() {
    let (_folder, _, policy) = open(&[]);
    let of = |principal: &Principal, level| allows(&policy, principal, &read(), &Resource::library("a", level));
    let reader = Principal::token("t", Role::Reader);
    assert!(of(&reader, Classification::Public) && of(&reader, Classification::Internal));
    assert!(!of(&reader, Classification::Confidential) && !of(&reader, Classification::Restricted));
    assert!(of(&scoped(Role::Reader, &["library:a"]), Classification::Restricted));
    assert!(!of(&scoped(Role::Reader, &["library:b"]), Classification::Public));
    assert!(of(&Principal::token("t", Role::Admin), Classification::Restricted));
}

#[test]
fn scopes_narrow_an_administrator_too_and_name_the_policy_that_did() {
    let (_folder, _, policy) = open(&[]);
    let admin = scoped(Role::Admin, &["tool:read_document"]);
    assert!(allows(&policy, &admin, &read(), &Resource::appliance()));
    let verdict = policy.decide(&admin, &action("vault.seal", ActionGroup::Administer), &Resource::appliance(), &HTTP);
    assert_eq!(verdict.reason(), "denied by shipped.cedar#scope-action");
}

#[test]
fn a_forbid_of_the_operators_wins_and_is_named() {
    let forbid = r#"
        // comments stay
        permit (principal, action, resource) when { principal.id like "token:nobody*" };
        @id("no-reading")
        @reason("we are closed")
        forbid (principal, action == Sekisho::Action::"read_document", resource);
    "#;
    let (_folder, _, policy) = open(&[("10-closed.cedar", forbid)]);
    let verdict = policy.decide(&Principal::token("t", Role::Admin), &read(), &Resource::appliance(), &HTTP);
    assert_eq!(
        (verdict.is_allowed, verdict.policies.as_slice()),
        (false, &["10-closed.cedar#no-reading".to_owned()][..])
    );
    let fact = &policy.named(&verdict.policies)[0];
    assert_eq!((fact.line, fact.reason.as_deref(), fact.permits), (4, Some("we are closed"), false));
    assert!(policy.policies().iter().any(|fact| fact.id == "10-closed.cedar#1" && fact.line == 3));
}

#[test]
fn an_operation_that_the_schema_does_not_list_goes_by_its_group() {
    let text =
        r#"forbid (principal, action in Sekisho::Action::"agent", resource) when { context.operation like "crm_*" };"#;
    let (_folder, _, policy) = open(&[("crm.cedar", text)]);
    let reader = Principal::token("t", Role::Reader);
    let may = |name: &str| allows(&policy, &reader, &action(name, ActionGroup::Agent), &Resource::appliance());
    assert!(may("weather") && !may("crm_delete"));
    assert!(!allows(&policy, &reader, &action("new.thing", ActionGroup::Administer), &Resource::appliance()));
}

#[test]
fn the_time_and_the_address_decide_where_a_policy_looks_at_them() {
    let text = r#"
        @id("night") forbid (principal, action, resource) when { context.hour < 6 || context.weekday > 5 };
        @id("net") forbid (principal, action, resource)
        when { context has peer && !context.peer.isInRange(ip("192.0.2.0/24")) && !context.peer.isLoopback() };
    "#;
    let (_folder, clock, policy) = open(&[("a.cedar", text)]);
    let reader = Principal::token("t", Role::Reader);
    let from = |peer: Option<&str>| {
        let how = Circumstances { peer: peer.map(|peer| peer.parse().unwrap()), ..HTTP };
        policy.decide(&reader, &read(), &Resource::appliance(), &how).policies.join(" ")
    };
    // Thursday, 1970-01-01, midnight.
    assert_eq!(from(None), "a.cedar#night");
    clock.advance(Duration::from_hours(6));
    assert_eq!(from(None), "shipped.cedar#agent");
    assert_eq!(from(Some("192.0.2.7")), "shipped.cedar#agent");
    assert_eq!(from(Some("::1")), "shipped.cedar#agent");
    assert_eq!(from(Some("198.51.100.1")), "a.cedar#net");
    clock.advance(Duration::from_hours(48));
    assert_eq!(from(None), "a.cedar#night", "Saturday");
}

#[test]
fn what_is_wrong_is_named_by_file_line_and_column_and_all_of_it() {
    let (folder, _, _) = open(&[]);
    let wrong = [
        ("a.cedar", "permit (principal, action, resource)\nwhen { principal.role === \"x\" };"),
        ("b.cedar", "\n\npermit (principal, action == Sekisho::Action::\"read_dokument\", resource);"),
        ("c.cedar", "permit (principal, action, resource)\nwhen { resource.colour == \"red\" };"),
        (
            "d.cedar",
            "@id(\"x\") permit (principal, action, resource);\n @id(\"x\") permit (principal, action, resource);",
        ),
        ("e.cedar", "permit (principal == ?principal, action, resource);"),
        ("f.cedar", "forbid (principal, action, resource) when { context.peer.isLoopback() };"),
    ];
    for (name, text) in wrong {
        fs::write(folder.path().join(name), text).unwrap();
    }
    fs::write(folder.path().join(".hidden.cedar"), "nonsense").unwrap();
    fs::write(folder.path().join("notes.txt"), "nonsense").unwrap();
    let PolicyError::Wrong { problems, .. } = check(folder.path()).unwrap_err() else { panic!("not wrong") };
    let mut places: Vec<String> =
        problems.iter().map(|problem| format!("{}:{}:{}", problem.file, problem.line, problem.column)).collect();
    places.sort();
    assert_eq!(
        places.iter().map(|place| &place[..7]).collect::<Vec<_>>(),
        ["a.cedar", "b.cedar", "c.cedar", "d.cedar", "e.cedar", "f.cedar"]
    );
    assert_eq!(places[0], "a.cedar:2:25", "{problems:?}");
    assert!(places[1].starts_with("b.cedar:3:"), "{problems:?}");
    assert!(places[2].starts_with("c.cedar:2:"), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.message.contains("read_dokument")), "{problems:?}");
}

#[test]
fn nobody_takes_the_name_of_the_shipped_policies() {
    let (folder, _, _) = open(&[]);
    fs::write(folder.path().join("shipped.cedar"), "permit (principal, action, resource);").unwrap();
    assert!(matches!(check(folder.path()).unwrap_err(), PolicyError::Wrong { .. }));
}

#[test]
fn a_reload_is_whole_or_not_at_all_and_forgets_decisions() {
    let (folder, _, policy) = open(&[]);
    let reader = Principal::token("t", Role::Reader);
    let mut changes = policy.changes();
    let before = policy.summary().sha256;
    assert!(allows(&policy, &reader, &read(), &Resource::appliance()));
    fs::write(folder.path().join("a.cedar"), "forbid (principal, action, resource);").unwrap();
    assert!(policy.is_stale());
    assert!(allows(&policy, &reader, &read(), &Resource::appliance()), "not yet");
    policy.reload().unwrap();
    assert!(!policy.is_stale() && changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert!(!allows(&policy, &reader, &read(), &Resource::appliance()));
    let closed = policy.summary().sha256;
    assert_ne!(closed, before);

    fs::write(folder.path().join("b.cedar"), "permit (").unwrap();
    policy.reload().unwrap_err();
    assert!(!policy.is_stale(), "what was looked at is not looked at again");
    let summary = policy.summary();
    assert_eq!(summary.sha256, closed);
    assert!(summary.error.unwrap().contains("b.cedar:1:"));
    assert!(!allows(&policy, &reader, &read(), &Resource::appliance()));

    fs::remove_file(folder.path().join("b.cedar")).unwrap();
    fs::remove_file(folder.path().join("a.cedar")).unwrap();
    assert_eq!(policy.reload().unwrap().sha256, before);
    assert_eq!(policy.summary().error, None);
    assert!(allows(&policy, &reader, &read(), &Resource::appliance()));
}

#[test]
fn a_local_administrator_can_mend_a_policy_that_forbids_everything() {
    let (_folder, _, policy) = open(&[("a.cedar", "forbid (principal, action, resource);")]);
    let of = |principal: Principal, name: &str| {
        let access = Access::new(Arc::clone(&policy), principal, HTTP, action(name, ActionGroup::Administer));
        access.may(&Resource::appliance())
    };
    assert!(of(Principal::local(0), "policy.reload") && of(Principal::local(0), "policy.explain"));
    assert!(!of(Principal::local(0), "vault.seal"));
    assert!(!of(Principal::token("t", Role::Admin), "policy.reload"), "not from afar");
    assert!(!of(Principal::stdio(0), "policy.reload"));
}

#[test]
fn what_was_touched_is_known_by_its_highest_level() {
    let (_folder, _, policy) = open(&[]);
    let access = Access::new(policy, Principal::local(0), HTTP, read());
    assert_eq!(access.touched(), None);
    let copy = access.clone();
    copy.touch(Classification::Confidential);
    copy.touch(Classification::Public);
    assert_eq!(access.touched(), Some(Classification::Confidential));
}

#[test]
fn a_problem_counts_lines_and_characters() {
    let file = File { name: "a.cedar".into(), text: "日本\nxy語z".into() };
    let at = |offset| {
        let problem = file.problem(offset, "");
        (problem.line, problem.column)
    };
    assert_eq!((at(0), at(3), at(7), at(12)), ((1, 1), (1, 2), (2, 1), (2, 4)));
}

//! Scopes of a credential: what it is confined to, whatever its principal's role allows.
//!
//! `library:NAME`, `connector:NAME` and `credential:NAME` confine what is touched, `tool:NAME` and `action_group:GROUP`
//! what is done. A scope of any other form confines to nothing: what is not understood opens no door.

use super::ask::{Action, ActionGroup, Resource, ResourceKind};

/// What the scopes of a credential say to one question. No scopes say yes to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The action may be done.
    pub(super) action: bool,
    /// The resource may be touched.
    pub(super) resource: bool,
    /// A scope names this very resource.
    pub(super) names_resource: bool,
}

/// Whether a scope is of a kind that stands above; those of other systems are for others to understand.
pub(in crate::auth) fn is_ours(scope: &str) -> bool {
    const KINDS: [&str; 5] = ["tool", "action_group", "library", "connector", "credential"];
    scope.split_once(':').is_some_and(|(kind, name)| KINDS.contains(&kind) && !name.is_empty())
}

pub(super) fn ask(scopes: &[String], action: &Action, resource: &Resource) -> Answer {
    let mut about_actions = false;
    let mut about_resources = false;
    let (mut does, mut touches) = (false, false);
    for scope in scopes {
        match scope.split_once(':') {
            Some(("tool", name)) => {
                about_actions = true;
                let is_tool = matches!(action.group, ActionGroup::Agent | ActionGroup::AgentChange);
                does |= is_tool && *action.name == *name;
            }
            Some(("action_group", group)) => {
                about_actions = true;
                does |= action.group.as_str() == group || (group == "agent" && action.group.is_for_agents());
            }
            Some((kind @ ("library" | "connector" | "credential"), name)) => {
                about_resources = true;
                touches |= resource.kind.as_str() == kind && *resource.name == *name;
            }
            _ => (about_actions, about_resources) = (true, true),
        }
    }
    // Who is confined to a library only is an agent there, not its operator.
    let unsaid = scopes.is_empty() || (!about_actions && action.group.is_for_agents());
    Answer {
        // Without the protocol not even a list of what is allowed could be had.
        action: does || unsaid || action.group == ActionGroup::Protocol,
        resource: touches || !about_resources || resource.kind == ResourceKind::Appliance,
        names_resource: touches,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::classification::Classification;

    fn check(scopes: &[&str], action: &str, group: ActionGroup, resource: &str, expected: (bool, bool, bool)) {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let resource = match resource.split_once(':') {
            Some(("library", name)) => Resource::library(name, Classification::Internal),
            Some(("credential", name)) => Resource::credential(name, Classification::Internal),
            _ => Resource::appliance(),
        };
        let Answer { action: does, resource: touches, names_resource } =
            ask(&scopes, &Action { name: action.into(), group }, &resource);
        assert_eq!((does, touches, names_resource), expected, "{scopes:?} {action} {resource:?}");
    }

    #[test]
    fn scopes_confine_what_is_done_and_what_is_touched() {
        use ActionGroup::{Administer, Agent, Operate, Protocol};
        check(&[], "vault.seal", Administer, "", (true, true, false));
        check(&["library:a"], "read_document", Agent, "library:a", (true, true, true));
        check(&["library:a"], "read_document", Agent, "library:b", (true, false, false));
        check(&["library:a"], "read_document", Agent, "credential:a", (true, false, false));
        check(&["library:a"], "read_document", Agent, "", (true, true, false));
        check(&["library:a"], "library.remove", Operate, "library:a", (false, true, true));
        check(&["library:a", "action_group:operate"], "library.remove", Operate, "library:a", (true, true, true));
        check(&["library:a", "action_group:operate"], "read_document", Agent, "library:a", (false, true, true));
        check(&["tool:read_document"], "read_document", Agent, "library:b", (true, true, false));
        check(&["tool:read_document"], "search_documents", Agent, "library:b", (false, true, false));
        check(&["tool:read_document"], "tools/list", Protocol, "", (true, true, false));
        check(&["tool:vault.seal"], "vault.seal", Administer, "", (false, true, false));
        check(&["action_group:agent"], "initialize", Protocol, "", (true, true, false));
        check(&["openid"], "read_document", Agent, "library:a", (false, false, false));
        check(&["openid", "library:a"], "read_document", Agent, "library:a", (false, true, true));
    }
}

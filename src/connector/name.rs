//! Names: of connectors, of their tools, of the arguments of a tool. Stable, unique, and such as models take.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::bound::connector as bound;
use crate::base::id::hex;
use crate::crypto::digest::sha256;
use crate::openapi::Operation;

/// What tools of a connector's own are called after its name: no operation is called like that.
pub const OWN_TOOLS: [&str; 6] = ["find_operation", "describe_operation", "call", "auth_status", "login", "logout"];

/// A connector's name begins the names of its tools, up to the first `_`: so two connectors never share a tool's name.
pub fn is_connector_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let bytes = name.as_bytes();
    bytes.len() <= bound::CONNECTOR_NAME_BYTES_MAX
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last() != Some(&b'-')
        && bytes.iter().all(|byte| good(*byte))
}

/// A tool's name for each operation, in their order: `^[a-zA-Z0-9_-]{1,64}$`, unique whatever the case of letters.
///
/// It is the connector's name and the `operationId`, or else method and path. Where that is too long or taken, all that
/// claim it get a digest of method and path at the end: names depend on what operations there are, not on their order.
pub fn of_tools(connector: &str, operations: &[Operation]) -> Vec<String> {
    let plain: Vec<String> = operations.iter().map(|it| format!("{connector}_{}", base(it))).collect();
    let digested: Vec<String> = operations.iter().zip(&plain).map(|(it, plain)| with_digest(it, plain)).collect();
    let own: Vec<String> = OWN_TOOLS.iter().map(|name| format!("{connector}_{name}")).collect();
    let mut marked: Vec<bool> = plain.iter().map(|name| name.len() > bound::TOOL_NAME_CHARS_MAX).collect();
    // A digested name may meet a plain one; that one is then digested too. Each round marks one more at the least.
    loop {
        let mut claims: BTreeMap<String, usize> = own.iter().map(|name| (name.clone(), 1)).collect();
        for ((plain, digested), marked) in plain.iter().zip(&digested).zip(&marked) {
            *claims.entry(if *marked { digested } else { plain }.to_ascii_lowercase()).or_default() += 1;
        }
        let mut changed = false;
        for (plain, marked) in plain.iter().zip(&mut marked) {
            if !*marked && claims.get(&plain.to_ascii_lowercase()).is_some_and(|claims| *claims > 1) {
                (*marked, changed) = (true, true);
            }
        }
        if !changed {
            break;
        }
    }
    plain
        .into_iter()
        .zip(digested)
        .zip(marked)
        .map(|((plain, digested), marked)| if marked { digested } else { plain })
        .collect()
}

fn base(operation: &Operation) -> String {
    let id = operation.id.as_deref().map(|id| plain(id, "")).filter(|id| !id.is_empty());
    id.unwrap_or_else(|| {
        let path = plain(&operation.path, "");
        format!("{}_{path}", operation.method.as_str().to_ascii_lowercase()).trim_end_matches('_').to_owned()
    })
}

fn with_digest(operation: &Operation, plain: &str) -> String {
    let digest = hex(&sha256(&[operation.method.as_str().as_bytes(), b" ", operation.path.as_bytes()]));
    let digest: String = digest.chars().take(bound::TOOL_NAME_DIGEST_CHARS).collect();
    let room = bound::TOOL_NAME_CHARS_MAX - bound::TOOL_NAME_DIGEST_CHARS - 1;
    let plain: String = plain.chars().take(room).collect();
    format!("{}_{digest}", plain.trim_end_matches('_'))
}

/// ASCII letters, digits, `_`, `-` and what `more` has; each run of others is one `_`.
fn plain(text: &str, more: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_ascii_alphanumeric() || char == '-' || more.contains(char) {
            out.push(char);
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
    }
    out.trim_end_matches('_').to_owned()
}

/// Something that an agent gives: where it stands, and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim<'a> {
    /// `path`, `query`, `header`, `cookie`, `body`.
    pub place: &'a str,
    pub name: &'a str,
}

/// A name for each argument, in their order: what models take, `^[a-zA-Z0-9_.-]{1,64}$`.
///
/// It is the parameter's or property's own name. Where two places claim the same one, each gets its place in front,
/// such as `path_id` and `body_id`, and should even that be taken, a number behind.
pub fn of_arguments(claims: &[Claim<'_>]) -> Vec<String> {
    let plain: Vec<String> = claims.iter().map(|claim| argument(claim.name)).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &plain {
        *counts.entry(name).or_default() += 1;
    }
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|at| (counts.get(plain[*at].as_str()).copied().unwrap_or_default() > 1, claims[*at]));
    let mut taken = BTreeSet::new();
    let mut names = vec![String::new(); claims.len()];
    for at in order {
        let alone = counts.get(plain[at].as_str()) == Some(&1);
        let name = if alone { plain[at].clone() } else { argument(&format!("{}_{}", claims[at].place, plain[at])) };
        // One of so many is free: there are not more claims.
        let mut tries = (1..=claims.len() + 1).map(|n| if n == 1 { name.clone() } else { numbered(&name, n) });
        let name = tries.find(|it| !taken.contains(it)).unwrap_or_else(|| name.clone());
        taken.insert(name.clone());
        names[at] = name;
    }
    names
}

fn argument(name: &str) -> String {
    let name: String = plain(name, "_.").chars().take(bound::TOOL_NAME_CHARS_MAX).collect();
    if name.is_empty() { "value".into() } else { name }
}

fn numbered(name: &str, number: usize) -> String {
    let ending = format!("_{number}");
    let name: String = name.chars().take(bound::TOOL_NAME_CHARS_MAX - ending.len()).collect();
    name + &ending
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::openapi::Method;

    fn operation(method: Method, path: &str, id: Option<&str>) -> Operation {
        Operation {
            method,
            path: path.into(),
            server_path: String::new(),
            id: id.map(str::to_owned),
            tags: Vec::new(),
            summary: String::new(),
            description: String::new(),
            deprecated: false,
            parameters: Vec::new(),
            body: None,
            responses: Vec::new(),
            definitions: serde_json::Map::new(),
            security: Vec::new(),
            upload: None,
            pointer: String::new(),
        }
    }

    #[test]
    fn names_come_from_ids_or_from_method_and_path() {
        let operations = [
            operation(Method::Get, "/pets", Some("list_pets")),
            operation(Method::Get, "/pets/{petId}", Some("repos/get-for user")),
            operation(Method::Delete, "/pets/{petId}", None),
            operation(Method::Get, "/", None),
            operation(Method::Get, "/x", Some("日本")),
        ];
        assert_eq!(
            of_tools("zoo", &operations),
            ["zoo_list_pets", "zoo_repos_get-for_user", "zoo_delete_pets_petId", "zoo_get", "zoo_get_x"]
        );
    }

    #[test]
    fn names_that_clash_are_too_long_or_our_own_get_a_digest() {
        let long = "a".repeat(80);
        let operations = [
            operation(Method::Get, "/a", Some("same")),
            operation(Method::Get, "/b", Some("Same")),
            operation(Method::Get, "/c", Some(&long)),
            operation(Method::Get, "/d", Some("login")),
        ];
        let names = of_tools("zoo", &operations);
        assert!(names.iter().all(|name| name.len() <= 64 && name.rsplit('_').next().unwrap().len() == 8), "{names:?}");
        assert_eq!((&names[0][..9], &names[1][..9], &names[3][..10]), ("zoo_same_", "zoo_Same_", "zoo_login_"));
        // SHA-256 of "GET /a": names that were given once never change.
        let digest = hex(&sha256(&[b"GET /a"]));
        assert!(names[0].ends_with(&digest[..8]), "{names:?}");
    }

    proptest! {
        #[test]
        fn names_are_unique_well_formed_and_the_same_in_any_order(
            ids in prop::collection::vec(prop::option::of("[aA_ /é]{0,4}|[a-c]{60,70}"), 1..12), turn in 0..12_usize,
        ) {
            let mut operations: Vec<Operation> =
                ids.iter().enumerate().map(|(n, id)| operation(Method::Get, &format!("/p{n}"), id.as_deref())).collect();
            let names = of_tools("zoo", &operations);
            let folded: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
            prop_assert_eq!(folded.len(), names.len());
            for name in &names {
                prop_assert!(name.len() <= 64 && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-".contains(&it)), "{}", name);
            }
            let turn = turn % operations.len();
            operations.rotate_left(turn);
            let mut turned = of_tools("zoo", &operations);
            turned.rotate_right(turn);
            prop_assert_eq!(names, turned);
        }

        #[test]
        fn arguments_are_unique_and_well_formed(names in prop::collection::vec("[a_.\\[ é]{0,3}|body_a|query_a|a_2", 0..10)) {
            let places = ["path", "query", "body"];
            let claims: Vec<Claim<'_>> =
                names.iter().enumerate().map(|(n, name)| Claim { place: places[n % 3], name }).collect();
            let made = of_arguments(&claims);
            prop_assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), claims.len());
            for name in &made {
                let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
                prop_assert!((1..=64).contains(&name.len()) && name.bytes().all(good), "{}", name);
            }
        }
    }

    #[test]
    fn arguments_keep_their_names_unless_two_places_claim_one() {
        let claim = |place, name| Claim { place, name };
        let claims = [
            claim("path", "id"),
            claim("query", "filter[name]"),
            claim("body", "id"),
            claim("body", "_links"),
            claim("query", "$top"),
        ];
        assert_eq!(of_arguments(&claims), ["path_id", "filter_name", "body_id", "_links", "top"]);
    }

    #[test]
    fn connector_names_are_plain() {
        for good in ["a", "iconect", "git-hub2"] {
            assert!(is_connector_name(good), "{good}");
        }
        for bad in ["", "A", "a_b", "a-", "-a", "1a", "a b", &"a".repeat(25)] {
            assert!(!is_connector_name(bad), "{bad}");
        }
    }
}

//! What a token of another issuer may say of its bearer here: a role up to a bound, and the scopes that are ours.

use serde_json::{Map, Value};

use super::jwt::Why;
use super::policy::scope;
use crate::base::bound;
use crate::base::principal::Role;
use crate::config::Auth;

/// The claims in which scopes stand: RFC 8693, section 4.2, and what some authorization servers call it.
const SCOPE_CLAIMS: [&str; 2] = ["scope", "scp"];

/// The highest role that `auth.jwt_role_claim` names, by `auth.jwt_roles` or by our own names, and never more than
/// `auth.jwt_role_max`. What is none of ours gives none: a reader.
pub(super) fn role(claims: &Map<String, Value>, auth: &Auth) -> Role {
    let Some(claim) = at(claims, &auth.jwt_role_claim) else { return Role::Reader };
    let named = |text: &str| {
        let mapped = auth.jwt_roles.iter().find(|(name, _)| name == text).map(|(_, role)| *role);
        mapped.or_else(|| Role::named(text))
    };
    let highest = texts(claim).filter_map(named).max_by_key(|role| role.rank());
    highest.unwrap_or(Role::Reader).at_most(auth.jwt_role_max)
}

/// The scopes that are of a kind of ours. Those of others (`openid`, `profile`) are for others: they neither open nor
/// close anything here.
pub(super) fn scopes(claims: &Map<String, Value>) -> Result<Vec<String>, Why> {
    let all = SCOPE_CLAIMS.iter().filter_map(|name| claims.get(*name)).flat_map(texts);
    let all = all.flat_map(|text| text.split(' ')).filter(|text| scope::is_ours(text));
    let ours: Vec<String> = all.take(bound::SCOPES_MAX + 1).map(str::to_owned).collect();
    if ours.len() > bound::SCOPES_MAX || ours.iter().any(|scope| scope.len() > bound::SCOPE_BYTES_MAX) {
        return Err("the JWT has too many scopes");
    }
    Ok(ours)
}

/// A claim by its name, or by its path with dots: `realm_access.roles`. A name may have dots itself, as URLs do.
fn at<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(claim) = claims.get(path) {
        return Some(claim);
    }
    let (first, rest) = path.split_once('.')?;
    at(claims.get(first)?.as_object()?, rest)
}

/// A text, or the texts of a list.
fn texts(claim: &Value) -> impl Iterator<Item = &str> {
    let list = claim.as_array().into_iter().flatten().filter_map(Value::as_str);
    claim.as_str().into_iter().chain(list)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;
    use crate::config::raw::Raw;

    fn settings(most: &str, claim: &str, roles: &[&str]) -> Auth {
        let mut raw = Raw::default();
        raw.auth.jwt_role_max = most.into();
        raw.auth.jwt_role_claim = claim.into();
        raw.auth.jwt_roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Config::of(raw).unwrap().auth
    }

    fn object(claims: Value) -> Map<String, Value> {
        claims.as_object().unwrap().clone()
    }

    #[test]
    fn by_default_another_issuer_makes_readers_whatever_it_says() {
        let auth = Config::of(Raw::default()).unwrap().auth;
        for claims in [json!({}), json!({"role": "admin"}), json!({"role": "root"}), json!({"role": 7})] {
            assert_eq!(role(&object(claims.clone()), &auth), Role::Reader, "{claims}");
        }
    }

    #[test]
    fn a_role_comes_from_the_claim_that_is_configured_up_to_the_bound() {
        let check = |auth: &Auth, claims: Value, expect: Role| {
            assert_eq!(role(&object(claims.clone()), auth), expect, "{claims}");
        };
        let operator = settings("operator", "role", &[]);
        check(&operator, json!({"role": "operator"}), Role::Operator);
        check(&operator, json!({"role": "admin"}), Role::Operator);
        check(&operator, json!({"role": ["auditor", "reader"]}), Role::Auditor);
        check(&operator, json!({"groups": "operator"}), Role::Reader);
        let mapped = settings("admin", "realm_access.roles", &["mcp-ops=operator", "Domain Admins=admin"]);
        check(&mapped, json!({"realm_access": {"roles": ["x", "mcp-ops"]}}), Role::Operator);
        check(&mapped, json!({"realm_access": {"roles": ["mcp-ops", "Domain Admins"]}}), Role::Admin);
        check(&mapped, json!({"realm_access.roles": "mcp-ops"}), Role::Operator);
        check(&mapped, json!({"realm_access": "mcp-ops"}), Role::Reader);
        let url = settings("auditor", "https://example.org/roles", &[]);
        check(&url, json!({"https://example.org/roles": ["auditor"]}), Role::Auditor);
    }

    #[test]
    fn scopes_of_others_neither_open_nor_close_anything() {
        let check = |claims: Value, expect: &[&str]| assert_eq!(scopes(&object(claims)).unwrap(), expect);
        check(json!({}), &[]);
        check(json!({"scope": "openid profile email"}), &[]);
        check(json!({"scope": "openid library:manual read:user"}), &["library:manual"]);
        check(json!({"scp": ["openid", "tool:read_document"]}), &["tool:read_document"]);
        check(json!({"scope": "library:", "scp": 3}), &[]);
        let many = |count: usize| "library:a ".repeat(count);
        assert_eq!(scopes(&object(json!({"scope": many(bound::SCOPES_MAX)}))).unwrap().len(), bound::SCOPES_MAX);
        assert!(scopes(&object(json!({"scope": many(bound::SCOPES_MAX + 1)}))).is_err());
        assert!(scopes(&object(json!({"scope": format!("library:{}", "x".repeat(bound::SCOPE_BYTES_MAX))}))).is_err());
    }
}

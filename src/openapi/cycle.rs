//! Definitions that mean themselves without going a step further into the value: a validator would never come back.
//!
//! `Pet` is `oneOf` `Cat` and `Dog`, and `Cat` is `allOf` `Pet` and more: many documents say inheritance like that. The
//! reference that closes the circle is taken out. A circle that goes through `properties` or `items` is none of these:
//! each round needs another level of the value.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::base::bound::connector as bound;

/// Keywords whose schemas look at the very same value.
const IN_PLACE: [&str; 8] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];

/// Takes out each reference that closes such a circle, and each that goes on after a chain too long to follow.
pub(super) fn cut(definitions: &mut Map<String, Value>) {
    let edges: BTreeMap<String, BTreeSet<String>> =
        definitions.iter().map(|(name, schema)| (name.clone(), in_place(schema))).collect();
    let mut closing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in edges.keys() {
        // Depth first without recursion: the path down to here, and what is still to be looked at on each step.
        let mut path: Vec<(&str, Vec<&str>)> = vec![(start, targets(&edges, start))];
        if done.contains(start.as_str()) {
            continue;
        }
        while let Some((name, rest)) = path.last_mut() {
            let name = *name;
            let Some(next) = rest.pop() else {
                done.insert(name);
                path.pop();
                continue;
            };
            let on_path = path.iter().any(|(step, _)| *step == next);
            if on_path || path.len() > bound::OPENAPI_CHAIN_MAX {
                closing.entry(name.to_owned()).or_default().insert(next.to_owned());
            } else if !done.contains(next) {
                path.push((next, targets(&edges, next)));
            }
        }
    }
    for (name, targets) in closing {
        if let Some(schema) = definitions.get_mut(&name) {
            take_out(schema, &targets);
        }
    }
}

fn targets<'a>(edges: &'a BTreeMap<String, BTreeSet<String>>, name: &str) -> Vec<&'a str> {
    edges.get(name).into_iter().flatten().map(String::as_str).collect()
}

fn referred(schema: &Map<String, Value>) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix("#/$defs/"))
}

fn in_place(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut queue = vec![schema];
    while let Some(schema) = queue.pop() {
        let Some(fields) = schema.as_object() else { continue };
        found.extend(referred(fields).map(str::to_owned));
        for keyword in IN_PLACE {
            match fields.get(keyword) {
                Some(Value::Array(schemas)) => queue.extend(schemas),
                Some(Value::Object(schemas)) if keyword == "dependentSchemas" => queue.extend(schemas.values()),
                Some(schema) => queue.push(schema),
                None => {}
            }
        }
    }
    found
}

/// One of several becomes any of several: what is left of the reference accepts everything.
fn take_out(schema: &mut Value, targets: &BTreeSet<String>) {
    let Some(fields) = schema.as_object_mut() else { return };
    if referred(fields).is_some_and(|name| targets.contains(name)) {
        fields.remove("$ref");
    }
    let closes = |schema: &Value| in_place(schema).iter().any(|name| targets.contains(name));
    if fields.get("oneOf").and_then(Value::as_array).is_some_and(|it| it.iter().any(closes)) {
        let alternatives = fields.remove("oneOf").unwrap_or_default();
        let any = json!({"anyOf": alternatives});
        match fields.get_mut("allOf") {
            Some(Value::Array(all)) => all.push(any),
            _ => drop(fields.insert("allOf".into(), json!([any]))),
        }
    }
    // Nothing is known of what must not be.
    if fields.get("not").is_some_and(closes) {
        fields.remove("not");
    }
    for keyword in IN_PLACE {
        match fields.get_mut(keyword) {
            Some(Value::Array(schemas)) => schemas.iter_mut().for_each(|it| take_out(it, targets)),
            Some(Value::Object(schemas)) if keyword == "dependentSchemas" => {
                schemas.values_mut().for_each(|it| take_out(it, targets));
            }
            Some(schema) => take_out(schema, targets),
            None => {}
        }
    }
}

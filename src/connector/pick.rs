//! Which operations of a document become tools, and which of those are on.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

use super::tool::{Class, Tool};
use crate::openapi::Method;

/// An operation is picked that fits each kind of pick that there is, and one of that kind. No picks pick all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picks {
    /// Tags, whatever the case of letters.
    pub tags: Vec<String>,
    pub methods: Vec<Method>,
    /// Globs on the path as the document writes it: `*` within a segment, `**` across.
    pub paths: Vec<String>,
    /// `operationId`s, or names of tools.
    pub ids: Vec<String>,
}

/// A path pick that is no glob.
#[derive(Debug, thiserror::Error)]
#[error("{glob:?} picks no paths: {reason}; write such as /pets/** or /pets/{{id}}")]
pub struct NotAGlob {
    pub glob: String,
    pub reason: String,
}

impl Picks {
    /// The tools that are picked.
    pub fn of(&self, tools: Vec<Tool>) -> Result<Vec<Tool>, NotAGlob> {
        let globs = self.paths.iter().map(|glob| matcher(glob)).collect::<Result<Vec<_>, _>>()?;
        let is_picked = |tool: &Tool| {
            let tagged = |tag: &String| tool.tags.iter().any(|it| it.to_lowercase() == tag.to_lowercase());
            let named = |id: &String| *id == tool.name || tool.id.as_ref() == Some(id);
            (self.tags.is_empty() || self.tags.iter().any(tagged))
                && (self.methods.is_empty() || self.methods.contains(&tool.method))
                && (globs.is_empty() || globs.iter().any(|glob| glob.is_match(&tool.path)))
                && (self.ids.is_empty() || self.ids.iter().any(named))
        };
        Ok(tools.into_iter().filter(is_picked).collect())
    }
}

/// Braces are a path's own; they stand for no alternatives.
fn matcher(glob: &str) -> Result<GlobMatcher, NotAGlob> {
    let escaped = glob.replace('{', "[{]").replace('}', "[}]");
    let built = GlobBuilder::new(&escaped).literal_separator(true).build();
    built
        .map(|built| built.compile_matcher())
        .map_err(|error| NotAGlob { glob: glob.into(), reason: error.kind().to_string() })
}

/// What is on: whole classes, and single tools that differ from their class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switches {
    pub read: bool,
    pub write: bool,
    pub delete: bool,
    /// Names of tools that are on though their class is off.
    pub on: BTreeSet<String>,
    /// Names of tools that are off though their class is on.
    pub off: BTreeSet<String>,
}

impl Default for Switches {
    /// Whoever only reads breaks nothing.
    fn default() -> Self {
        Self { read: true, write: false, delete: false, on: BTreeSet::new(), off: BTreeSet::new() }
    }
}

impl Switches {
    pub fn is_on(&self, name: &str, class: Class) -> bool {
        let class = match class {
            Class::Read => self.read,
            Class::Write => self.write,
            Class::Delete => self.delete,
        };
        (class || self.on.contains(name)) && !self.off.contains(name)
    }

    /// Switches a class; what was said of single tools stays.
    pub fn set_class(&mut self, class: Class, on: bool) {
        match class {
            Class::Read => self.read = on,
            Class::Write => self.write = on,
            Class::Delete => self.delete = on,
        }
    }

    /// What is left of them when a changed document comes into force. That a tool is on was said of what it did then: one
    /// that does another thing to the world by the same name has to be switched on anew. One that is gone takes all that
    /// was said of it along: another may get its name.
    pub fn after(&self, before: &[Tool], after: &[Tool]) -> Self {
        let (before, after) = (classes(before), classes(after));
        let mut kept = self.clone();
        kept.on.retain(|name| after.get(name.as_str()).is_some_and(|now| before.get(name.as_str()) == Some(now)));
        kept.off.retain(|name| after.contains_key(name.as_str()));
        kept
    }

    /// Which tools of `after` would be on that nobody has allowed as they are: new ones, and those that do more than
    /// they did before.
    pub fn newly_on(&self, before: &[Tool], after: &[Tool]) -> Vec<String> {
        let before = classes(before);
        let is_new = |tool: &&Tool| before.get(tool.name.as_str()).is_none_or(|class| *class < tool.class());
        let on = after.iter().filter(|tool| self.is_on(&tool.name, tool.class()));
        on.filter(is_new).map(|tool| tool.name.clone()).collect()
    }

    pub fn set_tool(&mut self, name: &str, on: bool) {
        let (into, from) = if on { (&mut self.on, &mut self.off) } else { (&mut self.off, &mut self.on) };
        into.insert(name.to_owned());
        from.remove(name);
    }
}

fn classes(tools: &[Tool]) -> BTreeMap<&str, Class> {
    tools.iter().map(|tool| (tool.name.as_str(), tool.class())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connector::tool::import;
    use crate::openapi;

    fn tools() -> Vec<Tool> {
        let id = json!([{"name": "id", "in": "path", "required": true, "schema": {}}]);
        let text = json!({"openapi": "3.1.0", "paths": {
            "/pets": {"get": {"operationId": "list", "tags": ["Pets"]}, "post": {"operationId": "make", "tags": ["Pets"]}},
            "/pets/{id}": {"parameters": id, "get": {"operationId": "show"}},
            "/pets/{id}/toys": {"parameters": id, "delete": {"operationId": "clear"}}}});
        import("zoo", openapi::read(text.to_string().as_bytes()).unwrap()).tools
    }

    fn check(picks: Picks, expected: &[&str]) {
        let picked = picks.of(tools()).unwrap();
        assert_eq!(picked.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), expected, "{picks:?}");
    }

    #[test]
    fn operations_are_picked_by_tag_method_path_and_id() {
        let none = Picks::default();
        check(none.clone(), &["zoo_clear", "zoo_list", "zoo_make", "zoo_show"]);
        check(Picks { tags: vec!["pets".into()], ..none.clone() }, &["zoo_list", "zoo_make"]);
        check(Picks { methods: vec![Method::Get], ..none.clone() }, &["zoo_list", "zoo_show"]);
        check(Picks { paths: vec!["/pets/*".into()], ..none.clone() }, &["zoo_show"]);
        check(
            Picks { paths: vec!["/pets/{id}".into(), "/pets".into()], ..none.clone() },
            &["zoo_list", "zoo_make", "zoo_show"],
        );
        check(Picks { paths: vec!["/pets/**".into()], ..none.clone() }, &["zoo_clear", "zoo_show"]);
        check(Picks { ids: vec!["show".into(), "zoo_clear".into()], ..none.clone() }, &["zoo_clear", "zoo_show"]);
        check(Picks { tags: vec!["Pets".into()], methods: vec![Method::Post], ..none.clone() }, &["zoo_make"]);
        assert!(Picks { paths: vec!["/[".into()], ..none }.of(tools()).is_err());
    }

    #[test]
    fn what_was_said_of_a_tool_does_not_hold_for_one_that_does_another_thing_by_its_name() {
        let of = |method: &str| {
            let text = json!({"openapi": "3.1.0", "paths": {
                "/toys": {method: {"operationId": "toys"}}, "/pets": {"get": {"operationId": "pets"}}}});
            import("zoo", openapi::read(text.to_string().as_bytes()).unwrap()).tools
        };
        let mut switches = Switches::default();
        switches.set_tool("zoo_toys", true);
        switches.set_tool("zoo_pets", false);
        switches.set_tool("zoo_gone", false);
        for (before, after, is_on) in
            [("get", "head", true), ("get", "post", false), ("post", "delete", false), ("post", "put", true)]
        {
            let kept = switches.after(&of(before), &of(after));
            assert_eq!(kept.on.contains("zoo_toys"), is_on, "{before} {after}");
            assert_eq!(kept.off.iter().collect::<Vec<_>>(), ["zoo_pets"]);
        }
        // Where the whole class is on, it is told.
        let writes = Switches { write: true, ..Switches::default() };
        assert_eq!(writes.newly_on(&of("get"), &of("post")), ["zoo_toys"]);
        assert!(writes.newly_on(&of("post"), &of("get")).is_empty());
        assert!(Switches::default().newly_on(&of("get"), &of("post")).is_empty());
        assert_eq!(Switches::default().newly_on(&[], &of("get")), ["zoo_pets", "zoo_toys"]);
    }

    #[test]
    fn reads_are_on_and_the_rest_is_off_until_switched_on() {
        let mut switches = Switches::default();
        let on =
            |switches: &Switches| [Class::Read, Class::Write, Class::Delete].map(|class| switches.is_on("a", class));
        assert_eq!(on(&switches), [true, false, false]);
        switches.set_tool("a", true);
        assert_eq!(on(&switches), [true, true, true]);
        switches.set_class(Class::Write, true);
        switches.set_tool("a", false);
        assert_eq!(on(&switches), [false, false, false]);
        assert!(switches.is_on("b", Class::Write) && !switches.is_on("b", Class::Delete));
    }
}

//! Whether the files of a profile fit together: names that refer to each other, tools that have their data.

use super::file::{Files, Mistake};
use super::manifest::{ResourceKind, ToolText};
use super::page::{is_host, is_web};
use super::{COMMANDS, ERRORS, MANIFEST, PROMPTS, Profile, TEMPLATES};
use crate::base::bound::profile::PROFILE_NAME_BYTES_MAX;

/// Everything that is wrong with `profile`, in the order of its files.
pub fn mistakes(profile: &Profile, files: &Files) -> Vec<Mistake> {
    let mut found = Check { files, mistakes: Vec::new() };
    found.names(profile);
    found.facets(profile);
    found.pages(profile);
    found.sources(profile);
    found.tools(profile);
    found.data(profile);
    found.made(profile);
    found.mistakes
}

struct Check<'a> {
    files: &'a Files,
    mistakes: Vec<Mistake>,
}

impl Check<'_> {
    fn say(&mut self, file: &str, word: &str, reason: impl Into<String>) {
        self.mistakes.push(self.files.mistake_at(file, word, reason));
    }

    fn names(&mut self, profile: &Profile) {
        let name = &profile.manifest.name;
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !plain || !name.starts_with(|char: char| char.is_ascii_lowercase()) || name.len() > PROFILE_NAME_BYTES_MAX {
            let reason = format!(
                "{name:?} is no name for a profile: write 1 to {PROFILE_NAME_BYTES_MAX} of a-z 0-9, a letter first"
            );
            self.say(MANIFEST, "name", reason);
        }
        if name == "sekisho" {
            self.say(MANIFEST, "name", "\"sekisho\" is the scheme of all documents; take another name");
        }
        let mut known: Vec<&str> = Vec::new();
        let prompts = profile.prompts.prompts.iter().map(|prompt| (PROMPTS, prompt.name.as_str()));
        let tools: Vec<&ToolText> = texts(profile).into_iter().filter_map(|(_, text, _)| text).collect();
        for tool in &tools {
            if known.contains(&tool.name.as_str()) {
                self.say(MANIFEST, &tool.name, format!("two tools have the name {:?}", tool.name));
            }
            known.push(&tool.name);
        }
        for (file, word) in tools.iter().map(|tool| (MANIFEST, tool.name.as_str())).chain(prompts) {
            if word.is_empty()
                || !word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            {
                self.say(file, word, format!("{word:?} is no name for a tool or prompt: write a-z 0-9 _"));
            }
        }
    }

    fn facets(&mut self, profile: &Profile) {
        let manifest = &profile.manifest;
        let of = |name: &str| manifest.facets.iter().find(|facet| facet.name == name);
        let mut named: Vec<&str> = Vec::new();
        named.extend(manifest.fold.as_ref().map(|fold| fold.facet.as_str()));
        named.extend(manifest.platform_facet.as_deref());
        named.extend(manifest.version_facet.as_deref());
        for name in named {
            if of(name).is_none() {
                self.say(MANIFEST, &format!("\"{name}\""), format!("there is no facet {name:?} in [[facets]]"));
            }
        }
        for (name, value) in manifest.boosts.iter().filter_map(super::page::Boost::names) {
            match of(name) {
                None => self.say(MANIFEST, &format!("\"{name}\""), format!("there is no facet {name:?} in [[facets]]")),
                Some(facet) => {
                    if let Some(value) = value.filter(|value| !facet.takes(value)) {
                        let reason = format!("the facet {name:?} is never {value:?}");
                        self.say(MANIFEST, &format!("\"{value}\""), reason);
                    }
                }
            }
        }
        for (at, facet) in manifest.facets.iter().enumerate() {
            let word = format!("\"{}\"", facet.name);
            if manifest.facets.iter().take(at).any(|known| known.name == facet.name) {
                self.say(MANIFEST, &word, format!("two facets have the name {:?}", facet.name));
            }
            for reason in facet.mistakes() {
                self.say(MANIFEST, &word, reason);
            }
        }
        for facet in manifest.facets.iter().filter(|facet| facet.values.is_empty() && facet.asked.is_none()) {
            let reason =
                format!("the facet {:?} has neither values nor a pattern of what can be asked for", facet.name);
            self.say(MANIFEST, &format!("\"{}\"", facet.name), reason);
        }
    }

    /// Paths, addresses, and what is folded and weighed by them.
    fn pages(&mut self, profile: &Profile) {
        let manifest = &profile.manifest;
        for reason in manifest.sites.iter().flat_map(super::page::Site::mistakes) {
            self.say(MANIFEST, "[[sites]]", reason);
        }
        for reason in manifest.aliases.iter().filter_map(super::page::Alias::mistake) {
            self.say(MANIFEST, "[[aliases]]", reason);
        }
        for reason in manifest.boosts.iter().filter_map(super::page::Boost::mistake) {
            self.say(MANIFEST, "[[boosts]]", reason);
        }
        for reason in manifest.modules.iter().flat_map(super::module::Modules::mistakes) {
            self.say(MANIFEST, "[modules]", reason);
        }
        let Some(fold) = &manifest.fold else { return };
        for reason in fold.mistakes() {
            self.say(MANIFEST, "[fold]", reason);
        }
        let facet = manifest.facets.iter().find(|facet| facet.name == fold.facet && facet.asked.is_none());
        for value in fold.preferred() {
            if facet.is_some_and(|facet| !facet.takes(value)) {
                self.say(MANIFEST, &format!("\"{value}\""), format!("the facet {:?} is never {value:?}", fold.facet));
            }
        }
    }

    /// Where the documents are to be had.
    fn sources(&mut self, profile: &Profile) {
        let sources = &profile.manifest.sources;
        for host in &sources.hosts {
            let (name, path) = host.split_once('/').unwrap_or((host.as_str(), ""));
            if !is_host(name) || path.contains(char::is_whitespace) {
                let reason = format!("{host:?} is no host: write such as \"docs.example.org\" or \"example.org/docs\"");
                self.say(MANIFEST, &format!("\"{host}\""), reason);
            }
        }
        for start in sources.start.iter().filter(|start| !is_web(start)) {
            let reason = format!("{start:?} is no address on the web: begin with https:// and a host");
            self.say(MANIFEST, &format!("\"{start}\""), reason);
        }
    }

    fn tools(&mut self, profile: &Profile) {
        if texts(profile).iter().all(|(_, text, _)| text.is_none()) {
            self.say(MANIFEST, "[tools", "the profile has no tool: write at least [tools.search]");
        }
        for (tool, text, data) in texts(profile) {
            match (text, data) {
                (Some(_), Err(missing)) => {
                    self.say(
                        MANIFEST,
                        &format!("[tools.{tool}]"),
                        format!("this tool needs {missing}, which is not there"),
                    );
                }
                (None, Ok(Some(file))) => {
                    self.say(file, "", format!("no tool uses this: profile.toml has no [tools.{tool}]"));
                }
                _ => {}
            }
        }
        for (at, entry) in profile.manifest.resources.iter().enumerate() {
            let word = |entry: &super::manifest::ResourceEntry| entry.parts().map(|(word, _)| word.to_owned());
            if profile.manifest.resources.iter().take(at).any(|known| word(known) == word(entry)) {
                let reason = format!("two resources begin with the word of {:?}", entry.template);
                self.say(MANIFEST, &format!("\"{}\"", entry.template), reason);
            }
            let missing = match entry.kind {
                ResourceKind::Document => None,
                ResourceKind::Module => profile.manifest.modules.is_none().then_some("[modules]"),
                ResourceKind::Examples => profile.manifest.examples.is_none().then_some("[examples]"),
                ResourceKind::Template => profile.templates.is_none().then_some(TEMPLATES),
                ResourceKind::Command => profile.commands.is_none().then_some(COMMANDS),
            };
            let at = format!("\"{}\"", entry.template);
            if let Some(missing) = missing {
                self.say(MANIFEST, &at, format!("this resource needs {missing}, which is not there"));
            }
            if entry.parts().is_none() {
                self.say(MANIFEST, &at, "write a word and a variable of a-z, such as \"docs/{path}\"");
            }
        }
    }

    fn data(&mut self, profile: &Profile) {
        for operation in profile.commands.iter().flat_map(|commands| &commands.operations) {
            if operation.flags.is_empty() && operation.command.is_empty() {
                self.say(COMMANDS, &operation.name, format!("the operation {:?} has no command", operation.name));
            }
        }
        for error in profile.errors.iter().flat_map(|errors| &errors.errors) {
            for unknown in error.types().iter().filter(|kind| !profile.errors.iter().any(|it| it.types.contains(kind)))
            {
                let reason = format!("the error {:?} is of the type {unknown:?}, which is not in types", error.id);
                self.say(ERRORS, &format!("\"{}\"", error.id), reason);
            }
        }
        for prompt in &profile.prompts.prompts {
            for text in [Some(&prompt.text), prompt.search.as_ref()].into_iter().flatten() {
                for name in placeholders(text) {
                    if !prompt.arguments.iter().any(|argument| argument.name == name) {
                        let reason = format!("the prompt {:?} has no argument {name:?}", prompt.name);
                        self.say(PROMPTS, &format!("{{{name}}}"), reason);
                    }
                }
            }
        }
    }

    /// What a template makes of nothing must fit the schema that is shipped beside it.
    fn made(&mut self, profile: &Profile) {
        let Some(templates) = &profile.templates else { return };
        let values = templates.file.values(&super::template::Project::default());
        for entry in &templates.file.templates {
            let (_, Some(tree)) = templates.make(entry, &values) else { continue };
            if let Some(Err(mismatch)) = templates.schema(entry).map(|schema| schema.check(&tree)) {
                let at = if mismatch.pointer.is_empty() { "the whole" } else { &mismatch.pointer };
                let reason = format!("what it makes does not fit {:?}: {at}: {}", entry.schema, mismatch.message);
                self.mistakes.push(Mistake { file: entry.body.clone(), line: 1, reason });
            }
        }
    }
}

type Data = Result<Option<&'static str>, &'static str>;

/// Each tool with its text, and with the file of its data, if it has one, or what is missing.
fn texts(profile: &Profile) -> Vec<(&'static str, Option<&ToolText>, Data)> {
    let tools = &profile.manifest.tools;
    let of_file = |there: bool, file: &'static str| if there { Ok(Some(file)) } else { Err(file) };
    let of_table = |there: bool, table: &'static str| if there { Ok(None) } else { Err(table) };
    vec![
        ("search", tools.search.as_ref(), Ok(None)),
        ("read", tools.read.as_ref(), Ok(None)),
        ("recommend", tools.recommend.as_ref(), Ok(None)),
        ("module", tools.module.as_ref(), of_table(profile.manifest.modules.is_some(), "[modules]")),
        ("template", tools.template.as_ref(), of_file(profile.templates.is_some(), TEMPLATES)),
        ("command", tools.command.as_ref(), of_file(profile.commands.is_some(), COMMANDS)),
        ("examples", tools.examples.as_ref(), of_table(profile.manifest.examples.is_some(), "[examples]")),
        ("diagnosis", tools.diagnosis.as_ref(), of_file(profile.errors.is_some(), ERRORS)),
    ]
}

/// Names in braces.
fn placeholders(text: &str) -> Vec<&str> {
    let pieces = text.split('{').skip(1).filter_map(|piece| piece.split_once('}'));
    let is_name = |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    pieces.map(|(name, _)| name).filter(is_name).collect()
}

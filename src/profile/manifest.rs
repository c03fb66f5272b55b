//! `profile.toml`: what a profile is called, how its documents are read, and the texts of its tools.

use serde::Deserialize;

use super::facet::Facet;
use super::module::Modules;
use super::page::{Alias, Boost, Fold, PageType, Site};
use super::synonym::Synonym;

/// `profile.toml` as it is written. Nothing in it is optional that a tool stands on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Before the names of all tools, and the scheme of the resources' URIs.
    pub name: String,
    pub title: String,
    /// What the documents are about, in a sentence.
    pub about: String,
    /// Languages of the documents, such as "en".
    pub languages: Vec<String>,
    #[serde(default)]
    pub sources: Sources,
    pub sites: Vec<Site>,
    #[serde(default)]
    pub aliases: Vec<Alias>,
    /// Kinds of pages; the first that fits counts.
    #[serde(default)]
    pub types: Vec<PageType>,
    #[serde(default)]
    pub facets: Vec<Facet>,
    pub fold: Option<Fold>,
    #[serde(default)]
    pub boosts: Vec<Boost>,
    #[serde(default)]
    pub synonyms: Vec<Synonym>,
    pub modules: Option<Modules>,
    pub examples: Option<Examples>,
    /// The facet that `platform` of a tool filters by.
    pub platform_facet: Option<String>,
    /// The facet that tells the version of a page.
    pub version_facet: Option<String>,
    pub tools: Tools,
    #[serde(default)]
    pub resources: Vec<ResourceEntry>,
}

/// Where the documents are to be had. Nothing is fetched because it stands here: a source on the web must be switched on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// Hosts, with a path below which to stay, that a web source of this profile may ask.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Where reading begins.
    #[serde(default)]
    pub start: Vec<String>,
}

/// Names and texts of the tools. A tool is there if its text and its data are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    pub search: Option<ToolText>,
    pub read: Option<ToolText>,
    pub recommend: Option<ToolText>,
    pub module: Option<ToolText>,
    pub template: Option<ToolText>,
    pub command: Option<ToolText>,
    pub examples: Option<ToolText>,
    pub diagnosis: Option<ToolText>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolText {
    /// Without the profile's name.
    pub name: String,
    pub title: String,
    pub about: String,
}

/// How code is looked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    pub languages: Vec<CodeLanguage>,
    /// A page on the web where code can be run; `{code}`, `{title}`, `{package}` and `{platform}` are filled in.
    pub playground: Option<String>,
    /// Subjects that a resource can be asked for.
    #[serde(default)]
    pub categories: Vec<Category>,
}

/// A language, and what fences call it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeLanguage {
    pub name: String,
    pub fences: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    pub name: String,
    /// What is looked for.
    pub query: String,
}

/// Resources of one kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceEntry {
    pub kind: ResourceKind,
    /// What follows the scheme, such as `docs/{path}`: a word and a variable.
    pub template: String,
    pub title: String,
    pub about: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    Document,
    Module,
    Examples,
    Template,
    Command,
}

impl ResourceEntry {
    /// The word before the slash, and the variable after it.
    pub fn parts(&self) -> Option<(&str, &str)> {
        let (word, rest) = self.template.split_once('/')?;
        let variable = rest.strip_prefix('{')?.strip_suffix('}')?;
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        (plain(word) && plain(variable)).then_some((word, variable))
    }
}

/// What `prompts.toml` says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompts {
    pub prompts: Vec<PromptEntry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptEntry {
    /// Without the profile's name.
    pub name: String,
    pub title: String,
    pub about: String,
    pub arguments: Vec<PromptArgument>,
    /// What is said to the model; `{argument}` is filled in.
    pub text: String,
    /// What is looked for, so that passages stand beside the text.
    pub search: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptArgument {
    pub name: String,
    pub about: String,
    #[serde(default)]
    pub required: bool,
    pub chars_max: usize,
    /// What it can be completed to.
    #[serde(default)]
    pub values: Vec<String>,
    /// It is completed to names of modules.
    #[serde(default)]
    pub modules: bool,
}

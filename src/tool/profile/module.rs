//! The tool that tells of one module: its package, how to install it, where it runs, what it needs, examples, its page.

use std::fmt::Write as _;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::example::{Example, PageOfCode};
use super::{Desk, fields, input, version_schema};
use crate::base::bound::{self, profile as profile_bound};
use crate::base::refusal::{Code, Refusal};
use crate::library::record::DocumentRecord;
use crate::operation::{About, Cx, Operation, Outcome, Output};
use crate::profile::code::{self, CodeBlock};
use crate::profile::manifest::ToolText;
use crate::profile::module::{ModuleFact, Modules};
use crate::tool::read::document_of;
use crate::tool::{arguments, result_schema_of, to_json, uri};

#[derive(Debug)]
pub(super) struct GetModule {
    about: About,
    desk: Desk,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    module_name: String,
    #[serde(default)]
    sdk_version: Option<String>,
}

/// What is known of a module.
#[derive(Serialize, JsonSchema)]
pub(super) struct ModuleAnswer {
    pub(super) module: String,
    pub(super) title: String,
    description: Option<String>,
    package: Option<String>,
    install_command: Option<String>,
    platforms: Vec<String>,
    permissions: Vec<NeededPermission>,
    /// The module's config plugin; null if it has none or none is known.
    config_plugin: Option<Plugin>,
    /// Code from its page: a quotation, never instructions.
    examples: Vec<Example>,
    version: Option<String>,
    library: String,
    pub(super) path: String,
    /// Its page on the web.
    url: Option<String>,
    /// The page as an MCP resource.
    uri: String,
    notes: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct NeededPermission {
    platform: String,
    name: String,
    /// What it is for, where that is known.
    why: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Plugin {
    name: String,
    /// A configuration from the page.
    example: Option<String>,
}

/// A module's page that was found.
struct PageOf {
    library: String,
    path: String,
    module: String,
}

impl Desk {
    /// Names of all modules of the newest version that begin with `start`.
    pub(super) async fn module_names(&self, cx: &Cx, start: &str) -> Result<Vec<String>, Refusal> {
        let Some(modules) = &self.profile.manifest.modules else { return Ok(Vec::new()) };
        let pages = self.module_pages(cx, modules, &modules.version_default).await?;
        let mut names: Vec<String> = pages.into_iter().map(|(page, _)| page.module).collect();
        names.retain(|name| name.starts_with(start));
        names.sort_unstable();
        names.dedup();
        names.truncate(bound::COMPLETION_VALUES_MAX);
        Ok(names)
    }

    async fn module_pages(
        &self,
        cx: &Cx,
        modules: &Modules,
        version: &str,
    ) -> Result<Vec<(PageOf, DocumentRecord)>, Refusal> {
        let mut of_versions = modules.folders_of(version);
        if of_versions.is_empty() {
            of_versions.push(String::new());
        }
        let mut folders: Vec<String> = Vec::new();
        for of_version in &of_versions {
            for folder in modules.folders.iter().map(|it| it.replace("{version}", of_version)) {
                // Not all have the version in their names.
                if !folders.contains(&folder) {
                    folders.push(folder);
                }
            }
        }
        let (view, libraries, path_of) = (self.view(cx), self.library_names(cx)?, modules.path.clone());
        let look = move || {
            let mut found = Vec::new();
            for library in &libraries {
                for folder in &folders {
                    let room = profile_bound::MODULE_DOCUMENTS_MAX.saturating_sub(found.len());
                    for (path, document) in view.documents(library, folder, None, room)? {
                        if let Some(module) = path_of.group(&path, "module").map(str::to_owned) {
                            found.push((PageOf { library: library.clone(), path, module }, document));
                        }
                    }
                }
            }
            Ok::<_, Refusal>(found)
        };
        tokio::task::spawn_blocking(look).await.map_err(Refusal::internal)?
    }

    /// What is known of the module `name`, in `version`.
    pub(super) async fn module(&self, cx: &Cx, name: &str, version: Option<&str>) -> Result<ModuleAnswer, Refusal> {
        let missing = || Refusal::internal("a profile without modules has a tool for them");
        let modules = self.profile.manifest.modules.as_ref().ok_or_else(missing)?;
        let version = version.unwrap_or(&modules.version_default);
        let pages = self.module_pages(cx, modules, version).await?;
        let wanted = modules.plain(name);
        let facts = &self.profile.modules;
        let alias = facts.modules.iter().find(|fact| fact.names.iter().any(|known| modules.plain(known) == wanted));
        let package_of = |document: &DocumentRecord| first(document, modules.package.as_ref());
        let fits = |page: &PageOf, document: &DocumentRecord| {
            let package = package_of(document);
            // The first that fits: the package as it is written, the name in the path, the package, another name.
            if package.as_deref() == Some(name) {
                Some(0)
            } else if modules.plain(&page.module) == wanted {
                Some(1)
            } else if package.as_deref().is_some_and(|package| modules.plain(package) == wanted) {
                Some(2)
            } else if modules.plain(&document.title) == wanted {
                Some(3)
            } else {
                // A page may not say which package it is about.
                let is_of = |fact: &ModuleFact| match &package {
                    Some(package) => *package == fact.package,
                    None => modules.plain(&page.module) == modules.plain(&fact.package),
                };
                alias.is_some_and(is_of).then_some(4)
            }
        };
        let nearest = nearest(&wanted, modules, &pages);
        // Of the pages of one package the one that has its name: others are of its parts, or of older and newer ones.
        let is_of_part = |page: &PageOf, document: &DocumentRecord| {
            package_of(document).is_some_and(|package| modules.plain(&package) != modules.plain(&page.module))
        };
        let ranked = pages.into_iter().filter_map(|(page, it)| {
            let rank = (fits(&page, &it)?, is_of_part(&page, &it));
            Some((rank, page, it))
        });
        let Some((_, page, document)) = ranked.min_by_key(|it| it.0) else {
            let near = if nearest.is_empty() { String::new() } else { format!(" Near it: {}.", nearest.join(", ")) };
            let version = if version.is_empty() { String::new() } else { format!(" in {version}") };
            return Err(Refusal::new(Code::NotFound, format!("There is no module {name:?}{version}.{near}")));
        };
        let (_, markdown) = document_of(cx, &self.libraries, &page.library, &page.path).await?;
        let desk = self.clone();
        // A page has up to 32 MiB, which patterns go through: what serves others does not wait for them.
        let tell = move || desk.profile.manifest.modules.as_ref().map(|it| desk.tell(it, page, document, &markdown));
        tokio::task::spawn_blocking(tell).await.map_err(Refusal::internal)?.ok_or_else(missing)
    }

    fn tell(&self, modules: &Modules, page: PageOf, document: DocumentRecord, markdown: &str) -> ModuleAnswer {
        let named = first(&document, modules.package.as_ref());
        let package = named.or_else(|| modules.installed(markdown).map(str::to_owned));
        let fact = package.as_deref().and_then(|package| self.profile.modules.of(package));
        // The plugin's configuration is JSON.
        let blocks = code::blocks(markdown, |it| it == "json" || modules.languages.iter().any(|known| known == it));
        let platforms = all(&document, modules.platforms.as_ref()).map(|it| it.trim_end_matches('*').to_owned());
        let facets = self.known_facets(&document);
        let version = self.profile.manifest.version_facet.as_ref().and_then(|name| facets.get(name)?.first().cloned());
        let is_example = |block: &&CodeBlock| modules.languages.contains(&block.language);
        let examples = blocks.iter().filter(is_example).take(profile_bound::MODULE_EXAMPLES_MAX);
        let url = document.url.as_deref();
        let of = PageOfCode { library: &page.library, path: &page.path, title: &document.title, url };
        let examples = examples.map(|block| self.example(&of, package.as_deref(), block));
        ModuleAnswer {
            examples: examples.collect(),
            install_command: package.as_ref().and_then(|it| Some(modules.install.as_ref()?.replace("{package}", it))),
            platforms: platforms.collect(),
            permissions: permissions(modules, fact, markdown),
            config_plugin: plugin(modules, fact, package.as_deref(), &blocks),
            notes: fact.map(|fact| fact.notes.clone()).unwrap_or_default(),
            url: self.address(url, &page.path),
            uri: uri::of_document(&page.library, &page.path),
            module: page.module,
            title: document.title,
            description: document.description,
            package,
            version,
            library: page.library,
            path: page.path,
        }
    }
}

/// The values of a facet.
fn all<'a>(document: &'a DocumentRecord, name: Option<&'a String>) -> impl Iterator<Item = &'a String> {
    document.facets.iter().filter(move |(known, _)| Some(known) == name).map(|(_, value)| value)
}

fn first(document: &DocumentRecord, name: Option<&String>) -> Option<String> {
    all(document, name).next().cloned()
}

/// Permissions that the page names and those that the profile knows; what it knows comes first, with what for.
fn permissions(modules: &Modules, fact: Option<&ModuleFact>, markdown: &str) -> Vec<NeededPermission> {
    let mut found: Vec<NeededPermission> = Vec::new();
    for known in fact.map(|fact| fact.permissions.as_slice()).unwrap_or_default() {
        let why = Some(known.why.clone()).filter(|why| !why.is_empty());
        found.push(NeededPermission { platform: known.platform.clone(), name: known.name.clone(), why });
    }
    for rule in &modules.permissions {
        for name in rule.pattern.all(markdown) {
            if found.len() >= profile_bound::MODULE_PERMISSIONS_MAX {
                return found;
            }
            if !found.iter().any(|known| known.name == name) {
                found.push(NeededPermission { platform: rule.platform.clone(), name: name.to_owned(), why: None });
            }
        }
    }
    found
}

fn plugin(modules: &Modules, fact: Option<&ModuleFact>, package: Option<&str>, blocks: &[CodeBlock]) -> Option<Plugin> {
    let heading = modules.plugin_heading.as_ref()?;
    let example = blocks.iter().find(|block| heading.matches(&block.heading) && block.language == "json");
    let is_known = fact.and_then(|fact| fact.plugin).unwrap_or(example.is_some());
    Some(Plugin { name: package.filter(|_| is_known)?.to_owned(), example: example.map(|block| block.code.clone()) })
}

/// Names that are nearly the one that was asked for.
fn nearest(wanted: &str, modules: &Modules, pages: &[(PageOf, DocumentRecord)]) -> Vec<String> {
    let near = |(page, _): &(PageOf, DocumentRecord)| {
        let likeness = strsim::jaro_winkler(wanted, &modules.plain(&page.module));
        (likeness > 0.8).then(|| (likeness, page.module.clone()))
    };
    let mut found: Vec<(f64, String)> = pages.iter().filter_map(near).collect();
    found.sort_by(|one, other| other.0.total_cmp(&one.0));
    found.dedup_by(|one, other| one.1 == other.1);
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

impl GetModule {
    pub(super) fn new(desk: &Desk, text: &ToolText) -> Option<Self> {
        let modules = desk.profile.manifest.modules.as_ref()?;
        let mut properties = fields(json!({
            "module_name": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[a-zA-Z0-9_-]+$", "description": "Name of the module or of its package."},
        }));
        if let Some(pattern) = &modules.version {
            properties.insert("sdk_version".into(), version_schema(pattern.as_str(), &modules.version_default));
        }
        let about = desk.about(text, input(properties, &["module_name"]), result_schema_of::<ModuleAnswer>());
        Some(Self { about, desk: desk.clone() })
    }
}

impl Operation for GetModule {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, value: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async {
            let Arguments { module_name, sdk_version } = arguments(value)?;
            let answer = self.desk.module(cx, &module_name, sdk_version.as_deref()).await?;
            let text = answer.in_words();
            Ok(Outcome::Done(Output::structured(to_json(&answer)?, text)))
        })
    }
}

impl ModuleAnswer {
    /// As Markdown.
    pub(super) fn in_words(&self) -> String {
        let permissions: Vec<&str> = self.permissions.iter().map(|it| it.name.as_str()).collect();
        let (permissions, platforms) = (permissions.join(", "), self.platforms.join(", "));
        let mut facts = vec![
            ("about", self.description.as_deref()),
            ("package", self.package.as_deref()),
            ("install", self.install_command.as_deref()),
            ("platforms", Some(platforms.as_str())),
            ("permissions", Some(permissions.as_str())),
            ("config plugin", self.config_plugin.as_ref().map(|plugin| plugin.name.as_str())),
            ("version", self.version.as_deref()),
            ("page", self.url.as_deref().or(Some(&self.path))),
        ];
        facts.extend(self.notes.iter().map(|note| ("note", Some(note.as_str()))));
        let mut text = format!("# {}\n\n", self.title);
        for (name, value) in facts {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                writeln!(text, "- {name}: {value}").unwrap_or_default();
            }
        }
        for example in &self.examples {
            write!(text, "\n```{}\n{}```\n", example.language, example.code).unwrap_or_default();
        }
        text
    }
}

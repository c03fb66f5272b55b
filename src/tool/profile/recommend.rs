//! The tool `recommend` of a profile: pages that belong to a piece of work, each with the reason.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::find::Wanted;
use super::search::Found;
use super::{Desk, fields, input};
use crate::base::bound::profile as bound;
use crate::base::refusal::Refusal;
use crate::operation::{About, Cx, Operation, Outcome, Output};
use crate::profile::manifest::ToolText;
use crate::profile::page;
use crate::search::Hit;
use crate::tool::read::document_of;
use crate::tool::{arguments, result_schema_of, to_json, uri};

/// Pages whose links are followed.
const LINKING_PAGES: usize = 3;
/// Words that a reason names.
const WORDS_NAMED: usize = 6;

#[derive(Debug)]
pub(super) struct Recommend {
    about: About,
    desk: Desk,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    context: String,
    #[serde(default = "five")]
    max_results: usize,
    #[serde(default)]
    platform: Option<String>,
}

fn five() -> usize {
    5
}

#[derive(Serialize, JsonSchema)]
struct Answer {
    /// Pages, the most useful first.
    recommendations: Vec<Recommendation>,
}

#[derive(Serialize, JsonSchema)]
struct Recommendation {
    #[serde(flatten)]
    page: Found,
    /// Why it is here.
    reason: String,
}

impl Recommend {
    pub(super) fn new(desk: &Desk, text: &ToolText) -> Self {
        let mut properties = fields(json!({
            "context": {"type": "string", "minLength": 1, "maxLength": bound::CONTEXT_CHARS_MAX, "description": "What you are working on, in any words."},
            "max_results": {"type": "integer", "minimum": 1, "maximum": bound::RECOMMENDATIONS_MAX, "default": 5},
        }));
        desk.with_platform(&mut properties, "Only pages for this platform, or for all.");
        let about = desk.about(text, input(properties, &["context"]), result_schema_of::<Answer>());
        Self { about, desk: desk.clone() }
    }

    async fn recommend(&self, cx: &Cx, asked: Arguments) -> Result<Answer, Refusal> {
        let wanted = Wanted {
            text: asked.context,
            platform: asked.platform,
            pages: asked.max_results.max(LINKING_PAGES),
            ..Wanted::default()
        };
        let hits = self.desk.find(cx, &wanted).await?.hits;
        let linked = self.linked(cx, &hits).await?;
        // One place of three is for a page that the best ones lead to: it may have none of the words.
        let for_links = linked.len().min(asked.max_results / 3);
        let mut recommendations: Vec<Recommendation> = Vec::new();
        for hit in hits.into_iter().take(asked.max_results - for_links) {
            let reason = reason(&hit);
            recommendations.push(Recommendation { page: self.desk.found(hit), reason });
        }
        recommendations.extend(linked.into_iter().take(for_links));
        Ok(Answer { recommendations })
    }

    /// Pages that more than one of the best hits lead to, and that are none of them.
    async fn linked(&self, cx: &Cx, hits: &[Hit]) -> Result<Vec<Recommendation>, Refusal> {
        let manifest = &self.desk.profile.manifest;
        let mut leading: HashMap<String, Vec<&str>> = HashMap::new();
        let mut order = Vec::new();
        for hit in hits.iter().take(LINKING_PAGES) {
            let (_, markdown) = document_of(cx, &self.desk.libraries, &hit.library, &hit.path).await?;
            // A page has up to 32 MiB: what serves others does not wait for them.
            let targets = tokio::task::spawn_blocking(move || links(&markdown)).await.map_err(Refusal::internal)?;
            for target in targets {
                let sources = leading.entry(target.clone()).or_default();
                if sources.is_empty() {
                    order.push(target);
                }
                if !sources.contains(&hit.title.as_str()) {
                    sources.push(&hit.title);
                }
            }
        }
        let mut found = Vec::new();
        let Some(library) = hits.first().map(|hit| hit.library.clone()) else { return Ok(found) };
        for target in order {
            let Some(sources) = leading.get(&target).filter(|sources| sources.len() > 1) else { continue };
            let paths = page::paths(&manifest.sites, &manifest.aliases, &target).into_iter();
            let candidates = paths.map(|path| (library.clone(), path)).collect();
            // Looked up before it is opened: what is opened counts, and a page may have many names.
            let Some((_, path)) = self.desk.first_of(cx, candidates).await? else { continue };
            if hits.iter().any(|hit| hit.path == path) {
                continue;
            }
            let Ok((document, _)) = document_of(cx, &self.desk.libraries, &library, &path).await else { continue };
            let reason = format!(
                "{} link to it",
                sources.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(" and ")
            );
            let page = Found {
                url: self.desk.address(document.url.as_deref(), &path),
                uri: uri::of_document(&library, &path),
                snippet: document.description.clone().unwrap_or_default(),
                title: document.title.clone(),
                trail: Vec::new(),
                library: library.clone(),
                score: 0.0,
                facets: self.desk.known_facets(&document),
                path,
            };
            found.push(Recommendation { page, reason });
            if found.len() >= LINKING_PAGES {
                break;
            }
        }
        Ok(found)
    }
}

/// Links within the site, without their sections, each once; the first [`bound::PAGE_LINKS_MAX`] of them.
fn links(markdown: &str) -> Vec<String> {
    let mut known: HashSet<&str> = HashSet::new();
    let targets =
        markdown.split("](").skip(1).map(|piece| piece.split([')', ' ', '#', '?']).next().unwrap_or_default());
    let within = targets.filter(|it| it.starts_with('/') && (2..=bound::ADDRESS_CHARS_MAX).contains(&it.len()));
    within.filter(|it| known.insert(it)).take(bound::PAGE_LINKS_MAX).map(str::to_owned).collect()
}

/// Whether a word says what a page is about. The search weighs all words; a reason names those that tell something.
fn tells(word: &str) -> bool {
    const SMALL: [&str; 12] =
        ["also", "from", "have", "into", "need", "that", "them", "this", "want", "when", "will", "with"];
    !word.is_ascii() || (word.len() > 3 && !SMALL.contains(&word))
}

/// Which words of the context a page has, and where.
fn reason(hit: &Hit) -> String {
    let mut words: Vec<String> = Vec::new();
    for range in &hit.highlights {
        let word = hit.snippet.get(range.clone()).unwrap_or_default().to_lowercase();
        if tells(&word) && !words.contains(&word) {
            words.push(word);
        }
    }
    words.truncate(WORDS_NAMED);
    let place = match hit.trail.last().filter(|heading| **heading != hit.title) {
        Some(heading) => format!("its section \"{heading}\""),
        None => "its beginning".to_owned(),
    };
    if words.is_empty() { format!("{place} is about this") } else { format!("{place} speaks of {}", words.join(", ")) }
}

impl Operation for Recommend {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, value: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async {
            let answer = self.recommend(cx, arguments(value)?).await?;
            let mut text = String::new();
            for (number, one) in (1..).zip(&answer.recommendations) {
                let address = one.page.url.as_deref().unwrap_or(&one.page.path);
                writeln!(text, "{number}. {}\n   {address}\n   {}", one.page.title, one.reason).unwrap_or_default();
            }
            if text.is_empty() {
                text.push_str("No page fits. Say more, or leave the platform out.");
            }
            Ok(Outcome::Done(Output::structured(to_json(&answer)?, text)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_words_are_no_reason() {
        assert!(tells("camera") && tells("茶"));
        assert!(!tells("the") && !tells("with") && !tells(""));
    }

    #[test]
    fn links_within_the_site_are_told_once() {
        let text = "[a](/guides/a/#x) [b](https://b.example) ![c](/c.png \"t\") [a](/guides/a/) [top](/) [d](d.md)";
        assert_eq!(links(text), ["/guides/a/", "/c.png"]);
        let many: String = (0..2 * bound::PAGE_LINKS_MAX).map(|it| format!("[a](/{it}) [b](/{it})")).collect();
        assert_eq!(links(&many).len(), bound::PAGE_LINKS_MAX);
        assert!(links(&format!("[a](/{})", "x".repeat(2 * bound::ADDRESS_CHARS_MAX))).is_empty());
    }
}

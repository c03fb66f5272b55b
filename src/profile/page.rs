//! Where a document stands on the web, what kind of page it is, and which versions of it are one page.

use serde::Deserialize;

use super::pattern::Pattern;

/// How paths and addresses belong together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The paths that this is about; its groups can stand in `address`.
    pub path: Pattern,
    /// The address of the page.
    pub address: String,
    /// The addresses that this is about; the first group goes into `files`.
    pub read: Pattern,
    /// Paths that a page may have, the likeliest first; `{}` is what `read` found.
    pub files: Vec<String>,
}

/// A part of an address that stands for another.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    from: Pattern,
    to: String,
}

/// A kind of page, such as a guide or a reference.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageType {
    pub name: String,
    path: Pattern,
}

/// Versions of a page that are shown as one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// What of a path only says the version.
    path: Pattern,
    /// Who asks for this facet wants to see versions.
    pub facet: String,
    /// Values of the facet, the one to show first.
    prefer: Vec<String>,
    /// How a query names a version, in words.
    mention: Option<Mention>,
}

/// A version that a query names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mention {
    pattern: Pattern,
    /// The facet's value, by the pattern's groups.
    value: String,
    /// What the score of its pages is multiplied by.
    pub factor: f32,
}

/// A factor for pages that are to stand higher or lower.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boost {
    path: Option<Pattern>,
    facet: Option<String>,
    value: Option<String>,
    pub factor: f32,
}

impl Boost {
    /// Whether it is about a document with this path and these facets.
    pub fn fits(&self, path: &str, facets: &[(String, String)]) -> bool {
        let by_path = self.path.as_ref().is_none_or(|pattern| pattern.matches(path));
        let wanted = self.facet.as_ref().zip(self.value.as_ref());
        by_path && wanted.is_none_or(|wanted| facets.iter().any(|(name, value)| wanted == (name, value)))
    }

    /// The facet that it names, and the value.
    pub fn names(&self) -> Option<(&str, Option<&str>)> {
        Some((self.facet.as_deref()?, self.value.as_deref()))
    }
}

impl Fold {
    /// The page that `path` is a version of.
    pub fn page(&self, path: &str) -> String {
        self.path.replace(path, "")
    }

    /// The version that a query names, and what the score of its pages is multiplied by.
    pub fn mentioned(&self, query: &str) -> Option<(String, f32)> {
        let mention = self.mention.as_ref()?;
        Some((mention.pattern.expand(query, &mention.value)?, mention.factor))
    }

    /// Whether a document is of the version `value`.
    pub fn is_of(&self, facets: &[(String, String)], value: &str) -> bool {
        facets.iter().any(|(name, known)| *name == self.facet && known == value)
    }

    /// The smaller, the rather it is shown.
    pub fn rank(&self, facets: &[(String, String)], mentioned: Option<&str>) -> usize {
        if mentioned.is_some_and(|value| self.is_of(facets, value)) {
            return 0;
        }
        1 + self.prefer.iter().position(|wanted| self.is_of(facets, wanted)).unwrap_or(self.prefer.len())
    }
}

/// The address of the document at `path`.
pub fn address(sites: &[Site], path: &str) -> Option<String> {
    sites.iter().find_map(|site| {
        let address = site.path.expand(path, &site.address)?;
        // An index page has nothing between two slashes.
        let (scheme, rest) = address.split_once("://")?;
        Some(format!("{scheme}://{}", rest.replace("//", "/")))
    })
}

/// Paths that a document with this address, or this path, may have; the likeliest first.
pub fn paths(sites: &[Site], aliases: &[Alias], asked: &str) -> Vec<String> {
    let bare = asked.split(['?', '#']).next().unwrap_or_default();
    let mut found: Vec<String> = Vec::new();
    let mut add = |path: String| {
        if !path.is_empty() && !found.contains(&path) {
            found.push(path);
        }
    };
    if !bare.contains("://") {
        add(alias(aliases, bare.trim_start_matches('/')));
    }
    for site in sites {
        let Some(slug) = site.read.expand(bare, "$1") else { continue };
        let written = slug.trim_matches('/');
        // A mirror of the site may have the other name.
        for slug in [alias(aliases, written).as_str(), written] {
            let slug = slug.trim_end_matches('/');
            for file in &site.files {
                let path = file.replace("{}", slug);
                add(path.trim_start_matches('/').to_owned());
            }
        }
    }
    found
}

fn alias(aliases: &[Alias], slug: &str) -> String {
    let one = aliases.iter().find(|alias| alias.from.matches(slug));
    one.map_or_else(|| slug.to_owned(), |alias| alias.from.replace(slug, &alias.to))
}

/// What kind of page stands at `path`.
pub fn page_type<'a>(types: &'a [PageType], path: &str) -> Option<&'a str> {
    types.iter().find(|kind| kind.path.matches(path)).map(|kind| kind.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        sites: Vec<Site>,
        aliases: Vec<Alias>,
        fold: Fold,
        boosts: Vec<Boost>,
    }

    fn holder() -> Holder {
        toml::from_str(
            r#"
            aliases = [{ from = '^versions/latest/', to = "versions/v3/" }]
            fold = { path = '^versions/[^/]+/', facet = "version", prefer = ["latest", "v2"], mention = { pattern = '(?i)version (\d)', value = "v$1", factor = 2.0 } }
            boosts = [{ path = '^old/', factor = 0.5 }, { facet = "version", value = "latest", factor = 2.0 }]
            [[sites]]
            path = '^(?:md/)?(.*?)(?:index)?\.mdx?$'
            address = "https://docs.example.org/$1/"
            read = '^(?:https?://docs\.example\.org)?/?([^:]*)$'
            files = ["{}.md", "md/{}.md", "{}/index.md"]
            "#,
        )
        .unwrap()
    }

    #[test]
    fn a_path_has_an_address_and_an_address_paths() {
        let Holder { sites, aliases, .. } = holder();
        assert_eq!(address(&sites, "md/guides/a.md").unwrap(), "https://docs.example.org/guides/a/");
        assert_eq!(address(&sites, "guides/index.md").unwrap(), "https://docs.example.org/guides/");
        assert_eq!(address(&sites, "index.md").unwrap(), "https://docs.example.org/");
        assert_eq!(address(&sites, "a.pdf"), None);
        let check = |asked: &str, expect: &[&str]| assert_eq!(paths(&sites, &aliases, asked)[..], *expect, "{asked}");
        check(
            "https://docs.example.org/versions/latest/camera/?x#usage",
            &[
                "versions/v3/camera.md",
                "md/versions/v3/camera.md",
                "versions/v3/camera/index.md",
                "versions/latest/camera.md",
                "md/versions/latest/camera.md",
                "versions/latest/camera/index.md",
            ],
        );
        check("a.md", &["a.md", "a.md.md", "md/a.md.md", "a.md/index.md"]);
        check("/guides/a/", &["guides/a/", "guides/a.md", "md/guides/a.md", "guides/a/index.md"]);
        check("https://elsewhere.org/a", &[]);
        check("", &[".md", "md/.md", "index.md"]);
    }

    #[test]
    fn versions_are_one_page_and_boosts_fit() {
        let Holder { fold, boosts, .. } = holder();
        let facets = |value: &str| vec![("version".to_owned(), value.to_owned())];
        assert_eq!(fold.page("versions/v2/sdk/a.md"), fold.page("versions/v3/sdk/a.md"));
        assert!(fold.rank(&facets("latest"), None) < fold.rank(&facets("v2"), None));
        assert!(fold.rank(&facets("v2"), None) < fold.rank(&facets("v1"), None));
        assert_eq!(fold.mentioned("a of Version 2"), Some(("v2".to_owned(), 2.0)));
        assert_eq!(fold.mentioned("a2"), None);
        assert!(fold.rank(&facets("v2"), Some("v2")) < fold.rank(&facets("latest"), Some("v2")));
        let fits = |path: &str, value: &str| -> Vec<bool> {
            boosts.iter().map(|boost| boost.fits(path, &facets(value))).collect()
        };
        assert_eq!(fits("old/a.md", "v2"), [true, false]);
        assert_eq!(fits("a.md", "latest"), [false, true]);
    }
}

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

impl Site {
    /// What is wrong with how paths and addresses belong together.
    pub fn mistakes(&self) -> Vec<String> {
        let mut told = Vec::new();
        if let Some(group) = self.path.lacks(&self.address) {
            told.push(format!("the address {:?} names the group {group:?}, which its path lacks", self.address));
        }
        if !is_web(&self.address) {
            told.push(format!("{:?} is no address on the web: begin with https:// and a host", self.address));
        }
        if let Some(group) = self.read.lacks("$1") {
            told.push(format!("{:?} has no group {group:?}, which goes into files", self.read.as_str()));
        }
        if self.files.is_empty() {
            told.push("files is empty: write where a page may stand, such as \"{}.md\"".to_owned());
        }
        for file in self.files.iter().filter(|file| !file.contains("{}")) {
            told.push(format!("{file:?} has no {{}}, where what was read of the address goes"));
        }
        told
    }
}

impl Alias {
    /// What is wrong with it.
    pub fn mistake(&self) -> Option<String> {
        let group = self.from.lacks(&self.to)?;
        Some(format!("the alias {:?} names the group {group:?}, which its pattern lacks", self.to))
    }
}

/// Whether this is an address of a page on the web, as far as one sees by its look.
pub fn is_web(address: &str) -> bool {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    rest.is_some_and(|rest| is_host(rest.split(['/', '?', '#']).next().unwrap_or_default()))
        && !address.contains(|char: char| char.is_whitespace() || char.is_control())
}

/// Whether this is a host, with its port where it has one.
pub fn is_host(text: &str) -> bool {
    let is_of_host = |char: char| char.is_alphanumeric() || ".-:[]".contains(char);
    text.starts_with(|char: char| char.is_alphanumeric() || char == '[') && text.chars().all(is_of_host)
}

/// Whether a score can be multiplied by it.
fn is_factor(factor: f32) -> bool {
    factor.is_finite() && factor > 0.0
}

impl Boost {
    /// What is wrong with it.
    pub fn mistake(&self) -> Option<String> {
        if !is_factor(self.factor) {
            return Some(format!("a boost has the factor {}: write a number above 0", self.factor));
        }
        match (&self.path, &self.facet, &self.value) {
            (None, None, None) => Some("a boost is of no page: write a path, or a facet and its value".to_owned()),
            (_, Some(_), None) | (_, None, Some(_)) => {
                Some("a boost by a facet needs both, facet and value".to_owned())
            }
            _ => None,
        }
    }

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
    /// What is wrong with it.
    pub fn mistakes(&self) -> Vec<String> {
        let mut told = Vec::new();
        if let Some(mention) = &self.mention {
            if !is_factor(mention.factor) {
                told.push(format!("a version that a query names has the factor {}: write one above 0", mention.factor));
            }
            if let Some(group) = mention.pattern.lacks(&mention.value) {
                told.push(format!("{:?} names the group {group:?}, which its pattern lacks", mention.value));
            }
        }
        told
    }

    /// Values of its facet, the one to show first.
    pub fn preferred(&self) -> &[String] {
        &self.prefer
    }

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

/// What of the address of the document at `path` names the page, such as `guides/monorepos`: [`paths`] finds it again.
pub fn slug(sites: &[Site], path: &str) -> Option<String> {
    let address = address(sites, path)?;
    let (_, rest) = address.split_once("://")?;
    let (_, slug) = rest.split_once('/')?;
    Some(slug.trim_matches('/').to_owned()).filter(|slug| !slug.is_empty())
}

/// What the paths of documents begin with whose [`slug`] begins with `start`.
pub fn starts(sites: &[Site], start: &str) -> Vec<String> {
    let files = sites.iter().flat_map(|site| &site.files).filter_map(|file| file.split_once("{}"));
    let mut found: Vec<String> = files.map(|(before, _)| format!("{before}{start}")).collect();
    found.sort_unstable();
    found.dedup();
    found
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
        assert_eq!(slug(&sites, "md/guides/a.md").unwrap(), "guides/a");
        assert!(paths(&sites, &aliases, "guides/a").contains(&"md/guides/a.md".to_owned()));
        assert_eq!((slug(&sites, "index.md"), slug(&sites, "a.pdf")), (None, None));
        assert_eq!(starts(&sites, "gui"), ["gui", "md/gui"]);
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

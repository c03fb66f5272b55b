//! Known error messages: which cause a message speaks of, and what to do.

use serde::Deserialize;

use super::pattern::Pattern;

/// What `errors.toml` says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// Kinds of errors that can be named.
    pub types: Vec<String>,
    pub errors: Vec<KnownError>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownError {
    pub id: String,
    /// Any of them fits the message.
    patterns: Vec<Pattern>,
    /// Kinds of errors that it is; none named: any.
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    platforms: Vec<String>,
    pub cause: String,
    pub steps: Vec<String>,
    #[serde(default)]
    pub pages: Vec<String>,
}

/// A known error that fits.
#[derive(Clone, Debug)]
pub struct Fitting<'a> {
    pub error: &'a KnownError,
    /// 0 to 1.
    pub confidence: f32,
    /// What of the message it was known by.
    pub matched: String,
}

impl KnownError {
    /// Kinds of errors that it is.
    pub fn types(&self) -> &[String] {
        &self.types
    }
}

impl Errors {
    /// Known errors that fit `message`, the likeliest first. The longer the piece of the message that fits, the likelier
    /// it is; a kind or platform that does not fit makes it less so and excludes nothing, for whoever asks may be wrong.
    pub fn diagnose(&self, message: &str, kind: Option<&str>, platform: Option<&str>) -> Vec<Fitting<'_>> {
        let mut found: Vec<Fitting<'_>> = Vec::new();
        for error in &self.errors {
            let longest =
                error.patterns.iter().filter_map(|pattern| pattern.span(message)).max_by_key(ExactSizeIterator::len);
            let Some(span) = longest else { continue };
            let matched = message.get(span).unwrap_or_default().to_owned();
            let chars = u16::try_from(matched.chars().count().min(40)).unwrap_or(40);
            let mut confidence = 0.6 + 0.3 * f32::from(chars) / 40.0;
            let suits = |known: &[String], asked: Option<&str>| match asked {
                Some(asked) if !known.is_empty() => Some(known.iter().any(|it| it == asked)),
                _ => None,
            };
            for suited in [suits(&error.types, kind), suits(&error.platforms, platform)] {
                confidence += match suited {
                    Some(true) => 0.05,
                    Some(false) => -0.15,
                    None => 0.0,
                };
            }
            found.push(Fitting { error, confidence, matched });
        }
        found.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_match_is_the_likelier_cause() {
        let errors: Errors = toml::from_str(
            r#"
            types = ["build", "runtime"]
            [[errors]]
            id = "short"
            patterns = ['(?i)failed']
            cause = "c"
            steps = ["s"]
            [[errors]]
            id = "long"
            patterns = ['nothing', '(?i)gradle build daemon disappeared']
            types = ["build"]
            platforms = ["android"]
            cause = "c"
            steps = ["s"]
            "#,
        )
        .unwrap();
        let ids = |message: &str, kind: Option<&str>, platform: Option<&str>| -> Vec<String> {
            errors.diagnose(message, kind, platform).into_iter().map(|it| it.error.id.clone()).collect()
        };
        let message = "Build FAILED: Gradle build daemon disappeared unexpectedly";
        assert_eq!(ids(message, None, None), ["long", "short"]);
        assert_eq!(ids(message, Some("runtime"), Some("ios")), ["short", "long"]);
        assert!(ids("all is well", None, None).is_empty());
        assert_eq!(errors.diagnose(message, None, None)[0].matched, "Gradle build daemon disappeared");
    }
}

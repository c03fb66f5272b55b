//! Modules of a library: which page is about one, and what that page and the profile's facts say of it.

use serde::Deserialize;

use super::pattern::Pattern;

/// How modules are found among the documents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modules {
    /// Paths of pages about a module; the group `module` is its name in the path.
    pub path: Pattern,
    /// Folders that are looked through, `{version}` being the version's folder.
    pub folders: Vec<String>,
    /// Which folder a version that is asked for has.
    #[serde(default)]
    versions: Vec<Version>,
    /// What a version that is asked for looks like; without it there are no versions.
    pub version: Option<Pattern>,
    /// The version that is taken if none is asked for.
    #[serde(default)]
    pub version_default: String,
    /// Key of the front matter with the package's name.
    pub package: Option<String>,
    /// Key of the front matter with the platforms.
    pub platforms: Option<String>,
    /// What of a name does not count when names are compared.
    pub strip: Option<Pattern>,
    /// The command that installs it, `{package}` being the package.
    pub install: Option<String>,
    /// Headings of the section with an example of the configuration.
    pub plugin_heading: Option<Pattern>,
    #[serde(default)]
    pub permissions: Vec<PermissionRule>,
    /// Languages of code blocks that are examples.
    #[serde(default)]
    pub languages: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    asked: Pattern,
    folder: String,
}

/// How a permission's name looks in a page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermissionRule {
    pub platform: String,
    pub pattern: Pattern,
}

/// What is known of modules beside their pages.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleFacts {
    #[serde(default)]
    pub modules: Vec<ModuleFact>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleFact {
    pub package: String,
    /// Other names of it.
    #[serde(default)]
    pub names: Vec<String>,
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// Whether it brings a config plugin.
    pub plugin: Option<bool>,
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A permission that a module needs, and what for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    pub platform: String,
    pub name: String,
    #[serde(default)]
    pub why: String,
}

impl Modules {
    /// What is wrong with the folders of its versions, and with how a module is found in a path.
    pub fn mistakes(&self) -> Vec<String> {
        let of_version = |known: &Version| {
            let group = known.asked.lacks(&known.folder)?;
            Some(format!("the folder {:?} names the group {group:?}, which its pattern lacks", known.folder))
        };
        let mut told: Vec<String> = self.versions.iter().filter_map(of_version).collect();
        if self.path.lacks("${module}").is_some() {
            told.push(format!("{:?} has no group (?<module>…), which is the module's name", self.path.as_str()));
        }
        told
    }

    /// The folders that the version that is asked for may have, the likeliest first.
    pub fn folders_of(&self, version: &str) -> Vec<String> {
        self.versions.iter().filter_map(|known| known.asked.expand(version, &known.folder)).collect()
    }

    /// The package that a page says how to install: what stands in its text where [`Modules::install`] has the package.
    pub fn installed<'a>(&self, markdown: &'a str) -> Option<&'a str> {
        let (command, _) = self.install.as_ref()?.split_once("{package}")?;
        let found =
            markdown.get(markdown.find(Some(command).filter(|it| !it.trim().is_empty())?)? + command.len()..)?;
        let is_of_name = |char: char| char.is_ascii_alphanumeric() || "@/._-".contains(char);
        let name = found.split(|char| !is_of_name(char)).next()?;
        // An option is no package.
        (!name.is_empty() && !name.starts_with('-')).then_some(name)
    }

    /// A name as names are compared: without case, hyphens and what does not count.
    pub fn plain(&self, name: &str) -> String {
        let bare = match &self.strip {
            Some(pattern) => pattern.replace(name, ""),
            None => name.to_owned(),
        };
        bare.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    }
}

impl ModuleFacts {
    /// What is known of `package`.
    pub fn of(&self, package: &str) -> Option<&ModuleFact> {
        self.modules.iter().find(|fact| fact.package == package)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_plainly_and_versions_have_folders() {
        let modules: Modules = toml::from_str(
            r#"
            path = '^versions/[^/]+/(?<module>[^/]+)\.md$'
            folders = ["versions/{version}/"]
            versions = [{ asked = '^latest$', folder = "v3.0.0" }, { asked = '^latest$', folder = "latest" }, { asked = '^sdk-(\d+)$', folder = "v${1}.0.0" }]
            strip = '^expo-'
            install = "npx expo install {package}"
            "#,
        )
        .unwrap();
        assert_eq!(modules.plain("expo-file_System"), modules.plain("fileSystem"));
        assert_eq!(modules.folders_of("latest"), ["v3.0.0", "latest"]);
        assert_eq!(modules.folders_of("sdk-52"), ["v52.0.0"]);
        assert!(modules.folders_of("v1").is_empty());
        assert_eq!(modules.installed("# Camera\n\n```\n- npx expo install expo-camera\n```\n"), Some("expo-camera"));
        assert_eq!(modules.installed("npx expo install @expo/ui, then"), Some("@expo/ui"));
        assert_eq!(modules.installed("npx expo install --fix"), None);
        assert_eq!(modules.installed("npm install expo"), None);
        assert_eq!(modules.path.group("versions/v3.0.0/camera.md", "module"), Some("camera"));
    }
}

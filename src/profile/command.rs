//! Command lines put together from data: what they are, what their flags do, and what must be there first.

use serde::Deserialize;

/// What `commands.toml` says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    /// What can be given as platform; `all` stands for each of the others.
    pub platforms: Vec<String>,
    /// The profile that is taken if none is named.
    pub profile_default: String,
    pub operations: Vec<CommandEntry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandEntry {
    pub name: String,
    pub about: String,
    /// The command up to its flags.
    pub command: String,
    /// It takes one platform at a time: `all` makes a command for each.
    #[serde(default)]
    each_platform: bool,
    pub flags: Vec<Flag>,
    /// What must be there before.
    #[serde(default)]
    pub prerequisites: Vec<Hint>,
    #[serde(default)]
    pub notes: Vec<Hint>,
    #[serde(default)]
    pub pages: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    pub flag: String,
    /// Its value: `{platform}` and `{profile}` are filled in.
    pub value: Option<String>,
    pub about: String,
    /// It is in the command; otherwise it is only told of.
    #[serde(default)]
    used: bool,
    /// Only for these platforms.
    #[serde(default)]
    platforms: Vec<String>,
}

/// Something to know, for some platforms or profiles only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hint {
    pub text: String,
    #[serde(default)]
    platforms: Vec<String>,
    #[serde(default)]
    profiles: Vec<String>,
}

/// A flag of a command that was put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedFlag {
    pub flag: String,
    pub value: Option<String>,
    pub about: String,
}

/// Commands that were put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Built {
    pub commands: Vec<String>,
    pub flags: Vec<UsedFlag>,
    /// Flags that could be added.
    pub options: Vec<UsedFlag>,
    pub prerequisites: Vec<String>,
    pub notes: Vec<String>,
}

impl Commands {
    pub fn operation(&self, name: &str) -> Option<&CommandEntry> {
        self.operations.iter().find(|operation| operation.name == name)
    }

    /// Puts `operation` together. `profile` must be a plain word: it goes into a command line.
    pub fn build(&self, operation: &CommandEntry, platform: &str, profile: &str) -> Built {
        let single: Vec<&str> = self.platforms.iter().map(String::as_str).filter(|one| *one != ALL).collect();
        let chosen = if platform == ALL { single } else { vec![platform] };
        let asked = if platform == ALL && operation.each_platform { chosen.clone() } else { vec![platform] };
        let fits = |platforms: &[String]| {
            platforms.is_empty() || chosen.iter().any(|one| platforms.iter().any(|it| it == one))
        };
        let fill = |text: &str, platform: &str| text.replace("{platform}", platform).replace("{profile}", profile);
        let used = |flag: &Flag, platform: &str| UsedFlag {
            flag: flag.flag.clone(),
            value: flag.value.as_deref().map(|value| fill(value, platform)),
            about: fill(&flag.about, platform),
        };
        let mut built = Built::default();
        for one in &asked {
            let mut command = operation.command.clone();
            for flag in operation.flags.iter().filter(|flag| flag.used && fits(&flag.platforms)) {
                command.push(' ');
                command.push_str(&flag.flag);
                if let Some(value) = &flag.value {
                    command.push(' ');
                    command.push_str(&fill(value, one));
                }
            }
            built.commands.push(command);
        }
        for flag in operation.flags.iter().filter(|flag| fits(&flag.platforms)) {
            let list = if flag.used { &mut built.flags } else { &mut built.options };
            list.push(used(flag, platform));
        }
        let told = |hint: &&Hint| {
            fits(&hint.platforms) && (hint.profiles.is_empty() || hint.profiles.iter().any(|it| it == profile))
        };
        built.prerequisites =
            operation.prerequisites.iter().filter(told).map(|hint| fill(&hint.text, platform)).collect();
        built.notes = operation.notes.iter().filter(told).map(|hint| fill(&hint.text, platform)).collect();
        built
    }
}

/// The platform that stands for all others.
const ALL: &str = "all";

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> Commands {
        toml::from_str(
            r#"
            platforms = ["ios", "android", "all"]
            profile_default = "development"
            [[operations]]
            name = "build"
            about = "Builds."
            command = "tool build"
            flags = [
              { flag = "--platform", value = "{platform}", used = true, about = "For {platform}." },
              { flag = "--profile", value = "{profile}", used = true, about = "As the profile says." },
              { flag = "--local", about = "Here." },
              { flag = "--simulator", platforms = ["ios"], about = "Only iOS." },
            ]
            prerequisites = [{ text = "A Mac.", platforms = ["ios"] }, { text = "For {profile}.", profiles = ["development"] }]
            [[operations]]
            name = "keys"
            about = "Keys."
            command = "tool keys"
            each_platform = true
            flags = [{ flag = "-p", value = "{platform}", used = true, about = "Which." }]
            "#,
        )
        .unwrap()
    }

    #[test]
    fn a_command_is_put_together_with_what_fits() {
        let commands = commands();
        let build = commands.operation("build").unwrap();
        let built = commands.build(build, "android", "production");
        assert_eq!(built.commands, ["tool build --platform android --profile production"]);
        assert_eq!(built.flags.len(), 2);
        assert_eq!(built.options.iter().map(|flag| flag.flag.as_str()).collect::<Vec<_>>(), ["--local"]);
        assert!(built.prerequisites.is_empty());
        let built = commands.build(build, "all", "development");
        assert_eq!(built.commands, ["tool build --platform all --profile development"]);
        assert_eq!(built.prerequisites, ["A Mac.", "For development."]);
        assert_eq!(built.options.len(), 2);
    }

    #[test]
    fn what_takes_one_platform_is_said_for_each() {
        let commands = commands();
        let built = commands.build(commands.operation("keys").unwrap(), "all", "development");
        assert_eq!(built.commands, ["tool keys -p ios", "tool keys -p android"]);
    }
}

//! Commands that mend a finding, as a shell takes them.

use std::path::Path;

use super::facts::Facts;
use crate::config::Config;
use crate::config::origin::Origin;

/// `text` as one word of a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@=+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub(super) fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

pub(super) fn chmod(mode: &str, file: &Path) -> String {
    format!("chmod {mode} {}", path(file))
}

/// How `install` gives what it makes to whoever owns the data directory: the mend may be run by root.
pub(super) fn owner(facts: &Facts) -> String {
    let (user, group) = facts.machine.owner;
    format!("-o {user} -g {group}")
}

/// Makes a folder that is the service's alone.
pub(super) fn folder(facts: &Facts, folder: &Path) -> String {
    format!("install -d -m 700 {} {}", owner(facts), path(folder))
}

/// A command of this program for this installation.
pub(super) fn sekisho(facts: &Facts, command: &str) -> String {
    format!("sekisho --data-dir {} {command}", path(&facts.places.data))
}

/// Puts the default in force again, where the setting comes from.
pub(super) fn default_of(config: &Config, dotted: &str) -> String {
    match config.origins.of(dotted) {
        Origin::Environment(variable) => format!("unset {variable}   # where the server is started"),
        Origin::File | Origin::Default | Origin::CommandLine(_) => edit(config, dotted, "s/^[ \\t]*", "/# &/"),
    }
}

/// Sets a value in the file, whose keys `init` wrote as comments. `value` is TOML without slashes.
pub(super) fn set(config: &Config, dotted: &str, value: &str) -> String {
    if let Origin::Environment(variable) = config.origins.of(dotted) {
        let text = value.trim_matches('"');
        return format!("export {variable}={}   # where the server is started", quoted(text));
    }
    let key = dotted.split_once('.').map_or(dotted, |(_, key)| key);
    let replacement = format!("/{key} = {}/", value.replace('/', "\\/"));
    edit(config, dotted, "s/^[# \\t]*", &replacement)
}

/// A `sed` over the lines of one table: a key of the same name in another table is left alone.
fn edit(config: &Config, dotted: &str, before: &str, after: &str) -> String {
    let (table, key) = dotted.split_once('.').unwrap_or(("", dotted));
    let script = format!("/^\\[{table}\\]/,/^\\[/ {before}{key} *=.*{after}");
    format!("sed -i {} {}", quoted(&script), path(config.origins.file()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::config::env::Environment;
    use crate::config::file;
    use crate::config::preset;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_split_it() {
        assert_eq!(quoted("/srv/a-b.c"), "/srv/a-b.c");
        assert_eq!(quoted("/srv/it's here"), r"'/srv/it'\''s here'");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
    }

    #[test]
    fn a_setting_of_the_file_is_put_back_and_its_namesake_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sekisho.toml");
        let loose = [("http.listen", "127.0.0.1:4000".into()), ("metrics.listen", "127.0.0.1:4001".into())];
        std::fs::write(&file, preset::commented_with(&loose)).unwrap();
        let config = file::load(&file, &Environment::default()).unwrap();
        let run = |command: String| assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
        run(default_of(&config, "metrics.listen"));
        let config = file::load(&file, &Environment::default()).unwrap();
        assert_eq!((config.http.listen.port(), config.metrics.listen.unwrap().port()), (4000, 9090));
        run(set(&config, "session.timeout_minutes", "30"));
        run(set(&config, "backup.directory", "\"/srv/backup\""));
        let config = file::load(&file, &Environment::default()).unwrap();
        assert_eq!(config.session.timeout.as_secs(), 1800);
        assert_eq!(config.backup.directory.as_deref(), Some(Path::new("/srv/backup")));
    }
}

//! From text to a valid configuration: unknown keys, wrong types and impossible values are refused with
//! their line, what was expected, and the nearest valid key.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::auth::Inherited;
use super::env::{Environment, Replaced};
use super::origin::{Origin, Origins};
use super::raw::Raw;
use super::raw::egress::EgressMode;
use super::{Config, Impossible};
use crate::base::bound;

/// Reads `path` (a missing file means the defaults), puts the environment on top, and checks everything.
pub fn load(path: &Path, environment: &Environment) -> Result<Config, ConfigError> {
    let text = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(ConfigError::File { path: path.to_owned(), error }),
        Ok(metadata) if metadata.len() > bound::CONFIG_BYTES_MAX => {
            return Err(ConfigError::TooLarge { path: path.to_owned(), found: metadata.len() });
        }
        Ok(_) => fs::read_to_string(path).map_err(|error| ConfigError::File { path: path.to_owned(), error })?,
    };
    parse(&text, path, environment)
}

/// As [`load`], from text that says it comes from `path`.
pub fn parse(text: &str, path: &Path, environment: &Environment) -> Result<Config, ConfigError> {
    let at = |offset: usize| Place { path: path.to_owned(), line: line_of(text, offset) };
    let syntax = |error: toml::de::Error| ConfigError::Written {
        place: at(error.span().map_or(0, |span| span.start)),
        message: error.span().and_then(|span| doubled(text, span.start)).unwrap_or_else(|| error.message().to_owned()),
    };
    let document = DeTable::parse(text).map_err(syntax)?;
    let settings = settings();
    for (table, value) in document.get_ref() {
        check_keys(table.get_ref(), table.span().start, value.get_ref(), &settings, &at)?;
    }
    let mut raw: Raw = toml::from_str(text).map_err(syntax)?;
    let mut origins = written_origins(path, &document);
    let tree = |raw: &Raw| serde_json::to_value(raw).unwrap_or_default();
    let (written, mut twice) = (tree(&raw), Vec::new());
    // Names of a replaced system first: ours are on top of them.
    let replaced = environment.replaced.settings();
    let replaced = replaced.iter().filter(|(_, name, _)| !environment.settings.contains_key(*name));
    let replaced = replaced.map(|(variable, name, value)| ((*variable).to_owned(), *name, value));
    let own = environment.settings.iter().map(|(name, value)| (format!("SEKISHO_{name}"), name.as_str(), value));
    for (variable, name, value) in replaced.chain(own) {
        raw = overridden(&raw, &variable, name, value, &settings)?;
        if let Some(setting) = settings.iter().find(|setting| setting.variable() == name) {
            if *origins.of(&setting.dotted()) == Origin::File {
                twice.push((setting.table.as_str(), setting.key.as_str()));
            }
            origins.note(&setting.dotted(), Origin::Environment(variable));
        }
    }
    origins.note_overridden(&twice, &written, &tree(&raw));
    let mut config = Config::of(raw).map_err(|problems| ConfigError::Impossible {
        problems: problems
            .into_iter()
            .map(|problem| (origin(&problem, &document, environment, &at), problem))
            .collect(),
    })?;
    config.auth.environment = inherited(&environment.replaced)?;
    config.origins = origins;
    config.origins.note_exposed(&environment.exposed);
    if environment.offline {
        config.egress.mode = EgressMode::None;
        config.origins.note("egress.mode", Origin::CommandLine("none".into()));
    }
    Ok(config)
}

/// What stands in the file.
fn written_origins(path: &Path, document: &toml::Spanned<DeTable<'_>>) -> Origins {
    let mut origins = Origins::new(path);
    for (table, value) in document.get_ref() {
        for (key, _) in value.get_ref().as_table().into_iter().flatten() {
            origins.note(&format!("{}.{}", table.get_ref(), key.get_ref()), Origin::File);
        }
    }
    origins
}

/// Secrets out of the environment, where they are good for something.
fn inherited(replaced: &Replaced) -> Result<Inherited, ConfigError> {
    let refused = |variable: &str, message: String| ConfigError::Inherited { variable: variable.to_owned(), message };
    let account = match (&replaced.username, &replaced.password) {
        (Some(name), Some(password)) if name.len() <= bound::ACCOUNT_NAME_BYTES_MAX && !name.contains(':') => {
            Some((name.clone(), password.clone()))
        }
        (None, None) => None,
        (Some(_), Some(_)) => {
            let most = bound::ACCOUNT_NAME_BYTES_MAX;
            return Err(refused("MCP_USERNAME", format!("a name has at most {most} bytes and no colon")));
        }
        (Some(_), None) => return Err(refused("MCP_USERNAME", "MCP_PASSWORD is not set; set both or neither".into())),
        (None, Some(_)) => return Err(refused("MCP_PASSWORD", "MCP_USERNAME is not set; set both or neither".into())),
    };
    let bytes = replaced.jwt_secret.as_ref().map_or(usize::MAX, |secret| secret.expose_secret().len());
    if bytes < bound::JWT_SECRET_BYTES_MIN {
        let least = bound::JWT_SECRET_BYTES_MIN;
        let message = format!("a secret for HS256 has at least {least} bytes (256 bits), this one {bytes}");
        return Err(refused("MCP_JWT_SECRET", message));
    }
    Ok(Inherited { account, jwt_secret: replaced.jwt_secret.clone() })
}

/// A key of the configuration, as the JSON Schema has it.
#[derive(Clone, Debug)]
pub struct Setting {
    pub table: String,
    pub key: String,
    pub description: String,
    pub default: Value,
}

impl Setting {
    pub fn dotted(&self) -> String {
        format!("{}.{}", self.table, self.key)
    }

    /// The environment variable without its prefix: `HTTP_LISTEN`.
    pub fn variable(&self) -> String {
        format!("{}_{}", self.table, self.key).to_uppercase()
    }
}

/// Every key there is, in the order of the file.
pub fn settings() -> Vec<Setting> {
    let schema = schema();
    let defaults = serde_json::to_value(Raw::default()).unwrap_or_default();
    let mut settings = Vec::new();
    for (table, of_table) in schema["properties"].as_object().into_iter().flatten() {
        let definition = definition(&schema, of_table);
        for (key, of_key) in definition["properties"].as_object().into_iter().flatten() {
            settings.push(Setting {
                table: table.clone(),
                key: key.clone(),
                description: of_key["description"].as_str().unwrap_or_default().to_owned(),
                default: defaults[table][key].clone(),
            });
        }
    }
    settings
}

/// JSON Schema (2020-12) of the configuration file.
pub fn schema() -> Value {
    schemars::schema_for!(Raw).to_value()
}

fn definition<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    let name = node["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
    name.map_or(node, |name| &schema["$defs"][name])
}

fn check_keys(
    table: &str,
    offset: usize,
    value: &DeValue<'_>,
    settings: &[Setting],
    at: &dyn Fn(usize) -> Place,
) -> Result<(), ConfigError> {
    let of_table: Vec<&Setting> = settings.iter().filter(|setting| setting.table == table).collect();
    if of_table.is_empty() {
        // A key of some table written at the top level is the likeliest slip.
        let nearest = nearest(table, settings.iter().map(|setting| setting.table.clone()))
            .or_else(|| settings.iter().find(|setting| setting.key == table).map(Setting::dotted));
        return Err(ConfigError::UnknownKey { place: at(offset), key: table.to_owned(), nearest });
    }
    let DeValue::Table(keys) = value else {
        return Err(ConfigError::Written {
            place: at(offset),
            message: format!("expected a table [{table}], found {}", value.type_str()),
        });
    };
    for (key, _) in keys {
        let name: &str = key.get_ref();
        if !of_table.iter().any(|setting| setting.key == name) {
            let nearest = nearest(name, of_table.iter().map(|setting| setting.key.clone()))
                .or_else(|| settings.iter().find(|setting| setting.key == name).map(Setting::dotted));
            return Err(ConfigError::UnknownKey {
                place: at(key.span().start),
                key: format!("{table}.{name}"),
                nearest,
            });
        }
    }
    Ok(())
}

/// The candidate most like `name`, if it is at all like it.
pub fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(name, &candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

/// `raw` with one variable's value in it. Values are read as TOML, or else as text.
fn overridden(raw: &Raw, variable: &str, name: &str, value: &str, settings: &[Setting]) -> Result<Raw, ConfigError> {
    let variable = variable.to_owned();
    let Some(setting) = settings.iter().find(|setting| setting.variable() == name) else {
        let nearest = nearest(name, settings.iter().map(Setting::variable)).map(|near| format!("SEKISHO_{near}"));
        return Err(ConfigError::UnknownVariable { variable, nearest });
    };
    let wrong = |error: &dyn std::fmt::Display| ConfigError::Variable {
        variable: variable.clone(),
        key: setting.dotted(),
        message: error.to_string().trim().to_owned(),
    };
    let mut tree = toml::Table::try_from(raw).map_err(|error| wrong(&error))?;
    let text = setting.default.is_string() || setting.default.is_null();
    let parsed = if text {
        toml::Value::String(value.to_owned())
    } else {
        toml::from_str::<toml::Table>(&format!("value = {value}"))
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| toml::Value::String(value.to_owned()))
    };
    if let Some(toml::Value::Table(of_table)) = tree.get_mut(&setting.table) {
        of_table.insert(setting.key.clone(), parsed);
    }
    tree.try_into().map_err(|error: toml::de::Error| wrong(&error.message()))
}

fn origin(
    problem: &Impossible,
    document: &toml::Spanned<DeTable<'_>>,
    environment: &Environment,
    at: &dyn Fn(usize) -> Place,
) -> String {
    let (table, key) = problem.key.split_once('.').unwrap_or((problem.key, ""));
    let variable = format!("{table}_{key}").to_uppercase();
    if environment.settings.contains_key(&variable) {
        return format!("SEKISHO_{variable}");
    }
    if let Some((replaced, ..)) = environment.replaced.settings().iter().find(|(_, name, _)| *name == variable) {
        return (*replaced).to_owned();
    }
    let place = document.get_ref().iter().find(|(name, _)| name.get_ref() == table).map(|(name, value)| {
        let keys = value.get_ref().as_table();
        let written = keys.and_then(|keys| keys.iter().find(|(name, _)| name.get_ref() == key));
        written.map_or_else(|| name.span().start, |(name, _)| name.span().start)
    });
    at(place.unwrap_or(0)).to_string()
}

/// What to say where the line at `offset` begins a table or sets a key that an earlier line did already: the parser's
/// own words name neither.
fn doubled(text: &str, offset: usize) -> Option<String> {
    let number = line_of(text, offset);
    let line = text.lines().nth(number.checked_sub(1)?)?.trim_start();
    let before = || text.lines().take(number - 1).enumerate().map(|(at, line)| (at + 1, line.trim_start()));
    let header = |line: &str| Some(format!("{}]", line.strip_prefix('[').and_then(|it| it.split_once(']'))?.0.trim()));
    if let Some(name) = header(line) {
        let (first, _) = before().find(|(_, line)| header(line).as_ref() == Some(&name))?;
        return Some(format!("the table [{name} stands in line {first} already; write these keys there"));
    }
    let key = |line: &str| Some(line.split_once('=')?.0.trim().to_owned()).filter(|key| !key.starts_with('#'));
    let name = key(line)?;
    let of_table = before().filter(|(_, line)| header(line).is_some()).last().map_or(0, |(at, _)| at);
    let (first, _) = before().find(|(at, line)| *at > of_table && key(line).as_ref() == Some(&name))?;
    Some(format!("{name} stands in line {first} already; write it once"))
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// Where in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// Why a configuration is refused. Nothing starts with a configuration that is partly understood.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: a configuration has at most {} bytes, this file has {found}", path.display(), bound::CONFIG_BYTES_MAX)]
    TooLarge { path: PathBuf, found: u64 },
    #[error("{place}: {message}")]
    Written { place: Place, message: String },
    #[error("{place}: there is no key {key}{}; `sekisho config schema` lists them all", did_you_mean(nearest.as_deref()))]
    UnknownKey { place: Place, key: String, nearest: Option<String> },
    #[error("{}", listed(problems))]
    Impossible { problems: Vec<(String, Impossible)> },
    #[error("the environment variable {variable} names no key{}", did_you_mean(nearest.as_deref()))]
    UnknownVariable { variable: String, nearest: Option<String> },
    #[error("the environment variable {variable} does not fit {key}: {message}")]
    Variable { variable: String, key: String, message: String },
    #[error("the environment variable {variable} is refused: {message}")]
    Inherited { variable: String, message: String },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}

fn listed(problems: &[(String, Impossible)]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|(place, problem)| {
            format!("{place}: {} must be {}, found {}", problem.key, problem.expected, problem.found)
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::{AuthScheme, Authentication};

    fn error_of(text: &str) -> String {
        parse(text, Path::new("sekisho.toml"), &Environment::default()).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_are_told_with_line_and_way_out() {
        let check = |text: &str, expect: &[&str]| {
            let error = error_of(text);
            for part in expect {
                assert!(error.contains(part), "{text:?} gave {error:?}, without {part:?}");
            }
        };
        check(
            "[http]\nlisten = \"127.0.0.1:1\"\nlisen = 1\n",
            &["sekisho.toml:3", "http.lisen", "did you mean listen?"],
        );
        check("\n[htp]\n", &["sekisho.toml:2", "htp", "did you mean http?"]);
        check("listen = \"x\"", &["sekisho.toml:1", "http.listen"]);
        check("http = 3", &["sekisho.toml:1", "expected a table"]);
        check("[rate]\nper_minute = \"many\"\n", &["sekisho.toml:2", "invalid type"]);
        check("[rate]\nper_minute = -1\n", &["sekisho.toml:2"]);
        check(
            "[http]\n\nlisten = \"here\"\n[rate]\nburst_limit = 0",
            &["sekisho.toml:3: http.listen must be", "sekisho.toml:5: rate.burst_limit", "found 0"],
        );
        check("[http]\nauthentication = \"basic\"", &["sekisho.toml:2", "required"]);
        check("[http", &["sekisho.toml:1"]);
        check(
            "# [rate]\n[rate]\nburst_limit = 9\n\n[http]\n[ rate ] # again\nper_minute = 3\n",
            &["sekisho.toml:6: ", "the table [rate] stands in line 2 already; write these keys there"],
        );
        check(
            "[http]\n#per_minute = 1\n[rate]\nper_minute = 3\nper_minute = 4\n",
            &["sekisho.toml:5: ", "per_minute stands in line 4 already"],
        );
    }

    #[test]
    fn the_environment_is_on_top_and_checked() {
        let with = |name: &str, value: &str| {
            let environment =
                Environment { settings: [(name.to_owned(), value.to_owned())].into(), ..Environment::default() };
            parse("[http]\nlisten = \"127.0.0.1:1\"", Path::new("sekisho.toml"), &environment)
        };
        assert_eq!(with("HTTP_LISTEN", "127.0.0.1:2").unwrap().http.listen.port(), 2);
        assert_eq!(with("HTTP_TLS_KEY", "k").unwrap_err().to_string().matches("tls_certificate").count(), 3);
        assert_eq!(with("RATE_PER_MINUTE", "7").unwrap().rate.per_minute, 7);
        assert_eq!(with("HTTP_ALLOWED_HOSTS", "[\"a\"]").unwrap().http.allowed_hosts, ["a"]);
        let error = with("HTTP_LISTN", "x").unwrap_err().to_string();
        assert!(error.contains("did you mean SEKISHO_HTTP_LISTEN?"), "{error}");
        let error = with("RATE_PER_MINUTE", "many").unwrap_err().to_string();
        assert!(error.contains("SEKISHO_RATE_PER_MINUTE") && error.contains("invalid type"), "{error}");
        let error = with("HTTP_LISTEN", "x").unwrap_err().to_string();
        assert!(error.starts_with("SEKISHO_HTTP_LISTEN: http.listen must be"), "{error}");
    }

    #[test]
    fn what_stands_in_the_file_to_no_effect_is_told_with_both_places() {
        let with = |name: &str, value: &str| {
            let variables = [(format!("SEKISHO_{name}"), value.to_owned())];
            let environment = Environment::of_unit(variables.into_iter());
            let file = "[backup]\ndirectory = \"/srv/backup\"\n[rate]\nper_minute = 7";
            let config = parse(file, Path::new("sekisho.toml"), &environment).unwrap();
            let of = |place: Option<&Path>| {
                let all = config.origins.overridden().iter();
                all.map(|it| it.told(config.origins.file(), place)).collect::<Vec<_>>()
            };
            (of(None), of(Some(Path::new("sekisho.service"))))
        };
        let told = "backup.directory is \"/srv/backup\" in sekisho.toml and \"/b\" in SEKISHO_BACKUP_DIRECTORY";
        let (here, there) = with("BACKUP_DIRECTORY", "/b");
        assert_eq!(here, [format!("{told}: the variable counts")]);
        assert_eq!(there, [format!("{told} of sekisho.service: the variable counts")]);
        assert_eq!(with("BACKUP_DIRECTORY", "/srv/backup").0.len(), 0, "they agree");
        assert_eq!(with("RATE_PER_MINUTE", "7").0.len(), 0, "they agree as numbers");
        assert_eq!(with("BACKUP_KEEP", "2").0.len(), 0, "the file does not have it");
        assert_eq!(with("DATA_DIR", "/d").0.len(), 0, "where things are is no setting");
    }

    #[test]
    fn names_of_a_replaced_system_are_below_ours_and_checked() {
        let with = |change: fn(&mut Replaced), ours: &[(&str, &str)]| {
            let settings = ours.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let mut environment = Environment { settings, ..Environment::default() };
            change(&mut environment.replaced);
            parse("[auth]\njwt_expiry_seconds = 60", Path::new("sekisho.toml"), &environment)
        };
        let config = with(|replaced| replaced.auth_enabled = Some("False".into()), &[]).unwrap();
        assert_eq!(config.http.authentication, Authentication::None);
        let ours = [("HTTP_AUTHENTICATION", "bearer"), ("AUTH_JWT_EXPIRY_SECONDS", "90")];
        let both = |replaced: &mut Replaced| {
            replaced.auth_enabled = Some("false".into());
            replaced.jwt_expiry = Some("120".into());
            replaced.auth_method = Some("jwt".into());
        };
        let config = with(both, &ours).unwrap();
        assert_eq!(config.http.authentication, Authentication::Required);
        assert_eq!(config.auth.jwt_expiry.as_secs(), 90);
        assert_eq!(config.auth.schemes, [AuthScheme::Jwt]);
        assert_eq!(with(both, &[]).unwrap().auth.jwt_expiry.as_secs(), 120);
        let error = |change: fn(&mut Replaced)| with(change, &[]).unwrap_err().to_string();
        assert!(error(|replaced| replaced.auth_enabled = Some("maybe".into())).contains("MCP_AUTH_ENABLED"));
        assert!(error(|replaced| replaced.auth_method = Some("digest".into())).contains("MCP_AUTH_METHOD"));
        assert!(error(|replaced| replaced.jwt_expiry = Some("0".into())).contains("MCP_JWT_EXPIRY: auth.jwt_expiry"));
        assert!(error(|replaced| replaced.username = Some("ann".into())).contains("MCP_PASSWORD is not set"));
        let short = error(|replaced| replaced.jwt_secret = Some(crate::base::secret::Secret::new("x".repeat(31))));
        assert!(short.contains("MCP_JWT_SECRET") && short.contains("256 bits") && !short.contains("xx"), "{short}");
        let good = with(|replaced| replaced.jwt_secret = Some(crate::base::secret::Secret::new("x".repeat(32))), &[]);
        assert_eq!(good.unwrap().auth.environment.warnings().len(), 1);
    }
}

//! Programs that use Sekisho over MCP: where their configuration lies, what stands in it of us, and how it is changed.
//!
//! What a client is told is made here only, whether it is printed to be pasted or written into its file.

pub mod edit;
pub mod file;
pub mod table;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use similar::TextDiff;

use crate::base::bound::client as bound;
use crate::base::secret::Secret;
use crate::config::env::Environment;
use crate::config::mask::Masker;
use file::{FileError, Found};
use table::{EditError, Kind, Slot};

/// The name under which clients know us.
const NAME: &str = "sekisho";

/// The id of what VS Code asks its person for.
const INPUT: &str = "sekisho-token";

/// A program that speaks MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    VsCode,
    Zed,
}

/// How a client reaches us.
#[derive(Clone, Debug)]
pub enum Way {
    /// It starts this program.
    Stdio { program: String, arguments: Vec<String> },
    /// It asks a server that runs.
    Http { url: String, token: Secret },
}

/// Why a client's configuration was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{} was not changed: {error}", path.display())]
    Edit { path: PathBuf, error: EditError },
    #[error(
        "{0} takes no server over HTTP from its file; connect it with --stdio: what it starts passes calls on to a server that runs"
    )]
    NoHttp(&'static str),
}

impl Client {
    pub const ALL: [Self; 5] = [Self::ClaudeDesktop, Self::ClaudeCode, Self::Cursor, Self::VsCode, Self::Zed];

    /// As people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
            Self::Zed => "Zed",
        }
    }

    /// What makes it look at its file again.
    pub fn notice(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Restart Claude Desktop: it reads this file when it starts.",
            Self::ClaudeCode => "Sessions of Claude Code that begin from now on have it; /mcp shows it.",
            Self::Cursor => "Cursor looks at it by itself; if not, Settings, MCP, switch it on.",
            Self::VsCode => "In VS Code, \"MCP: List Servers\" shows and starts it.",
            Self::Zed => "Zed looks at it by itself; the agent panel's settings show it.",
        }
    }

    /// The file of this user; `None` where there is no home directory.
    pub fn file(self, environment: &Environment) -> Option<PathBuf> {
        let home = environment.home.as_ref()?;
        let dotted = environment.xdg_config_home.clone().unwrap_or_else(|| home.join(".config"));
        let config = if cfg!(target_os = "macos") { home.join("Library/Application Support") } else { dotted.clone() };
        Some(match self {
            Self::ClaudeDesktop => config.join("Claude/claude_desktop_config.json"),
            Self::ClaudeCode => home.join(".claude.json"),
            Self::Cursor => home.join(".cursor/mcp.json"),
            Self::VsCode => config.join("Code/User/mcp.json"),
            Self::Zed => dotted.join("zed/settings.json"),
        })
    }

    /// Whether its file would hold the token, in the clear. VS Code asks for it and keeps it itself.
    pub fn holds_token(self, way: &Way) -> bool {
        matches!(way, Way::Http { .. }) && self != Self::VsCode
    }

    fn slot(self) -> Slot {
        let table = match self {
            Self::ClaudeDesktop | Self::ClaudeCode | Self::Cursor => "mcpServers",
            Self::VsCode => "servers",
            Self::Zed => "context_servers",
        };
        Slot { table, name: NAME, kind: Kind::Member }
    }

    /// All that may be ours, in the order in which it is put in.
    fn slots(self) -> Vec<Slot> {
        let mut slots = vec![self.slot()];
        if self == Self::VsCode {
            slots.push(Slot { table: "inputs", name: INPUT, kind: Kind::Element });
        }
        slots
    }

    /// What stands under our name.
    fn entry(self, way: &Way) -> Result<Value, ClientError> {
        Ok(match (self, way) {
            (Self::ClaudeDesktop | Self::Cursor, Way::Stdio { program, arguments }) => {
                json!({"command": program, "args": arguments})
            }
            (Self::ClaudeCode, Way::Stdio { program, arguments }) => {
                json!({"type": "stdio", "command": program, "args": arguments, "env": {}})
            }
            (Self::VsCode, Way::Stdio { program, arguments }) => {
                json!({"command": program, "args": arguments, "type": "stdio"})
            }
            (Self::Zed, Way::Stdio { program, arguments }) => {
                json!({"command": program, "args": arguments, "env": {}})
            }
            (Self::ClaudeDesktop, Way::Http { .. }) => return Err(ClientError::NoHttp(self.title())),
            (Self::ClaudeCode, Way::Http { url, token }) => {
                json!({"type": "http", "url": url, "headers": {"Authorization": bearer(token)}})
            }
            (Self::Cursor | Self::Zed, Way::Http { url, token }) => {
                json!({"url": url, "headers": {"Authorization": bearer(token)}})
            }
            (Self::VsCode, Way::Http { url, .. }) => {
                let asked = format!("Bearer ${{input:{INPUT}}}");
                json!({"type": "http", "url": url, "headers": {"Authorization": asked}})
            }
        })
    }

    /// The whole of a file that knows no server but us, to be pasted where there is none yet.
    pub fn snippet(self, way: &Way) -> Result<Value, ClientError> {
        Ok(json!({ self.slot().table: { NAME: self.entry(way)? } }))
    }

    /// The change that makes us known in the file at `path`.
    pub fn connect(self, path: &Path, way: &Way) -> Result<Change, ClientError> {
        let entry = self.entry(way)?;
        let mut found = Found::read(path)?;
        let holds_token = self.holds_token(way);
        let made_private = holds_token && found.is_open();
        if made_private {
            found = found.made_private();
        }
        let fault = |error| ClientError::Edit { path: found.path.clone(), error };
        let (mark, text) = without_mark(found.text.as_deref().unwrap_or_default());
        let is_known = edit::find(text, self.slot()).map_err(fault)?.is_some();
        let mut after = edit::put(text, self.slot(), &entry).map_err(fault)?;
        for slot in self.slots().into_iter().skip(1) {
            after = match way {
                Way::Http { .. } => {
                    let description = "The token of Sekisho: the text in the file http-token of its data directory";
                    let input =
                        json!({"id": INPUT, "type": "promptString", "description": description, "password": true});
                    edit::put(&after, slot, &input).map_err(fault)?
                }
                Way::Stdio { .. } => edit::take(&after, slot).map_err(fault)?,
            };
        }
        let after = Some(format!("{mark}{after}"));
        // The copy of before we came is worth more than one of our older entry.
        let keeps = found.text.is_some() && !(is_known && found.backup().exists());
        Ok(Change { found, after, keeps, drops_backup: false, holds_token, made_private })
    }

    /// The change that makes the file at `path` what it was before [`Client::connect`], if nobody else changed it; else
    /// only what is ours goes.
    pub fn disconnect(self, path: &Path) -> Result<Change, ClientError> {
        let found = Found::read(path)?;
        let unchanged = |found: Found| {
            let after = found.text.clone();
            Change { found, after, keeps: false, drops_backup: false, holds_token: false, made_private: false }
        };
        let Some(now) = found.text.clone() else { return Ok(unchanged(found)) };
        let fault = |error| ClientError::Edit { path: found.path.clone(), error };
        let (mark, text) = without_mark(&now);
        let mut ours = Vec::new();
        for slot in self.slots() {
            if let Some(entry) = edit::find(text, slot).map_err(fault)? {
                ours.push((slot, entry));
            }
        }
        if ours.is_empty() {
            return Ok(unchanged(found));
        }
        // What connecting would make of the copy, were it done today: if that is what is there, the copy is the answer.
        let remade = |before: &str| {
            let (mark, text) = without_mark(before);
            let remade =
                ours.iter().try_fold(text.to_owned(), |text, (slot, entry)| edit::put_text(&text, *slot, entry));
            remade.is_ok_and(|text| format!("{mark}{text}") == now)
        };
        let backup = Found::read(&found.backup())?;
        let restored = match &backup.text {
            Some(before) if remade(before) => Some(Some(before.clone())),
            None if remade("") => Some(None),
            _ => None,
        };
        let drops_backup = restored.is_some() && backup.text.is_some();
        let after = match restored {
            Some(before) => before,
            None => {
                let taken = ours.iter().try_fold(text.to_owned(), |text, (slot, _)| edit::take(&text, *slot));
                Some(format!("{mark}{}", taken.map_err(fault)?))
            }
        };
        Ok(Change { found, after, keeps: false, drops_backup, holds_token: false, made_private: false })
    }
}

/// A change of a client's file that was not made yet.
pub struct Change {
    found: Found,
    /// None where the file is to go: it holds nothing but what we made.
    after: Option<String>,
    keeps: bool,
    drops_backup: bool,
    /// The file holds the token from then on.
    pub holds_token: bool,
    /// Others could read the file before, and cannot any more.
    pub made_private: bool,
}

// The texts hold tokens.
impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change").field("path", &self.found.path).finish_non_exhaustive()
    }
}

impl Change {
    /// The file, behind any links.
    pub fn path(&self) -> &Path {
        &self.found.path
    }

    /// Where the text of before is kept, if it is.
    pub fn kept(&self) -> Option<PathBuf> {
        self.keeps.then(|| self.found.backup())
    }

    /// Whether there is anything to do: a text to change, or a token that others may read.
    pub fn is_one(&self) -> bool {
        self.made_private || self.after != self.found.text
    }

    /// Whether the file goes.
    pub fn removes(&self) -> bool {
        self.after.is_none()
    }

    /// The change as lines to look at, in the form of diff(1), without secrets, ours or others'.
    pub fn diff(&self, masker: &Masker) -> String {
        let (before, after) =
            (self.found.text.as_deref().unwrap_or_default(), self.after.as_deref().unwrap_or_default());
        let (old, new) = (self.found.path.display().to_string(), "as it would be");
        let diff = TextDiff::from_lines(before, after);
        let shown = diff.unified_diff().context_radius(2).header(&old, new).to_string();
        let mut lines = String::new();
        for line in shown.lines() {
            let line = masker.masked_line(line.trim_end_matches('\r'));
            lines.extend(
                line.chars().filter(|char| *char == '\t' || !char.is_control()).take(bound::CLIENT_DIFF_LINE_CHARS_MAX),
            );
            lines.push('\n');
        }
        lines
    }

    /// Does it: the copy first, then the file at once.
    pub fn apply(&self) -> Result<(), ClientError> {
        if self.keeps {
            self.found.keep()?;
        }
        match &self.after {
            Some(text) => self.found.write(text)?,
            None => self.found.remove()?,
        }
        if self.drops_backup {
            Found::read(&self.found.backup())?.remove()?;
        }
        Ok(())
    }
}

fn bearer(token: &Secret) -> String {
    format!("Bearer {}", String::from_utf8_lossy(token.expose_secret()))
}

/// A byte order mark, which is no part of the document, and the rest.
fn without_mark(text: &str) -> (&str, &str) {
    text.strip_prefix('\u{feff}').map_or(("", text), |rest| ("\u{feff}", rest))
}

#[cfg(test)]
mod tests;

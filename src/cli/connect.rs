//! `connect` and `disconnect`: writes us into a client's configuration, and takes us out of it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::exit::Failure;
use super::{Context, print, setup};
use crate::app::init;
use crate::client::file::FileError;
use crate::client::{Change, Client, ClientError, Way};
use crate::config::mask::Masker;
use crate::config::place::Places;
use crate::config::{Config, file};

#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// Whose configuration to change
    client: Name,
    /// Let the client start "sekisho stdio": needs no token and no running server (the default)
    #[arg(long, conflicts_with = "http")]
    stdio: bool,
    /// Let the client ask the server that "sekisho serve" runs, with the token of the file http-token
    #[arg(long)]
    http: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub(crate) struct Disconnect {
    /// Whose configuration to change
    client: Name,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    /// The client's configuration file, if it is not where the client has it by itself
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Show the change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    Vscode,
    Zed,
}

impl Name {
    fn client(self) -> Client {
        match self {
            Self::ClaudeDesktop => Client::ClaudeDesktop,
            Self::ClaudeCode => Client::ClaudeCode,
            Self::Cursor => Client::Cursor,
            Self::Vscode => Client::VsCode,
            Self::Zed => Client::Zed,
        }
    }
}

pub(super) async fn connect(context: &Context, command: Connect) -> Result<u8, Failure> {
    let client = command.client.client();
    let places = context.places()?;
    let way = if command.http { over_http(context, &places).await? } else { setup::over_stdio(context, &places)? };
    let change = client.connect(&command.how.path(context, client)?, &way)?;
    if !done(context, client, &change, command.how.dry_run)? {
        return Ok(0);
    }
    if let Some(kept) = change.kept() {
        print::line(&format!("The file of before is {}.", kept.display()))?;
    }
    if change.holds_token {
        print::line("The token stands in this file in the clear: who reads the file can read what you serve.")?;
    }
    if change.made_private {
        print::line("Other users could read the file; from now on only its owner can.")?;
    }
    if command.http && !client.holds_token(&way) {
        let token = places.http_token();
        print::line(&format!("{} asks for the token once: it lies in {}.", client.title(), token.display()))?;
    }
    print::line(client.notice())?;
    Ok(0)
}

pub(super) fn disconnect(context: &Context, command: Disconnect) -> Result<u8, Failure> {
    let client = command.client.client();
    let change = client.disconnect(&command.how.path(context, client)?)?;
    if done(context, client, &change, command.how.dry_run)? {
        print::line(client.notice())?;
    }
    Ok(0)
}

impl How {
    fn path(&self, context: &Context, client: Client) -> Result<PathBuf, Failure> {
        let named = self.file.clone().or_else(|| client.file(&context.environment));
        named.ok_or_else(|| Failure::usage("there is no home directory; name the client's file with --file"))
    }
}

/// Shows the change, and makes it. Gives whether there is more to tell a person.
fn done(context: &Context, client: Client, change: &Change, dry_run: bool) -> Result<bool, Failure> {
    let diff = change.diff(&Masker::of_logs().map_err(Failure::internal)?);
    let applies = change.is_one() && !dry_run;
    if applies {
        change.apply()?;
    }
    let path = change.path().display();
    if context.json {
        let report = json!({
            "client": client.title(),
            "file": path.to_string(),
            "changes": change.is_one(),
            "done": applies,
            "kept": change.kept().map(|kept| kept.display().to_string()),
            "holds_token": change.holds_token,
            "diff": diff,
        });
        print::line(&report.to_string())?;
        return Ok(false);
    }
    if !change.is_one() {
        print::line(&format!("{path} is as it should be; nothing was changed."))?;
        return Ok(false);
    }
    print::line(diff.trim_end())?;
    let what = match (dry_run, change.removes()) {
        (true, _) => "was not changed (--dry-run)",
        (false, true) => "was made by Sekisho, and is removed",
        (false, false) => "is changed",
    };
    print::line(&format!("\n{path} {what}."))?;
    Ok(applies)
}

/// The server as clients of this machine reach it, and the token that was made for them and holds.
async fn over_http(context: &Context, places: &Places) -> Result<Way, Failure> {
    let config = file::load(&places.config, &context.environment)?;
    let token = init::read_token(&places.http_token())?.ok_or_else(|| {
        Failure::no_input(format!("there is no token in {}; make one: sekisho init", places.http_token().display()))
    })?;
    let url = url(&config)?;
    if !setup::token_holds(context).await? {
        return Err(Failure::not_allowed(setup::dead_token(places)));
    }
    Ok(Way::Http { url, token })
}

fn url(config: &Config) -> Result<String, Failure> {
    let http = &config.http;
    if let Some(public) = &http.public_url {
        return Ok(format!("{public}/mcp"));
    }
    let (scheme, mut address) = (if http.tls.is_some() { "https" } else { "http" }, http.listen);
    if address.port() == 0 {
        return Err(Failure::config("http.listen takes any free port, another one each time; name a port in it"));
    }
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    Ok(format!("{scheme}://{address}/mcp"))
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::NoHttp(_) => Self::usage(error),
            ClientError::Edit { .. } | ClientError::File(FileError::NotUtf8(_)) => Self::config(error),
            ClientError::File(FileError::Changed(_)) => Self::exists(error),
            ClientError::File(FileError::OtherOwner(_)) => Self::not_allowed(error),
            ClientError::File(_) => Self::no_input(error),
        }
    }
}

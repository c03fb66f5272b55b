//! The command line: what can be typed, and what code it ends with.
#![allow(clippy::doc_markdown, reason = "clap shows these comments to people as they are")]

mod account;
mod advisories;
mod alert;
mod audit;
mod backup;
mod ban;
mod bundle;
mod connect;
mod connector;
mod contain;
mod credential;
mod doctor;
mod drain;
mod event;
mod exit;
mod first;
mod incident;
mod library;
mod log;
mod login;
mod parse_child;
mod policy;
mod profile;
mod print;
mod prune;
mod reach;
mod report;
mod scan;
mod search;
mod secret;
mod serve;
mod session;
mod settings;
mod setup;
mod stdio;
mod sync;
mod tls;
mod token;
mod unlock;
mod vault;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::base::bound;
use crate::config::env::{Environment, Inherited};
use crate::config::place::Places;
use exit::Failure;

const EXIT_CODES: &str = "Exit codes:
  0   done
  1   the answer is no: nothing was found, a check failed, or the log is not sound
  2   a check could not be completed
  64  the command line is wrong
  66  there is no such library, document or file
  69  the service is not available (not running, not ready)
  70  an internal error
  73  something is there already, or cannot be made
  75  try again later: busy, or over a limit
  77  not allowed
  78  the configuration is wrong";

/// The checkpoint between AI agents and what they may see and touch: an offline MCP server for documents.
#[derive(Debug, Parser)]
#[command(name = "sekisho", version, after_help = EXIT_CODES, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Where everything is kept [default: $SEKISHO_DATA_DIR, else the XDG data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The configuration file [default: $SEKISHO_CONFIG, else sekisho.toml in the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON instead of text (streams: JSON Lines)
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Connect to no other machine, whatever the configuration says
    #[arg(long, global = true)]
    pub(crate) offline: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set everything up, index the manual, serve MCP, and say what to paste into your client
    Quickstart(serve::Listen),
    /// Make the data directory, a configuration, a token, a vault and an empty database
    Init(setup::Init),
    /// Serve MCP over HTTP
    Serve(serve::Listen),
    /// Serve MCP over standard input and output, for a desktop client
    Stdio,
    /// Write Sekisho into the configuration of an AI client on this machine
    Connect(connect::Connect),
    /// Take Sekisho out of a client's configuration again
    Disconnect(connect::Disconnect),
    /// Add, list, sync, show and remove libraries of documents
    #[command(subcommand)]
    Library(library::Library),
    /// Call REST APIs: add, update and review connectors, say which operations agents may call
    #[command(subcommand)]
    Connector(connector::Connector),
    /// Search the libraries
    Search(search::Search),
    /// Read a document
    Read(search::Read),
    /// Say who may do what: check, explain, list and reload policies
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Check, explain and show the configuration
    #[command(subcommand)]
    Config(settings::Settings),
    /// Verify and follow the audit log
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Report what happened between two times, and what that is evidence for
    Report(report::Report),
    /// List recent security events, the newest first
    Events(event::Events),
    /// Make and review accounts: add, passwd, role, disable, enable, remove, review
    #[command(subcommand)]
    Account(account::Account),
    /// Issue, list and revoke API keys and JWTs
    #[command(subcommand)]
    Token(token::Token),
    /// Read the program's log, sealed files too
    #[command(subcommand)]
    Log(log::Log),
    /// List and acknowledge alerts, and test where they go
    #[command(subcommand)]
    Alert(alert::Alert),
    /// Look for weaknesses of this installation, each with the command that mends it; exit 1 if one is grave
    Scan(scan::Scan),
    /// Check the crates in this program offline: import, show and make databases of advisories
    #[command(subcommand)]
    Advisories(advisories::Advisories),
    /// Keep credentials: set, list, show, remove, import
    #[command(subcommand)]
    Credential(credential::Credential),
    /// List and end sessions
    #[command(subcommand)]
    Session(session::Session),
    /// Ban addresses, principals, sessions and credentials; list and lift bans
    #[command(subcommand)]
    Ban(ban::Ban),
    /// Open and close the vault
    #[command(subcommand)]
    Vault(vault::Vault),
    /// Show, rotate and replace the vault's keys
    #[command(subcommand)]
    Key(vault::Key),
    /// Make and show certificates for TLS
    #[command(subcommand)]
    Tls(tls::Tls),
    /// Back the database up into a file, while the server goes on
    Backup(backup::Backup),
    /// Put a backup in the place of the database; no server may run
    Restore(backup::Restore),
    /// Take away what is good for nothing any more: old logs, spent tokens, mirrors, interrupted work
    Prune(prune::Prune),
    /// Give the room of removed documents and entries back to the file system
    Vacuum,
    /// Open, follow and close incidents, gather their evidence, practise
    #[command(subcommand)]
    Incident(incident::Incident),
    /// End sessions, revoke tokens, ban, switch a connector off, in one step
    Contain(contain::Contain),
    /// Serve nothing but health, the audit log, reports and incidents, until it is lifted
    Freeze(contain::Freeze),
    /// Lift a freeze, at the machine itself
    Unfreeze,
    /// Let a server finish what is under way, begin nothing new, and end
    Drain(drain::Drain),
    /// Look whether everything is well, and say what to do where it is not
    Doctor,
    /// Exit 0 if a server runs and is ready, for supervisors
    Healthcheck,
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page, or write one for each command
    Man {
        /// Write sekisho.1, sekisho-serve.1 and so on into this folder
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Read documents for a server, on standard input and output, confined
    #[command(hide = true)]
    ParseChild,
}

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) environment: Environment,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) json: bool,
}

impl Context {
    pub(crate) fn places(&self) -> Result<Places, Failure> {
        Places::find(self.data_dir.as_deref(), self.config.as_deref(), &self.environment)
            .ok_or_else(|| Failure::usage("there is no home directory to keep data in; say where with --data-dir"))
    }
}

pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let help = !error.use_stderr();
            // Help that nobody reads any more is no failure.
            error.print().ok();
            return if help { ExitCode::SUCCESS } else { ExitCode::from(exit::USAGE) };
        }
    };
    if let Err(error) = crate::base::process::hide_memory() {
        print::error_line(&format!("Warning: core dumps could not be forbidden: {error}"));
    }
    // Whatever is made from here on is this user's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let Arguments { data_dir, config, json, offline, command } = arguments;
    let context = Context { environment: Environment { offline, ..Environment::read() }, data_dir, config, json };
    match run(&context, command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if let Some(text) = failure.told(json) {
                print::error_line(&text);
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run(context: &Context, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Init(init) => block_on(setup::init(context, init)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "sekisho", &mut script);
            print::bytes(&script)
        }
        Command::Man { directory: Some(directory) } => {
            let written = std::fs::create_dir_all(&directory);
            let written = written.and_then(|()| clap_mangen::generate_to(Arguments::command(), &directory));
            written.map_err(|error| Failure::no_input(format!("{}: {error}", directory.display())))?;
            Ok(0)
        }
        Command::Man { directory: None } => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page).map_err(Failure::internal)?;
            print::bytes(&page)
        }
        Command::ParseChild => parse_child::run(),
        Command::Config(settings::Settings::Show { live: true }) => block_on(settings::show_live(context)),
        Command::Config(settings) => settings::run(context, &settings),
        Command::Quickstart(_) | Command::Serve(_) if first::is_first() => first::run(),
        Command::Quickstart(listen) => {
            let inherited = Inherited::take().map_err(Failure::unavailable)?;
            block_on(serve::quickstart(context, listen, inherited))
        }
        Command::Serve(listen) => {
            let inherited = Inherited::take().map_err(Failure::unavailable)?;
            block_on(serve::serve(context, listen, inherited))
        }
        Command::Stdio => block_on(stdio::stdio(context)),
        Command::Connect(command) => block_on(connect::connect(context, command)),
        Command::Disconnect(command) => connect::disconnect(context, command),
        Command::Library(command) => block_on(library::run(context, command)),
        Command::Connector(command) => block_on(connector::run(context, command)),
        Command::Search(command) => block_on(search::search(context, command)),
        Command::Read(command) => block_on(search::read(context, command)),
        Command::Policy(command) => block_on(policy::run(context, command)),
        Command::Audit(command) => block_on(audit::run(context, command)),
        Command::Report(command) => block_on(report::run(context, command)),
        Command::Events(command) => block_on(event::run(context, command)),
        Command::Account(command) => block_on(account::run(context, command)),
        Command::Token(command) => block_on(token::run(context, command)),
        Command::Log(command) => block_on(log::run(context, command)),
        Command::Alert(command) => block_on(alert::run(context, command)),
        Command::Scan(command) => block_on(scan::run(context, command)),
        Command::Advisories(command) => block_on(advisories::run(context, command)),
        Command::Credential(command) => block_on(credential::run(context, command)),
        Command::Session(command) => block_on(session::run(context, command)),
        Command::Ban(command) => block_on(ban::run(context, command)),
        Command::Vault(command) => block_on(vault::vault(context, command)),
        Command::Key(command) => block_on(vault::key(context, command)),
        Command::Tls(command) => tls::run(context, command),
        Command::Backup(command) => block_on(backup::backup(context, command)),
        Command::Restore(command) => block_on(backup::restore(context, command)),
        Command::Prune(command) => block_on(prune::prune(context, command)),
        Command::Vacuum => block_on(prune::vacuum(context)),
        Command::Incident(command) => block_on(incident::run(context, command)),
        Command::Contain(command) => block_on(contain::contain(context, command)),
        Command::Freeze(command) => block_on(contain::freeze(context, command)),
        Command::Unfreeze => block_on(contain::unfreeze(context)),
        Command::Drain(command) => block_on(drain::run(context, command)),
        Command::Doctor => block_on(doctor::doctor(context)),
        Command::Healthcheck => block_on(doctor::healthcheck(context)),
    }
}

fn block_on(command: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(bound::BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
        .map_err(Failure::internal)?;
    let result = runtime.block_on(command);
    // A thread that waits for standard input would keep the process for ever.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// The page of commands promises each flag.
    #[test]
    fn the_manual_has_every_flag() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/manual/commands.md");
        let page = std::fs::read_to_string(page).unwrap();
        let names = |flag: &str| {
            page.match_indices(flag).any(|(at, _)| {
                let next = page[at + flag.len()..].chars().next();
                !next.is_some_and(|char| char.is_ascii_alphanumeric() || char == '-')
            })
        };
        let mut commands = vec![Arguments::command()];
        let mut missing = Vec::new();
        while let Some(command) = commands.pop() {
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let flag = argument.get_long().map(|long| format!("--{long}"));
                missing.extend(flag.filter(|flag| !names(flag)).map(|flag| format!("{} {flag}", command.get_name())));
            }
            commands.extend(command.get_subcommands().cloned());
        }
        assert!(missing.is_empty(), "{missing:?}");
    }
}

//! `tls init|client|show`: certificates of one's own for sites that no public authority reaches.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::exit::{Failure, NO};
use super::{Context, print};
use crate::base::bound;
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::id::hex;
use crate::config::file;
use crate::crypto::tls::authority::{Authority, AuthorityError, CLIENT_URI, Issued, Validity};
use crate::crypto::tls::certificate::Certificate;
use crate::http::certificates::warning;

#[derive(Debug, Subcommand)]
pub(crate) enum Tls {
    /// Make an authority of your own, and a server certificate that it signs
    Init(Init),
    /// Make a client certificate of that authority, by which a client is recognised (mTLS)
    Client(Client),
    /// Print what the configured certificates say, and how long they are valid
    Show,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// A host name or address that clients will use, beside localhost, 127.0.0.1 and ::1; may be repeated
    #[arg(long, value_name = "HOST")]
    name: Vec<String>,
    #[command(flatten)]
    made: Made,
    /// Make the server's certificate anew; the authority that is there stays, so clients go on trusting it
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Client {
    /// What the client is called: it stands as uri:sekisho:client:NAME in its certificate
    name: String,
    #[command(flatten)]
    made: Made,
    /// Make it anew where it is there
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
struct Made {
    /// How many days the certificate is valid
    #[arg(long, default_value_t = 365, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=bound::TLS_DAYS_MAX))]
    days: u64,
    /// Where the files are [default: tls in the data directory]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn run(context: &Context, command: Tls) -> Result<u8, Failure> {
    match command {
        Tls::Init(init) => make_server(context, init),
        Tls::Client(client) => make_client(context, &client),
        Tls::Show => show(context),
    }
}

/// The files of one pair.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn of(directory: &Path, name: &str) -> Self {
        Self { certificate: directory.join(format!("{name}.pem")), key: directory.join(format!("{name}-key.pem")) }
    }

    fn must_not_exist(&self) -> Result<(), Failure> {
        match [&self.certificate, &self.key].into_iter().find(|path| path.exists()) {
            Some(path) => Err(Failure::exists(format!("{} is there already; --replace makes it anew", path.display()))),
            None => Ok(()),
        }
    }

    fn keep(&self, issued: &Issued) -> Result<(), Failure> {
        // The key first: whoever sees the new certificate finds its key.
        write(&self.key, issued.key.as_bytes(), 0o600)?;
        write(&self.certificate, issued.certificate.as_bytes(), 0o644)
    }

    fn described(&self) -> Result<Certificate, Failure> {
        let certificates = Certificate::of_file(&self.certificate).map_err(Failure::internal)?;
        certificates.into_iter().next().ok_or_else(|| Failure::internal("the certificate is not there any more"))
    }
}

fn directory(context: &Context, made: &Made) -> Result<PathBuf, Failure> {
    let chosen = match &made.directory {
        Some(directory) => directory.clone(),
        None => context.places()?.data.join("tls"),
    };
    std::path::absolute(&chosen).map_err(|error| Failure::usage(format!("{}: {error}", chosen.display())))
}

fn make_server(context: &Context, init: Init) -> Result<u8, Failure> {
    let directory = directory(context, &init.made)?;
    let (ca, server) = (Pair::of(&directory, "ca"), Pair::of(&directory, "server"));
    if !init.replace {
        server.must_not_exist()?;
    }
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let own = init.name.iter().filter(|name| !["localhost", "127.0.0.1", "::1"].contains(&name.as_str()));
    names.splice(0..0, own.cloned());
    let now = SystemClock::default().now();
    let validity = Validity { now, days: init.made.days };
    fs::create_dir_all(&directory).map_err(|error| Failure::exists(format!("{}: {error}", directory.display())))?;
    let (authority, fresh) = if ca.certificate.exists() || ca.key.exists() {
        (open(&ca)?, None)
    } else {
        let (authority, issued) =
            Authority::make(Validity { now, days: bound::TLS_AUTHORITY_DAYS }).map_err(Failure::internal)?;
        (authority, Some(issued))
    };
    // Before anything is written: a wrong name leaves no trace.
    let issued = authority.server(&names, validity).map_err(wrong)?;
    if let Some(fresh) = &fresh {
        ca.keep(fresh)?;
    }
    server.keep(&issued)?;
    let (authority, certificate) = (ca.described()?, server.described()?);
    if context.json {
        let value = json!({
            "authority_made": fresh.is_some(),
            "authority": shown(&authority, &ca.certificate),
            "server": shown(&certificate, &server.certificate),
            "tls_certificate": server.certificate.display().to_string(),
            "tls_key": server.key.display().to_string(),
        });
        print::line(&value.to_string())?;
        return Ok(0);
    }
    tell(&Told {
        ca: &ca,
        server: &server,
        authority: &authority,
        certificate: &certificate,
        names: &init.name,
        fresh: fresh.is_some(),
    })
}

/// What is told after `tls init`.
struct Told<'a> {
    ca: &'a Pair,
    server: &'a Pair,
    authority: &'a Certificate,
    certificate: &'a Certificate,
    names: &'a [String],
    fresh: bool,
}

fn tell(told: &Told<'_>) -> Result<u8, Failure> {
    let quoted = |path: &Path| toml::Value::String(path.display().to_string()).to_string();
    let ca = told.ca.certificate.display();
    let verb = if told.fresh { "Made" } else { "Kept" };
    print::line(&format!("{verb} the authority {ca}\n  {}", told.authority.described()))?;
    print::line(&format!(
        "Made the certificate {}\n  {}",
        told.server.certificate.display(),
        told.certificate.described()
    ))?;
    print::line(&format!(
        "\nIn sekisho.toml (a running server that has these files takes the new ones by itself):\n\n  [http]\n  tls_certificate = {}\n  tls_key = {}",
        quoted(&told.server.certificate),
        quoted(&told.server.key)
    ))?;
    if !told.names.is_empty() {
        let names: toml::Value = told.names.iter().map(String::as_str).collect::<Vec<_>>().into();
        print::line(&format!("  allowed_hosts = {names}"))?;
    }
    print::line(&format!(
        "\nClients trust the authority's certificate (never hand out {}):\n\n  curl --cacert {ca}\n  NODE_EXTRA_CA_CERTS={ca}   (Node: Claude Code, the MCP Inspector)\n  SSL_CERT_FILE={ca}   (Python's httpx, Go, OpenSSL)\n  Debian, Ubuntu: cp {ca} /usr/local/share/ca-certificates/sekisho.crt && update-ca-certificates\n",
        told.ca.key.display()
    ))?;
    Ok(0)
}

fn make_client(context: &Context, client: &Client) -> Result<u8, Failure> {
    let directory = directory(context, &client.made)?;
    let ca = Pair::of(&directory, "ca");
    if !ca.certificate.exists() {
        return Err(Failure::no_input(format!(
            "there is no authority {}; make one with sekisho tls init",
            ca.certificate.display()
        )));
    }
    let validity = Validity { now: SystemClock::default().now(), days: client.made.days };
    let issued = open(&ca)?.client(&client.name, validity).map_err(wrong)?;
    // The name is good as a file's name: the authority has looked at it.
    let pair = Pair::of(&directory, &format!("client-{}", client.name));
    if !client.replace {
        pair.must_not_exist()?;
    }
    pair.keep(&issued)?;
    let certificate = pair.described()?;
    if context.json {
        let mut value = shown(&certificate, &pair.certificate);
        value["key"] = json!(pair.key.display().to_string());
        print::line(&value.to_string())?;
        return Ok(0);
    }
    let quoted = toml::Value::String(ca.certificate.display().to_string());
    print::line(&format!(
        "Made the client certificate {}\n  {}\n\nIn sekisho.toml:\n\n  [http]\n  tls_client_ca = {quoted}\n\nThe client shows it, for example:\n\n  curl --cacert {} --cert {} --key {}\n\nSekisho knows it as uri:{CLIENT_URI}{}.",
        pair.certificate.display(),
        certificate.described(),
        ca.certificate.display(),
        pair.certificate.display(),
        pair.key.display(),
        client.name
    ))?;
    Ok(0)
}

fn show(context: &Context) -> Result<u8, Failure> {
    let places = context.places()?;
    let config = file::load(&places.config, &context.environment)?;
    let Some(tls) = &config.http.tls else {
        print::line(if context.json { "[]" } else { "TLS is not configured: there is no http.tls_certificate." })?;
        return Ok(NO);
    };
    let mut files = vec![tls.certificate.clone()];
    files.extend(tls.client.iter().map(|client| client.authorities.clone()));
    let now = SystemClock::default().now();
    let mut list = Vec::new();
    for path in files {
        for certificate in Certificate::of_file(&path).map_err(Failure::config)? {
            if context.json {
                list.push(shown(&certificate, &path));
                continue;
            }
            let valid = format!("{} to {}", certificate.not_before.rfc3339(), certificate.not_after.rfc3339());
            print::line(&print::painted(print::TITLE, &path.display().to_string()))?;
            print::line(&print::harmless(&format!(
                "  subject      {}\n  names        {}\n  valid        {valid}\n  SHA-256      {}",
                certificate.subject,
                certificate.names.join(" "),
                hex(&certificate.fingerprint)
            )))?;
            if let Some(warning) = warning(&certificate, now) {
                print::line(&print::painted(print::WARNING, &format!("  {}", print::harmless(&warning))))?;
            }
        }
    }
    if context.json {
        print::line(&Value::Array(list).to_string())?;
    }
    Ok(0)
}

fn shown(certificate: &Certificate, path: &Path) -> Value {
    json!({
        "file": path.display().to_string(),
        "subject": certificate.subject,
        "names": certificate.names,
        "not_before": certificate.not_before.rfc3339(),
        "not_after": certificate.not_after.rfc3339(),
        "sha256": hex(&certificate.fingerprint),
        "is_authority": certificate.is_authority,
    })
}

fn open(ca: &Pair) -> Result<Authority, Failure> {
    let read = |path: &Path| {
        let text = fs::read_to_string(path).map(Zeroizing::new);
        text.map_err(|error| Failure::no_input(format!("{}: {error}", path.display())))
    };
    Authority::open(&read(&ca.certificate)?, &read(&ca.key)?)
        .map_err(|error| Failure::not_allowed(format!("{}: {error}", ca.certificate.display())))
}

fn wrong(error: AuthorityError) -> Failure {
    match error {
        AuthorityError::Name(_) | AuthorityError::Client(_) => Failure::usage(error),
        error => Failure::internal(error),
    }
}

/// A file that is there whole or not at all.
fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let fault = |error: io::Error| Failure::exists(format!("{}: {error}", path.display()));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(fault)?;
    file.write_all(content).map_err(fault)?;
    // The process's umask keeps everything to this user; a certificate is for everybody.
    rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(mode)).map_err(|error| fault(error.into()))?;
    file.sync_all().and_then(|()| fs::rename(&temporary, path)).map_err(fault)
}

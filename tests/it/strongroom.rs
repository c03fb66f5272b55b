//! What the tests of vault, audit log and backups share: rows of the file itself, secrets on standard input, patience.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use sekisho::base::secret::Secret;
use sekisho::store::Store;
use sekisho::vault::{self, Open, State};
use serde_json::{Value, json};

use crate::harness::{Installation, PATIENCE, Server, text};

pub(crate) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
pub(crate) type Table<'a> = redb::Table<'a, &'static [u8], &'static [u8]>;

pub(crate) fn database(installation: &Installation) -> PathBuf {
    installation.data().join("sekisho.redb")
}

/// Another installation, with the same files.
pub(crate) fn copied(installation: &Installation) -> Installation {
    let copy = Installation::bare();
    copy_tree(&installation.data(), &copy.data());
    copy
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&entry.path(), &to.join(entry.file_name()));
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// All files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files
}

/// The rows of a table, as they are in the file.
pub(crate) fn rows(file: &Path, table: &str) -> Rows {
    let database = Database::open(file).unwrap();
    let transaction = database.begin_read().unwrap();
    let table = transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(table)).unwrap();
    let owned = |row: Result<_, redb::StorageError>| {
        let (key, value): (redb::AccessGuard<'_, &[u8]>, redb::AccessGuard<'_, &[u8]>) = row.unwrap();
        (key.value().to_vec(), value.value().to_vec())
    };
    table.iter().unwrap().map(owned).collect()
}

/// What somebody with access to the file could do to a table.
pub(crate) fn change(file: &Path, table: &str, change: impl FnOnce(&mut Table<'_>)) {
    let database = Database::open(file).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&mut transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(table)).unwrap());
    transaction.commit().unwrap();
}

pub(crate) fn get(table: &Table<'_>, key: &[u8]) -> Vec<u8> {
    table.get(key).unwrap().unwrap().value().to_vec()
}

/// Runs a command that reads `input`.
pub(crate) fn told(installation: &Installation, arguments: &[&str], input: &str) -> Output {
    let output = tell(&mut installation.command(arguments), input);
    installation.canary.hold(input);
    installation.canary.check(&format!("the output of {arguments:?}"), &[&output.stdout[..], &output.stderr].concat());
    output
}

pub(crate) fn tell(command: &mut Command, input: &str) -> Output {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    // A command that refuses early does not read it.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

/// Everything that a command said.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Checks the exit code, and that the words were said.
pub(crate) fn check(output: &Output, code: i32, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

/// Asks again until there is an answer.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in {:?}: {what}", 2 * PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An installation whose vault a passphrase opens, and its recovery key.
pub(crate) fn with_passphrase(passphrase: &str) -> (Installation, String) {
    let installation = Installation::bare();
    let output = told(&installation, &["--json", "init", "--passphrase"], &format!("{passphrase}\n"));
    check(&output, 0, &[]);
    (installation, recovery_in(&output))
}

/// The recovery key that a command with `--json` showed.
pub(crate) fn recovery_in(output: &Output) -> String {
    let shown: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)));
    shown["recovery"].as_str().unwrap_or_else(|| panic!("no recovery key in {shown}")).to_owned()
}

/// An entry per call, a few milliseconds each.
pub(crate) fn call_often(server: &Server, times: usize) {
    for _ in 0..times {
        server.call("list_libraries", json!({}));
    }
}

/// The vault of a database at which nobody works, opened with the secret of its key file.
pub(crate) fn opened(file: &Path, secret: &str) -> (sekisho::store::Opened, Open) {
    let opened = Store::open_copy(file).unwrap();
    let State::Sealed(sealed) = opened.read(vault::state).unwrap() else { panic!("there is no vault") };
    let open = sealed.unseal(&Secret::new(secret.trim())).unwrap();
    (opened, open)
}

/// How long something takes on this machine, which is as long as there are moments to kill it in.
pub(crate) fn time_of(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

/// Another moment of `span` each round, and sooner or later close to every one.
pub(crate) fn moment(round: u32, span: Duration) -> Duration {
    span.mul_f64((f64::from(round + 1) * 0.618_034).fract())
}

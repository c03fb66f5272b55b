//! Uploads in pieces: followed from their beginning to their end, so that the log knows the whole file, its digest, and
//! an agent what comes next.
//!
//! The pieces go to the API one by one, each in a call of its own. What is followed here was begun here, by the same
//! principal, since the start; other uploads are passed on piece by piece, unless a scanner has to see files whole.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::tool::Tool;
use super::upload::{File, is_file_name};
use crate::base::bound::connector as bound;
use crate::base::clock::Clock;
use crate::base::refusal::{Code, Refusal};
use crate::crypto::digest::{Hash, Hasher, sha256};
use crate::openapi::UploadStep;

/// All uploads in pieces that are under way.
#[derive(Debug)]
pub(super) struct Uploads {
    clock: Arc<dyn Clock>,
    /// Held for a look-up and the digest of one piece, never across an await.
    open: Mutex<HashMap<Key, Upload>>,
}

/// Whose upload it is: nobody goes on with another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    connector: String,
    principal: Arc<str>,
    /// As the API calls it.
    upload: String,
}

#[derive(Debug)]
struct Upload {
    name: String,
    bytes_expected: u64,
    bytes: u64,
    first: u64,
    /// The digest of each piece.
    pieces: Vec<Hash>,
    whole: Hasher,
    /// For a scanner.
    content: Option<Vec<u8>>,
    /// A call about it is under way.
    is_busy: bool,
    touched: Duration,
}

/// Whose call it is, and whether a scanner looks at what it sends.
#[derive(Clone, Debug)]
pub(super) struct Whose<'a> {
    pub(super) connector: &'a str,
    pub(super) principal: Arc<str>,
    pub(super) is_scanned: bool,
}

/// What a call is in an upload.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// None, or one that is not followed.
    Other,
    Begin(Begin<'a>),
    Going(Going<'a>),
}

/// An upload that begins once the API has given it a name.
#[derive(Debug)]
pub(super) struct Begin<'a> {
    uploads: &'a Uploads,
    whose: Whose<'a>,
    name: String,
    bytes_expected: u64,
    answer: Vec<String>,
}

/// A piece, or the end, of an upload that is followed. Dropped without [`Going::done`] it was not sent.
#[derive(Debug)]
pub(super) struct Going<'a> {
    uploads: &'a Uploads,
    key: Key,
    /// None at the end.
    piece: Option<Piece>,
    pub(super) told: Told,
    /// At the end: the whole file, for a scanner.
    pub(super) content: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Piece {
    content: Vec<u8>,
    /// It is there already, with the same content.
    is_again: bool,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) bytes_expected: u64,
    /// The number of the next piece.
    pub(super) next: u64,
}

impl Told {
    /// For people and agents.
    pub(super) fn text(&self) -> String {
        let Self { name, bytes, bytes_expected, next } = self;
        if bytes == bytes_expected {
            format!("{name}: all {bytes} bytes are there; the upload can be finished")
        } else {
            format!("{name}: {bytes} of {bytes_expected} bytes are there; the next piece has the number {next}")
        }
    }
}

impl Uploads {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, open: Mutex::default() }
    }

    /// What a call is, before it is sent.
    pub(super) fn step<'a>(
        &'a self,
        whose: Whose<'a>,
        tool: &Tool,
        arguments: &Value,
        files: &[File],
    ) -> Result<Step<'a>, Refusal> {
        match &tool.upload {
            None => Ok(Step::Other),
            Some(UploadStep::Begin { name, size, answer }) => {
                let given = text(&arguments[name]).unwrap_or_default();
                // It will stand in entries and in what agents read.
                if !is_file_name(&given) {
                    let reason = "a file's name has 1 to 255 letters, digits, dots, hyphens and underscores, and is not `.` or `..`";
                    return Err(invalid(name, reason));
                }
                let name = given;
                let bytes_expected = whole(&arguments[size])
                    .filter(|bytes| *bytes > 0)
                    .ok_or_else(|| invalid(size, "a file's size is a whole number of bytes, from 1 up"))?;
                if whose.is_scanned && bytes_expected > bound::UPLOAD_SCANNED_BYTES_MAX as u64 {
                    let most = bound::UPLOAD_SCANNED_BYTES_MAX;
                    let public = format!("Files for {} are scanned, so they may have {most} bytes.", whose.connector);
                    return Err(Refusal::new(Code::TooLarge, public));
                }
                if whose.is_scanned && !self.has_room(&whose.principal, bytes_expected) {
                    return Err(Refusal::new(Code::Busy, "Too many files wait for the scanner; begin again later."));
                }
                Ok(Step::Begin(Begin { uploads: self, whose, name, bytes_expected, answer: answer.clone() }))
            }
            Some(UploadStep::Piece { upload, number, content, first }) => {
                let number = whole(&arguments[number])
                    .ok_or_else(|| invalid(number, "the number of a piece is a whole number"))?;
                let file = files.iter().find(|file| file.argument == *content);
                let file = file.ok_or_else(|| invalid(content, "a piece is base64"))?;
                self.going(whose, &arguments[upload], |upload| upload.takes(number, *first, &file.content).map(Some))
            }
            Some(UploadStep::Finish { upload }) => {
                self.going(whose, &arguments[upload], |upload| upload.is_whole().map(|()| None))
            }
        }
    }

    fn going<'a>(
        &'a self,
        whose: Whose<'a>,
        named: &Value,
        look: impl FnOnce(&mut Upload) -> Result<Option<Piece>, Refusal>,
    ) -> Result<Step<'a>, Refusal> {
        let Whose { connector, principal, is_scanned } = whose;
        let key = Key { connector: connector.to_owned(), principal, upload: text(named).unwrap_or_default() };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_old(&mut open);
        let found = open.get_mut(&key).filter(|upload| !is_scanned || upload.content.is_some());
        let Some(upload) = found else {
            if is_scanned {
                let public = format!(
                    "Files for {connector} are scanned whole, and this upload was not begun here, or too long ago: begin it again."
                );
                return Err(Refusal::new(Code::Conflict, public));
            }
            return Ok(Step::Other);
        };
        if upload.is_busy {
            let public =
                format!("Another call about {} is under way; its pieces come one after the other.", upload.name);
            return Err(Refusal::new(Code::Conflict, public));
        }
        let piece = look(upload)?;
        upload.is_busy = true;
        let content = if piece.is_none() { upload.content.clone() } else { None };
        let told = upload.told();
        Ok(Step::Going(Going { uploads: self, key, piece, told, content }))
    }

    pub(super) fn forget(&self, connector: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| key.connector != connector);
    }

    /// Forgets what nobody went on with, also where nobody begins or goes on with anything else: some of it holds files.
    /// Gives how many bytes of them are still held.
    pub(super) fn forget_all_old(&self) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_old(&mut open);
        open.values().filter_map(|upload| upload.content.as_ref()).map(Vec::len).sum()
    }

    /// Whether one more file can be held for a scanner.
    fn has_room(&self, principal: &Arc<str>, bytes: u64) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_old(&mut open);
        fits(&open, principal, bytes)
    }

    fn forget_old(&self, open: &mut HashMap<Key, Upload>) {
        let now = self.clock.monotonic();
        open.retain(|_, upload| {
            let is_held = upload.content.is_some();
            let most = if is_held { bound::UPLOAD_HELD_IDLE_MS } else { bound::UPLOAD_IDLE_MS };
            upload.is_busy || now.saturating_sub(upload.touched) < Duration::from_millis(most)
        });
    }
}

impl Begin<'_> {
    pub(super) fn note(&self) -> String {
        format!("an upload in pieces of {}, {} bytes", self.name, self.bytes_expected)
    }

    /// The API answered: the upload is followed from now on, if the answer names it and there is room.
    pub(super) fn done(self, answer: Option<&Value>) -> Option<Told> {
        let Self { uploads, whose, name, bytes_expected, answer: pointers } = self;
        let named = answer.and_then(|answer| pointers.iter().find_map(|pointer| text(answer.pointer(pointer)?)));
        let id = named.filter(|id| (1..=bound::UPLOAD_ID_BYTES_MAX).contains(&id.len()))?;
        let key = Key { connector: whose.connector.to_owned(), principal: whose.principal, upload: id };
        let mut open = uploads.open.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.forget_old(&mut open);
        // One that the API calls by a name that it gave before is another one.
        if open.remove(&key).is_none() {
            make_room(&mut open, &key.principal);
        }
        // Others may have begun since.
        if whose.is_scanned && !fits(&open, &key.principal, bytes_expected) {
            return None;
        }
        let content = whose.is_scanned.then(Vec::new);
        let upload = Upload {
            name,
            bytes_expected,
            bytes: 0,
            first: 0,
            pieces: Vec::new(),
            whole: Hasher::default(),
            content,
            is_busy: false,
            touched: uploads.clock.monotonic(),
        };
        let told = upload.told();
        open.insert(key, upload);
        Some(told)
    }
}

/// What was promised counts, not what came of it so far.
fn fits(open: &HashMap<Key, Upload>, principal: &Arc<str>, bytes: u64) -> bool {
    let (mut of_all, mut of_one) = (bytes, bytes);
    for (key, upload) in open.iter().filter(|(_, upload)| upload.content.is_some()) {
        of_all = of_all.saturating_add(upload.bytes_expected);
        if key.principal == *principal {
            of_one = of_one.saturating_add(upload.bytes_expected);
        }
    }
    of_all <= bound::UPLOADS_SCANNED_BYTES_MAX as u64 && of_one <= bound::UPLOADS_SCANNED_PER_PRINCIPAL_BYTES_MAX as u64
}

/// Forgets the upload that nobody went on with for longest, where there is no room: the principal's own first. It is
/// then passed on as one that was begun elsewhere.
fn make_room(open: &mut HashMap<Key, Upload>, principal: &Arc<str>) {
    let own = open.keys().filter(|key| key.principal == *principal).count();
    let only_own = own >= bound::UPLOADS_PER_PRINCIPAL_MAX;
    if !only_own && open.len() < bound::UPLOADS_MAX {
        return;
    }
    let mut those: Vec<(&Key, &Upload)> = open.iter().collect();
    those.retain(|(key, upload)| !upload.is_busy && (!only_own || key.principal == *principal));
    let oldest = those.into_iter().min_by_key(|(_, upload)| upload.touched).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        open.remove(&oldest);
    }
}

impl Upload {
    fn told(&self) -> Told {
        let next = self.first.saturating_add(self.pieces.len() as u64);
        Told { name: self.name.clone(), bytes: self.bytes, bytes_expected: self.bytes_expected, next }
    }

    /// Whether a piece can be taken: the next one, or one that is there already, as it is sent again when an answer
    /// was lost.
    fn takes(&mut self, number: u64, first: u64, content: &[u8]) -> Result<Piece, Refusal> {
        self.first = first;
        let told = self.told();
        let conflict = |reason: &str| Err(Refusal::new(Code::Conflict, format!("{reason}. {}.", told.text())));
        let known = number.checked_sub(first).and_then(|place| self.pieces.get(usize::try_from(place).ok()?));
        if let Some(known) = known {
            return if *known == sha256(&[content]) {
                Ok(Piece { content: content.to_vec(), is_again: true })
            } else {
                conflict("A piece of this number is there already, with another content; begin the upload again")
            };
        }
        if number != told.next {
            return conflict("The pieces of an upload come in their order");
        }
        if content.is_empty() {
            return conflict("A piece has at least one byte");
        }
        if self.bytes.saturating_add(content.len() as u64) > self.bytes_expected {
            return conflict("With this piece the file would be larger than it was said to be");
        }
        if self.pieces.len() >= bound::UPLOAD_PIECES_MAX {
            return conflict("The upload has as many pieces as one may have; begin again with larger ones");
        }
        Ok(Piece { content: content.to_vec(), is_again: false })
    }

    fn is_whole(&self) -> Result<(), Refusal> {
        if self.bytes == self.bytes_expected {
            return Ok(());
        }
        let missing = self.bytes_expected.saturating_sub(self.bytes);
        let public = format!("{missing} bytes are missing. {}.", self.told().text());
        Err(Refusal::new(Code::Conflict, public))
    }
}

impl Going<'_> {
    /// The API took it. Gives how far it is, and at the end the digest of the whole file.
    pub(super) fn done(mut self) -> (Told, Option<Hash>) {
        let mut open = self.uploads.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(piece) = self.piece.take() else {
            let whole = open.remove(&self.key).map(|upload| upload.whole.finish());
            return (self.told.clone(), whole);
        };
        let Some(upload) = open.get_mut(&self.key) else { return (self.told.clone(), None) };
        upload.touched = self.uploads.clock.monotonic();
        if !piece.is_again {
            upload.bytes = upload.bytes.saturating_add(piece.content.len() as u64);
            upload.pieces.push(sha256(&[&piece.content]));
            upload.whole.update(&piece.content);
            if let Some(content) = &mut upload.content {
                content.extend_from_slice(&piece.content);
            }
        }
        (upload.told(), None)
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        if let Some(upload) = self.uploads.open.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&self.key) {
            upload.is_busy = false;
        }
    }
}

fn invalid(argument: &str, reason: &str) -> Refusal {
    let data = serde_json::json!({"pointer": format!("/{argument}")});
    Refusal::new(Code::Invalid, format!("the argument {argument} cannot be sent: {reason}.")).with_data(data)
}

/// The name of something, whether it is written as a text or as a number.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A whole number, whichever way JSON writes it.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..9e15).contains(float))?;
        format!("{float:.0}").parse().ok()
    })
}

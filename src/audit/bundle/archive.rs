//! The tar archive of a bundle, written in the one way in which it is read.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Write};

use tar::{EntryType, Header};

use super::{CHECKPOINT, LEAVES, MANIFEST, PERSONAL, README, Stop};
use crate::audit::render::{FORMATS, text};
use crate::base::bound;
use crate::crypto::digest::{Hash, Hasher};

/// Headers and paddings are of blocks of this size (POSIX.1-1988, ustar interchange format).
const BLOCK_BYTES: usize = 512;
const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// The name of the readable file.
pub(super) fn entries_name(extension: &str) -> String {
    format!("entries.{extension}")
}

/// The only header for a member of this name and size. GNU's form holds sizes from 8 GiB on.
fn header(name: &str, bytes: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes);
    header.set_cksum();
    Ok(header)
}

/// How many zeros follow a member.
fn padding(bytes: u64) -> usize {
    let over = usize::try_from(bytes % BLOCK_BYTES as u64).unwrap_or_default();
    (BLOCK_BYTES - over) % BLOCK_BYTES
}

/// Writes an archive. `tar::Builder` is not used, for it ends the archive also when it is dropped after an error.
pub(super) struct Writer<'a, W> {
    out: &'a mut W,
    written: u64,
}

impl<'a, W: Write> Writer<'a, W> {
    pub(super) fn new(out: &'a mut W) -> Self {
        Self { out, written: 0 }
    }

    pub(super) fn member(&mut self, name: &str, bytes: u64, content: impl Read) -> io::Result<()> {
        self.out.write_all(header(name, bytes)?.as_bytes())?;
        let copied = io::copy(&mut content.take(bytes), self.out)?;
        if copied != bytes {
            let message = format!("{name} has {copied} bytes, it had {bytes} when it was measured");
            return Err(io::Error::new(ErrorKind::UnexpectedEof, message));
        }
        let zeros = ZEROS.get(..padding(bytes)).unwrap_or_default();
        self.out.write_all(zeros)?;
        self.written += (BLOCK_BYTES + zeros.len()) as u64 + bytes;
        Ok(())
    }

    /// Ends the archive; gives its length in bytes.
    pub(super) fn end(self) -> io::Result<u64> {
        self.out.write_all(&[ZEROS, ZEROS].concat())?;
        self.out.flush()?;
        Ok(self.written + 2 * BLOCK_BYTES as u64)
    }
}

/// Reads an archive from front to back.
pub(super) struct Archive<R> {
    input: BufReader<R>,
    is_begun: bool,
}

impl<R: Read> Archive<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(bound::BUNDLE_CHUNK_BYTES, input), is_begun: false }
    }

    /// Begins the next member, which must have this name and the one header for it.
    pub(super) fn member<'a>(&'a mut self, name: &'a str) -> Result<Member<'a, R>, Stop> {
        let mut block = ZEROS;
        read_exact(&mut self.input, &mut block, name)?;
        let found = Header::from_byte_slice(&block);
        let bytes = found.entry_size().unwrap_or_default();
        let expected = header(name, bytes).map_err(Stop::Read)?;
        if *expected.as_bytes() != block {
            return Err(match self.is_begun {
                false => Stop::incomplete("this is no audit bundle: it does not begin as one does"),
                true if block == ZEROS || is_other_member(&block, name) => {
                    Stop::incomplete(format!("the bundle has no {name} where it belongs"))
                }
                true => {
                    let found = text::excerpt(&String::from_utf8_lossy(&found.path_bytes()));
                    Stop::tampered(
                        None,
                        format!("the archive's header of {name}"),
                        format!("another one, of {found:?}"),
                    )
                }
            });
        }
        self.is_begun = true;
        Ok(Member { input: &mut self.input, name, bytes, left: bytes, hasher: Hasher::default() })
    }

    /// Checks that the archive ends here, and the file with it.
    pub(super) fn end(mut self) -> Result<(), Stop> {
        for _ in 0..2 {
            let mut block = ZEROS;
            read_exact(&mut self.input, &mut block, "the archive's end")?;
            if block != ZEROS {
                return Err(Stop::tampered(None, "the archive's end after its last member", "more"));
            }
        }
        let more = retried(|| self.input.read(&mut [0])).map_err(Stop::Read)?;
        if more > 0 {
            return Err(Stop::tampered(None, "nothing after the archive's end", "more bytes"));
        }
        Ok(())
    }
}

/// Whether this is a good header of another member of a bundle: then the one that was expected was left out.
fn is_other_member(block: &[u8; BLOCK_BYTES], name: &str) -> bool {
    let found = Header::from_byte_slice(block);
    let Ok(bytes) = found.entry_size() else { return false };
    let entries = FORMATS.map(|format| entries_name(format.extension()));
    let fixed = [README, MANIFEST, CHECKPOINT, LEAVES, PERSONAL];
    fixed
        .into_iter()
        .chain(entries.iter().map(String::as_str))
        .any(|other| other != name && header(other, bytes).is_ok_and(|good| good.as_bytes() == block))
}

/// A member while it is read.
pub(super) struct Member<'a, R> {
    input: &'a mut BufReader<R>,
    name: &'a str,
    bytes: u64,
    left: u64,
    hasher: Hasher,
}

impl<R: Read> Member<'_, R> {
    /// The length of the whole member.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads some of what is left, at most as much as `buffer` holds; nothing at the end only.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let got = retried(|| self.input.read(buffer)).map_err(Stop::Read)?;
        if got == 0 {
            return Err(ends_in(self.name));
        }
        self.left -= got as u64;
        self.hasher.update(buffer.get(..got).unwrap_or_default());
        Ok(got)
    }

    /// Reads a line of at most `bytes_max` bytes into `line`, without its LF. `false` at the end of the member.
    pub(super) fn line(&mut self, line: &mut Vec<u8>, bytes_max: usize) -> Result<bool, Stop> {
        line.clear();
        if self.left == 0 {
            return Ok(false);
        }
        let most = self.left.min(bytes_max as u64 + 1);
        let got = self.input.by_ref().take(most).read_until(b'\n', line).map_err(Stop::Read)? as u64;
        self.left -= got;
        self.hasher.update(line);
        if line.pop_if(|last| *last == b'\n').is_some() {
            return Ok(true);
        }
        if got < most {
            return Err(ends_in(self.name));
        }
        let expected = format!("lines of {} of at most {bytes_max} bytes, each ended by a newline", self.name);
        Err(Stop::tampered(None, expected, "another one"))
    }

    /// Reads all of a small member, and its digest.
    pub(super) fn whole(mut self, bytes_max: usize) -> Result<(Vec<u8>, Hash), Stop> {
        let fits = usize::try_from(self.bytes).ok().filter(|bytes| *bytes <= bytes_max);
        let Some(bytes) = fits else {
            let expected = format!("{} of at most {bytes_max} bytes", self.name);
            return Err(Stop::tampered(None, expected, format!("{} bytes", self.bytes)));
        };
        let mut content = vec![0; bytes];
        let mut at = 0;
        while at < bytes {
            at += self.read(content.get_mut(at..).unwrap_or_default())?;
        }
        Ok((content, self.end()?))
    }

    /// Reads what is left and the padding; gives the digest of the whole.
    pub(super) fn end(mut self) -> Result<Hash, Stop> {
        let mut chunk = vec![0; bound::BUNDLE_CHUNK_BYTES];
        while self.read(&mut chunk)? > 0 {}
        let mut zeros = ZEROS;
        let zeros = zeros.get_mut(..padding(self.bytes)).unwrap_or_default();
        read_exact(self.input, zeros, self.name)?;
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(Stop::tampered(None, format!("zeros after {}", self.name), "other bytes"));
        }
        Ok(self.hasher.finish())
    }
}

fn ends_in(name: &str) -> Stop {
    Stop::incomplete(format!("the file ends in {name}: it was cut; fetch it again"))
}

fn read_exact(input: &mut impl Read, buffer: &mut [u8], name: &str) -> Result<(), Stop> {
    input.read_exact(buffer).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => ends_in(name),
        _ => Stop::Read(error),
    })
}

/// A signal is no reason to give up.
fn retried(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

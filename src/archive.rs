//! A tar archive in the one form that it can have: for given members there is one archive, and any other byte is noticed.
//!
//! Headers are GNU tar headers with mode 0644 and everything else zero, members are padded with zeros, and the archive
//! ends with two zero blocks. Bundles of the audit log and of libraries, and the evidence of incidents are such archives.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Write};

use tar::{EntryType, Header};

use crate::base::bound;
use crate::crypto::digest::{Hash, Hasher};

/// Headers and paddings are of blocks of this size (POSIX.1-1988, ustar interchange format).
const BLOCK_BYTES: usize = 512;
const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Why an archive cannot be read as what it should be. Texts are about its form; what `found` quotes may be hostile.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("reading failed: {0}")]
    Read(io::Error),
    /// Its first member is another one, or it is no archive.
    #[error("it does not begin as one does")]
    Foreign,
    #[error("it has no {0} where it belongs")]
    Missing(String),
    #[error("the file ends in {0}: it was cut; fetch it again")]
    Cut(String),
    #[error("expected {expected}, found {found}")]
    Changed { expected: String, found: String },
}

impl Fault {
    fn changed(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Changed { expected: expected.into(), found: found.into() }
    }
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
#[derive(Debug)]
pub struct Writer<'a, W> {
    out: &'a mut W,
    written: u64,
}

impl<'a, W: Write> Writer<'a, W> {
    pub fn new(out: &'a mut W) -> Self {
        Self { out, written: 0 }
    }

    /// Writes a member that is read from `content`, which has so many bytes.
    pub fn member(&mut self, name: &str, bytes: u64, content: impl Read) -> io::Result<()> {
        self.filled(name, bytes, |out| io::copy(&mut content.take(bytes), out).map(drop))
    }

    /// Writes a member of exactly so many bytes, which `fill` is asked for.
    pub fn filled<E: From<io::Error>>(
        &mut self,
        name: &str,
        bytes: u64,
        fill: impl FnOnce(&mut Counted<'_, W>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.out.write_all(header(name, bytes)?.as_bytes())?;
        let mut counted = Counted { out: &mut *self.out, bytes: 0 };
        fill(&mut counted)?;
        let copied = counted.bytes;
        if copied != bytes {
            let message = format!("{name} has {copied} bytes, it had {bytes} when it was measured");
            return Err(io::Error::new(ErrorKind::UnexpectedEof, message).into());
        }
        let zeros = ZEROS.get(..padding(bytes)).unwrap_or_default();
        self.out.write_all(zeros)?;
        self.written += (BLOCK_BYTES + zeros.len()) as u64 + bytes;
        Ok(())
    }

    /// Ends the archive; gives its length in bytes.
    pub fn end(self) -> io::Result<u64> {
        self.out.write_all(&[ZEROS, ZEROS].concat())?;
        self.out.flush()?;
        Ok(self.written + 2 * BLOCK_BYTES as u64)
    }
}

/// Counts what passes.
#[derive(Debug)]
pub struct Counted<'a, W> {
    out: &'a mut W,
    bytes: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buffer)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads an archive from front to back.
#[derive(Debug)]
pub struct Archive<R> {
    input: BufReader<R>,
    /// What its members may be called.
    names: Vec<String>,
    is_begun: bool,
}

impl<R: Read> Archive<R> {
    /// An archive whose members have some of these names.
    pub fn new(input: R, names: Vec<String>) -> Self {
        Self { input: BufReader::with_capacity(bound::BUNDLE_CHUNK_BYTES, input), names, is_begun: false }
    }

    /// Begins the next member, which must have this name and the one header for it.
    pub fn member<'a>(&'a mut self, name: &'a str) -> Result<Member<'a, R>, Fault> {
        let mut block = ZEROS;
        read_exact(&mut self.input, &mut block, name)?;
        let found = Header::from_byte_slice(&block);
        let bytes = found.entry_size().unwrap_or_default();
        let expected = header(name, bytes).map_err(Fault::Read)?;
        if *expected.as_bytes() != block {
            return Err(match self.is_begun {
                false => Fault::Foreign,
                true if block == ZEROS || self.is_other_member(&block, name) => Fault::Missing(name.to_owned()),
                true => {
                    let found = String::from_utf8_lossy(&found.path_bytes()).into_owned();
                    Fault::changed(format!("the archive's header of {name}"), format!("another one, of {found:?}"))
                }
            });
        }
        self.is_begun = true;
        Ok(Member { input: &mut self.input, name, bytes, left: bytes, hasher: Hasher::default() })
    }

    /// Whether this is a good header of another member: then the one that was expected was left out.
    fn is_other_member(&self, block: &[u8; BLOCK_BYTES], name: &str) -> bool {
        let found = Header::from_byte_slice(block);
        let Ok(bytes) = found.entry_size() else { return false };
        self.names.iter().any(|other| other != name && header(other, bytes).is_ok_and(|good| good.as_bytes() == block))
    }

    /// Checks that the archive ends here, and the file with it.
    pub fn end(mut self) -> Result<(), Fault> {
        for _ in 0..2 {
            let mut block = ZEROS;
            read_exact(&mut self.input, &mut block, "the archive's end")?;
            if block != ZEROS {
                return Err(Fault::changed("the archive's end after its last member", "more"));
            }
        }
        let more = retried(|| self.input.read(&mut [0])).map_err(Fault::Read)?;
        if more > 0 {
            return Err(Fault::changed("nothing after the archive's end", "more bytes"));
        }
        Ok(())
    }
}

/// A member while it is read.
#[derive(Debug)]
pub struct Member<'a, R> {
    input: &'a mut BufReader<R>,
    name: &'a str,
    bytes: u64,
    left: u64,
    hasher: Hasher,
}

impl<'a, R: Read> Member<'a, R> {
    /// What is left of it, as others read.
    pub fn stream<'m>(&'m mut self) -> Stream<'m, 'a, R> {
        Stream(self)
    }

    /// The length of the whole member.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads some of what is left, at most as much as `buffer` holds; nothing at the end only.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let got = retried(|| self.input.read(buffer)).map_err(Fault::Read)?;
        if got == 0 {
            return Err(ends_in(self.name));
        }
        self.left -= got as u64;
        self.hasher.update(buffer.get(..got).unwrap_or_default());
        Ok(got)
    }

    /// Reads a line of at most `bytes_max` bytes into `line`, without its LF. `false` at the end of the member.
    pub fn line(&mut self, line: &mut Vec<u8>, bytes_max: usize) -> Result<bool, Fault> {
        line.clear();
        if self.left == 0 {
            return Ok(false);
        }
        let most = self.left.min(bytes_max as u64 + 1);
        let got = self.input.by_ref().take(most).read_until(b'\n', line).map_err(Fault::Read)? as u64;
        self.left -= got;
        self.hasher.update(line);
        if line.pop_if(|last| *last == b'\n').is_some() {
            return Ok(true);
        }
        if got < most {
            return Err(ends_in(self.name));
        }
        let expected = format!("lines of {} of at most {bytes_max} bytes, each ended by a newline", self.name);
        Err(Fault::changed(expected, "another one"))
    }

    /// Reads exactly so many bytes, which the caller bounds.
    pub fn exactly(&mut self, bytes: usize) -> Result<Vec<u8>, Fault> {
        if bytes as u64 > self.left {
            let expected = format!("{bytes} more bytes of {}", self.name);
            return Err(Fault::changed(expected, self.left.to_string()));
        }
        let mut content = vec![0; bytes];
        let mut at = 0;
        while at < bytes {
            at += self.read(content.get_mut(at..).unwrap_or_default())?;
        }
        Ok(content)
    }

    /// Reads all of a small member, and its digest.
    pub fn whole(mut self, bytes_max: usize) -> Result<(Vec<u8>, Hash), Fault> {
        let fits = usize::try_from(self.bytes).ok().filter(|bytes| *bytes <= bytes_max);
        let Some(bytes) = fits else {
            let expected = format!("{} of at most {bytes_max} bytes", self.name);
            return Err(Fault::changed(expected, format!("{} bytes", self.bytes)));
        };
        let content = self.exactly(bytes)?;
        Ok((content, self.end()?))
    }

    /// Reads what is left and the padding; gives the digest of the whole.
    pub fn end(mut self) -> Result<Hash, Fault> {
        let mut chunk = vec![0; bound::BUNDLE_CHUNK_BYTES];
        while self.read(&mut chunk)? > 0 {}
        let mut zeros = ZEROS;
        let zeros = zeros.get_mut(..padding(self.bytes)).unwrap_or_default();
        read_exact(self.input, zeros, self.name)?;
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(Fault::changed(format!("zeros after {}", self.name), "other bytes"));
        }
        Ok(self.hasher.finish())
    }
}

/// A member as a stream, for an archive within an archive. One that was cut ends there, and who reads it notices.
#[derive(Debug)]
pub struct Stream<'m, 'a, R>(&'m mut Member<'a, R>);

impl<R: Read> Read for Stream<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Ok(got) => Ok(got),
            Err(Fault::Read(error)) => Err(error),
            Err(Fault::Cut(_)) => Ok(0),
            Err(fault) => Err(io::Error::new(ErrorKind::InvalidData, fault)),
        }
    }
}

fn ends_in(name: &str) -> Fault {
    Fault::Cut(name.to_owned())
}

fn read_exact(input: &mut impl Read, buffer: &mut [u8], name: &str) -> Result<(), Fault> {
    input.read_exact(buffer).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => ends_in(name),
        _ => Fault::Read(error),
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

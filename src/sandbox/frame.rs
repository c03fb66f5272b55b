//! What goes through the pipes: a tag, two lengths, the head in JSON, and the body.
//!
//! One byte `a` (answer), `r` (refused) or `q` (question); the length of the head and of the body, each u32, little
//! endian; head; body. The head of a question is the length of the job's name (one byte), the name, and the question.

use std::io::{self, ErrorKind, Read, Write};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::base::bound::sandbox as bound;

const PRELUDE_BYTES: usize = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Answer,
    Refused,
    Question,
}

impl Tag {
    fn byte(self) -> u8 {
        match self {
            Self::Answer => b'a',
            Self::Refused => b'r',
            Self::Question => b'q',
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) tag: Tag,
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
}

struct Prelude {
    tag: Tag,
    head: usize,
    body: usize,
}

impl Prelude {
    fn of(tag: Tag, head: usize, body: usize) -> io::Result<Vec<u8>> {
        if head > bound::SANDBOX_HEAD_BYTES_MAX || body > bound::SANDBOX_BODY_BYTES_MAX {
            return Err(io::Error::new(ErrorKind::InvalidInput, format!("{head} and {body} bytes are too many")));
        }
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
        Ok([&[tag.byte()][..], &size(head), &size(body)].concat())
    }

    fn parse(bytes: [u8; PRELUDE_BYTES]) -> io::Result<Self> {
        let wrong = |what: &str| io::Error::new(ErrorKind::InvalidData, format!("no frame: {what}"));
        let [tag, sizes @ ..] = bytes;
        let tag = match tag {
            b'a' => Tag::Answer,
            b'r' => Tag::Refused,
            b'q' => Tag::Question,
            _ => return Err(wrong("an unknown tag")),
        };
        let size = |bytes| usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
        let (Some(head), Some(body)) = (sizes.first_chunk(), sizes.last_chunk()) else {
            return Err(wrong("it is cut"));
        };
        let (head, body) = (size(*head), size(*body));
        if head > bound::SANDBOX_HEAD_BYTES_MAX || body > bound::SANDBOX_BODY_BYTES_MAX {
            return Err(wrong("it is too long"));
        }
        Ok(Self { tag, head, body })
    }
}

impl Frame {
    /// Writes a frame of these parts.
    pub(super) fn write(output: &mut impl Write, tag: Tag, head: &[u8], body: &[u8]) -> io::Result<()> {
        output.write_all(&Prelude::of(tag, head.len(), body.len())?)?;
        output.write_all(head)?;
        output.write_all(body)?;
        output.flush()
    }

    /// The next frame; `None` where the other end has no more.
    pub(super) fn read(input: &mut impl Read) -> io::Result<Option<Self>> {
        let mut prelude = [0; PRELUDE_BYTES];
        let (first, rest) = prelude.split_at_mut(1);
        if input.read(first)? == 0 {
            return Ok(None);
        }
        input.read_exact(rest)?;
        let Prelude { tag, head, body } = Prelude::parse(prelude)?;
        Ok(Some(Self { tag, head: exactly(input, head)?, body: exactly(input, body)? }))
    }

    /// As [`Frame::read`], from a process that may send anything: memory is taken as bytes come, not as they are promised.
    pub(super) async fn receive(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut prelude = [0; PRELUDE_BYTES];
        input.read_exact(&mut prelude).await?;
        let Prelude { tag, head, body } = Prelude::parse(prelude)?;
        let mut parts = [Vec::new(), Vec::new()];
        for (part, bytes) in parts.iter_mut().zip([head, body]) {
            (&mut *input).take(bytes as u64).read_to_end(part).await?;
            if part.len() != bytes {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let [head, body] = parts;
        Ok(Self { tag, head, body })
    }

    /// The job and the question in the head of a question.
    pub(super) fn question(&self) -> Option<(&str, &[u8])> {
        let (bytes, rest) = self.head.split_first().filter(|_| self.tag == Tag::Question)?;
        let (job, question) = rest.split_at_checked(usize::from(*bytes))?;
        Some((std::str::from_utf8(job).ok()?, question))
    }
}

fn exactly(input: &mut impl Read, bytes: usize) -> io::Result<Vec<u8>> {
    let mut part = Vec::with_capacity(bytes);
    input.take(bytes as u64).read_to_end(&mut part)?;
    if part.len() == bytes { Ok(part) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

fn head_of(job: &str, question: &[u8]) -> io::Result<Vec<u8>> {
    let bytes = u8::try_from(job.len()).map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
    Ok([&[bytes], job.as_bytes(), question].concat())
}

pub(super) async fn send_question(
    output: &mut (impl AsyncWrite + Unpin),
    job: &str,
    question: &[u8],
    body: &[u8],
) -> io::Result<()> {
    let head = head_of(job, question)?;
    output.write_all(&Prelude::of(Tag::Question, head.len(), body.len())?).await?;
    output.write_all(&head).await?;
    output.write_all(body).await?;
    output.flush().await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop};
    use proptest::proptest;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(head in prop::collection::vec(any::<u8>(), 0..64), body in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut bytes = Vec::new();
            Frame::write(&mut bytes, Tag::Answer, &head, &body).unwrap();
            let read = Frame::read(&mut bytes.as_slice()).unwrap().unwrap();
            assert_eq!(read, Frame { tag: Tag::Answer, head, body });
            for cut in 1..bytes.len() {
                assert!(Frame::read(&mut &bytes[..cut]).is_err());
            }
        }

        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            drop(Frame::read(&mut bytes.as_slice()));
        }
    }

    #[tokio::test]
    async fn a_question_arrives_with_its_job() {
        let mut bytes = Vec::new();
        send_question(&mut bytes, "document", b"{}", b"body").await.unwrap();
        let frame = Frame::receive(&mut bytes.as_slice()).await.unwrap();
        assert_eq!(frame.question(), Some(("document", &b"{}"[..])));
        assert_eq!(frame.body, b"body");
        assert!(send_question(&mut Vec::new(), &"x".repeat(256), b"", b"").await.is_err());
    }

    #[tokio::test]
    async fn a_length_that_is_a_lie_takes_no_memory() {
        let mut prelude = vec![b'a'];
        prelude.extend(60_000_000_u32.to_le_bytes());
        prelude.extend(0_u32.to_le_bytes());
        assert_eq!(Frame::receive(&mut prelude.as_slice()).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        let too_long = [&b"a"[..], &u32::MAX.to_le_bytes(), &[0; 4]].concat();
        assert_eq!(Frame::receive(&mut too_long.as_slice()).await.unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(Frame::read(&mut &b""[..]).unwrap().is_none());
    }
}

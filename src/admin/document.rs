//! Where the document of a connector comes from: packed in the arguments, from a URL, or from inside the program.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::bound::connector as bound;
use crate::base::refusal::{Code, Refusal};
use crate::connector::shipped;

/// Where a document comes from.
pub(super) enum From<'a> {
    Url(&'a str),
    /// Without one: the shipped document.
    Packed(Option<&'a str>),
}

pub(super) fn one_of<'a>(packed: Option<&'a str>, url: Option<&'a str>) -> Result<From<'a>, Refusal> {
    match (packed, url) {
        (Some(_), Some(_)) => Err(Refusal::new(Code::Invalid, "Give a document or its URL, not both.")),
        (None, Some(url)) => Ok(From::Url(url)),
        (packed, None) => Ok(From::Packed(packed)),
    }
}

/// The document, or the shipped one. Its size is looked at before memory is taken for it.
pub(super) fn unpacked(name: &str, packed: Option<&str>) -> Result<Vec<u8>, Refusal> {
    let Some(packed) = packed else {
        let document = shipped::document(name).map(<[u8]>::to_vec);
        return document.ok_or_else(|| {
            let shipped = shipped::NAMES.join(", ");
            Refusal::new(Code::Invalid, format!("No document came, and none is shipped for {name:?} (only {shipped})."))
        });
    };
    let wrong = || Refusal::new(Code::Invalid, "The document is not packed as LZ4 with its size in front, in base64.");
    let packed = STANDARD.decode(packed).map_err(|_| wrong())?;
    let (size, block) = packed.split_first_chunk::<4>().ok_or_else(wrong)?;
    let size = usize::try_from(u32::from_le_bytes(*size)).map_err(|_| wrong())?;
    if size > bound::OPENAPI_DOCUMENT_BYTES_MAX {
        let public = format!("A document may have {} bytes; this has {size}.", bound::OPENAPI_DOCUMENT_BYTES_MAX);
        return Err(Refusal::new(Code::TooLarge, public));
    }
    lz4_flex::decompress(block, size).ok().filter(|document| document.len() == size).ok_or_else(wrong)
}

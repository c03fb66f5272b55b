//! `parse-child`: the other end of the pipes through which a server has documents read.

use super::exit::Failure;
use crate::app::reading::Reader;
use crate::sandbox::child;

/// On the main thread, before there is any other: what confines a process confines the thread that asks for it.
pub(super) fn run() -> Result<u8, Failure> {
    child::serve(&mut Reader::default()).map_err(Failure::usage)?;
    Ok(0)
}

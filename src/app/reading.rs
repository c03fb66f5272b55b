//! What reading processes can do, all in one place, and where documents are read.

use std::sync::Arc;

use crate::config::Config;
use crate::connector::document;
use crate::library::foreign;
use crate::library::unpack::{self, Unpacker};
use crate::sandbox::{Launch, Reply, Sandbox, Worker};

/// Does all jobs that there are.
#[derive(Debug, Default)]
pub struct Reader {
    unpacker: Unpacker,
}

impl Worker for Reader {
    fn work(&mut self, job: &str, question: &[u8], body: Vec<u8>) -> Result<Reply, String> {
        match job {
            document::JOB => document::work(&body),
            foreign::JOB => foreign::work(question, &body),
            unpack::OPEN => self.unpacker.open(body),
            unpack::READ => self.unpacker.read(question),
            _ => Err(format!("there is no job {job:?}")),
        }
    }
}

/// In processes, unless an operator switched that off.
pub fn sandbox(config: &Config) -> Arc<Sandbox> {
    Arc::new(if config.tool_execution.is_sandboxed {
        Sandbox::new(Launch::own())
    } else {
        Sandbox::off(|| Box::new(Reader::default()))
    })
}

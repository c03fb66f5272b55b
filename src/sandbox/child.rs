//! The process that reads: confines itself, then answers questions until there are no more.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::confine::confine;
use super::frame::{Frame, Tag};
use super::{Reply, Worker};

/// Why a reading process ends otherwise than at the end of its questions.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    #[error("this command is how a server reads documents apart from itself; it is of no use at a terminal")]
    Terminal,
    #[error("the process cannot be confined: {0}")]
    Unconfined(String),
    #[error(transparent)]
    Pipe(#[from] io::Error),
}

/// Answers questions on standard input and output, confined. Nothing is read before.
pub fn serve(worker: &mut dyn Worker) -> Result<(), ChildError> {
    if io::stdin().is_terminal() {
        return Err(ChildError::Terminal);
    }
    // A panic is told as the answer. What a library prints goes nowhere, instead of among the answers.
    std::panic::set_hook(Box::new(|_| {}));
    let answers = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3).map_err(io::Error::from)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr()).map_err(io::Error::from)?;
    let confined = confine(answers.as_fd());
    let mut answers = File::from(answers);
    match confined {
        Ok(layers) => {
            let hello = serde_json::to_vec(&layers).map_err(io::Error::other)?;
            Frame::write(&mut answers, Tag::Answer, &hello, &[])?;
        }
        Err(reason) => {
            Frame::write(&mut answers, Tag::Refused, reason.as_bytes(), &[])?;
            return Err(ChildError::Unconfined(reason));
        }
    }
    let mut questions = io::stdin().lock();
    while let Some(mut frame) = Frame::read(&mut questions)? {
        let body = std::mem::take(&mut frame.body);
        let answered = match frame.question() {
            Some((job, question)) => catch_unwind(AssertUnwindSafe(|| worker.work(job, question, body)))
                .unwrap_or_else(|panic| Err(format!("its reader gave up: {}", message(&*panic)))),
            None => Err("this is no question".to_owned()),
        };
        match answered {
            Ok(Reply { answer, body }) => match Frame::write(&mut answers, Tag::Answer, &answer, &body) {
                // Nothing of a frame that is too long was written.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    Frame::write(&mut answers, Tag::Refused, error.to_string().as_bytes(), &[])?;
                }
                written => written?,
            },
            Err(reason) => Frame::write(&mut answers, Tag::Refused, reason.as_bytes(), &[])?,
        }
    }
    Ok(())
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

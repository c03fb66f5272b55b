//! An OpenAPI document, read in a process of its own: what comes back is its model, and the model is all that is used.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::ConnectorError;
use crate::base::bound::connector as bound;
use crate::openapi::{self, Document, OpenApiError};
use crate::sandbox::{Reply, Sandbox, SandboxError, Worker};

/// The job that [`work`] does.
pub const JOB: &str = "openapi";

#[derive(Serialize, Deserialize)]
enum Answer {
    Document(Box<Document>),
    Refused(String),
}

/// Reads a document; in the process that is confined.
pub fn work(bytes: &[u8]) -> Result<Reply, String> {
    let answer = match openapi::read(bytes) {
        Ok(document) => Answer::Document(Box::new(document)),
        Err(error) => Answer::Refused(error.to_string()),
    };
    let body = serde_json::to_vec(&answer).map_err(|error| error.to_string())?;
    Ok(Reply { answer: Vec::new(), body })
}

/// Does only this job.
#[derive(Debug, Default)]
pub struct Reader;

impl Worker for Reader {
    fn work(&mut self, _: &str, _: &[u8], body: Vec<u8>) -> Result<Reply, String> {
        work(&body)
    }
}

pub(super) async fn read(sandbox: &Arc<Sandbox>, bytes: &[u8]) -> Result<Document, ConnectorError> {
    let (found, most) = (bytes.len(), bound::OPENAPI_DOCUMENT_BYTES_MAX);
    if found > most {
        return Err(OpenApiError::TooLarge { what: "bytes", found, most }.into());
    }
    let reply = sandbox.session().ask(JOB, &(), bytes).await.map_err(|error| match error {
        SandboxError::Unavailable(_) => ConnectorError::NoReader(error.to_string()),
        error => ConnectorError::Unreadable(error.to_string()),
    })?;
    // A large one takes a while.
    let parse = move || serde_json::from_slice(&reply.body);
    let answer = tokio::task::spawn_blocking(parse).await.map_err(|error| ConnectorError::Worker(error.to_string()))?;
    match answer {
        Ok(Answer::Document(document)) if document.operations.len() <= bound::OPENAPI_OPERATIONS_MAX => Ok(*document),
        Ok(Answer::Refused(reason)) => Err(ConnectorError::Unreadable(reason)),
        _ => Err(ConnectorError::Unreadable("its reader gave no document; tell us about it".to_owned())),
    }
}

//! `x-sekisho-upload`: which operations are the steps of an upload in pieces. `OpenAPI` has no word for it, so a document
//! that is written for Sekisho says it itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::bound::connector as bound;

/// A step of an upload in pieces. Names are those of parameters and of properties of the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "lowercase")]
pub enum UploadStep {
    Begin {
        /// The file's name.
        name: String,
        /// Its size in bytes.
        size: String,
        /// Where the answer names the upload: JSON Pointers (RFC 6901), of which the first counts that leads somewhere.
        answer: Vec<String>,
    },
    Piece {
        /// The upload that it belongs to.
        upload: String,
        /// Its number.
        number: String,
        /// Its bytes, in base64.
        content: String,
        /// The number of the first piece: 0 or 1.
        #[serde(default)]
        first: u64,
    },
    Finish {
        upload: String,
    },
}

/// The step that an operation is, or what is wrong with how it says so.
pub(super) fn step(operation: &Value) -> Result<Option<UploadStep>, String> {
    let Some(written) = operation.get("x-sekisho-upload") else { return Ok(None) };
    let wrong = |what: &str| Err(format!("its x-sekisho-upload cannot be used: {what}"));
    let Ok(step) = UploadStep::deserialize(written) else {
        return wrong(
            "expected a step of begin (name, size, answer), piece (upload, number, content) or finish (upload)",
        );
    };
    if let UploadStep::Begin { answer, .. } = &step {
        let good = |pointer: &String| pointer.starts_with('/') && pointer.len() <= bound::OPENAPI_NAME_BYTES_MAX;
        if !(1..=bound::UPLOAD_POINTERS_MAX).contains(&answer.len()) || !answer.iter().all(good) {
            return wrong("`answer` is a list of JSON Pointers");
        }
    }
    if matches!(step, UploadStep::Piece { first: 2.., .. }) {
        return wrong("the first piece has the number 0 or 1");
    }
    Ok(Some(step))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_is_whole_or_it_is_said_what_is_wrong() {
        assert_eq!(step(&json!({})), Ok(None));
        let begin = json!({"step": "begin", "name": "a", "size": "b", "answer": ["/id", "/data/id"]});
        assert!(matches!(step(&json!({"x-sekisho-upload": begin})), Ok(Some(UploadStep::Begin { .. }))));
        let piece = json!({"step": "piece", "upload": "a", "number": "b", "content": "c"});
        assert!(matches!(step(&json!({"x-sekisho-upload": piece})), Ok(Some(UploadStep::Piece { first: 0, .. }))));
        for wrong in [
            json!("begin"),
            json!({"step": "begin", "name": "a", "size": "b"}),
            json!({"step": "begin", "name": "a", "size": "b", "answer": []}),
            json!({"step": "begin", "name": "a", "size": "b", "answer": ["id"]}),
            json!({"step": "piece", "upload": "a", "number": "b", "content": "c", "first": 2}),
            json!({"step": "other"}),
        ] {
            step(&json!({"x-sekisho-upload": wrong})).unwrap_err();
        }
    }
}

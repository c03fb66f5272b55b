//! What came of running an operation: not yet clean, not yet recorded.

use crate::operation::{Job, Output, Question};

/// What came of running it.
pub enum Ran {
    Done(Output),
    /// The questions, and the operation's state, sealed.
    Ask {
        questions: Vec<(String, Question)>,
        state: Option<String>,
    },
    Task(Job),
}

impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "Done",
            Self::Ask { .. } => "Ask",
            Self::Task(_) => "Task",
        })
    }
}

//! Tasks: work that goes on after the reply, asked for by its owner only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rmcp::ErrorData;
use rmcp::model as rm;
use rmcp::task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions};
use serde_json::Value;

use super::reply;
use crate::base::bound;
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{Job, JobSide, Question};
use crate::pipeline::Pipeline;

/// How long a finished task is kept for its owner.
const KEEP_MS: u64 = 10 * 60 * 1000;

/// All tasks. rmcp keeps them and asks nobody who wants them, so the owners are kept here.
#[derive(Debug)]
pub(super) struct Tasks {
    pipeline: Arc<Pipeline>,
    manager: Manager,
    /// Task id -> owner. Held for a look-up, never across an await.
    owners: Mutex<HashMap<String, Arc<str>>>,
}

struct Manager(TaskManager);

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TaskManager")
    }
}

impl Tasks {
    pub(super) fn new(pipeline: Arc<Pipeline>) -> Self {
        Self { pipeline, manager: Manager(TaskManager::new()), owners: Mutex::default() }
    }

    /// `quotes` is what its operation says of itself: the result is marked as one that came at once would be.
    pub(super) fn start(&self, owner: Principal, job: Job, quotes: bool) -> Result<rm::Task, Refusal> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.len() >= bound::TASKS_MAX {
            owners.retain(|id, _| self.manager.0.get_task(id).is_ok());
        }
        if owners.len() >= bound::TASKS_MAX {
            return Err(Refusal::new(Code::Busy, "There are as many tasks as there may be; come back later."));
        }
        let (pipeline, principal) = (Arc::clone(&self.pipeline), owner.clone());
        let task = self.manager.0.spawn(TaskOptions::default().with_ttl_ms(KEEP_MS), move |context| {
            Box::pin(async move {
                let side: Arc<dyn JobSide> = Arc::new(Side { context, pipeline: Arc::clone(&pipeline) });
                let run = std::panic::AssertUnwindSafe(job(Arc::clone(&side))).catch_unwind().await;
                let result = run.unwrap_or_else(|_| Err(Refusal::internal("a task panicked")));
                match pipeline.finish_task(&principal, quotes, result).await {
                    Ok((output, marks)) => reply::tool_result(output, &marks).map_err(TaskExit::Error),
                    Err(refusal) if refusal.code == Code::Cancelled => Err(TaskExit::Cancelled),
                    Err(refusal) => Err(TaskExit::Error(reply::error(&refusal))),
                }
            })
        });
        owners.insert(task.task_id.clone(), owner.id);
        Ok(task)
    }

    pub(super) fn get(&self, asking: &Principal, id: &str) -> Result<rm::GetTaskResult, ErrorData> {
        self.check_owner(asking, id)?;
        Ok(rm::GetTaskResult::new(self.manager.0.get_task(id)?))
    }

    pub(super) fn update(
        &self,
        asking: &Principal,
        id: &str,
        answers: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<(), ErrorData> {
        self.check_owner(asking, id)?;
        self.manager.0.update_task(id, answers)
    }

    pub(super) fn cancel(&self, asking: &Principal, id: &str) -> Result<(), ErrorData> {
        self.check_owner(asking, id)?;
        self.manager.0.cancel_task(id)
    }

    /// Somebody else's task is as good as none.
    fn check_owner(&self, asking: &Principal, id: &str) -> Result<(), ErrorData> {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.get(id).is_some_and(|owner| *owner == asking.id) {
            return Ok(());
        }
        let id: String = id.chars().take(bound::AUDIT_NAME_CHARS_MAX).collect();
        Err(ErrorData::invalid_params(format!("There is no task {id}."), None))
    }
}

/// A running task's side towards rmcp.
struct Side {
    context: TaskContext,
    pipeline: Arc<Pipeline>,
}

impl JobSide for Side {
    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.context.cancelled())
    }

    fn ask(&self, key: &str, question: Question) -> BoxFuture<'_, Result<Value, Refusal>> {
        let key = key.to_owned();
        Box::pin(async move {
            let request = reply::input_request(self.pipeline.redactor().redact_question(question, &[]))?;
            self.context.request_input(key, request).await.map_err(|exit| match exit {
                TaskExit::Cancelled => Refusal::new(Code::Cancelled, "The task was cancelled."),
                TaskExit::Error(error) => Refusal::internal(error.message),
            })
        })
    }
}

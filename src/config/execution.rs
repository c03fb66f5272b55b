//! The valid form of the table `[tool_execution]`.

use std::time::Duration;

use super::{Check, raw};
use crate::base::budget::Budget;

/// What calls may use.
#[derive(Clone, Copy, Debug)]
pub struct ToolExecution {
    /// `None`: nothing but time is bounded.
    pub budget: Option<Budget>,
    pub connector_timeout: Duration,
    /// Untrusted documents are read in a process of their own.
    pub is_sandboxed: bool,
}

impl Check {
    pub(super) fn tool_execution(&mut self, raw: &raw::ToolExecution) -> ToolExecution {
        let budget = Budget {
            bytes_held_max: self.within("tool_execution.max_memory_mb", raw.max_memory_mb, 1, 4096) << 20,
            file_reads_max: self.within("tool_execution.max_file_reads", raw.max_file_reads, 1, 100_000),
            network_requests_max: self.within(
                "tool_execution.max_network_requests",
                raw.max_network_requests,
                1,
                10_000,
            ),
        };
        ToolExecution {
            budget: raw.sandboxing_enabled.then_some(budget),
            is_sandboxed: raw.sandboxing_enabled,
            connector_timeout: self.wait("tool_execution.connector_timeout_ms", raw.connector_timeout_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::Config;
    use crate::config::raw::Raw;

    #[test]
    fn budgets_are_on_until_somebody_says_otherwise() {
        let execution = Config::of(Raw::default()).unwrap().tool_execution;
        let budget = execution.budget.unwrap();
        assert_eq!((budget.bytes_held_max, budget.file_reads_max, budget.network_requests_max), (128 << 20, 50, 25));
        assert_eq!(execution.connector_timeout, Duration::from_secs(30));
        let mut raw = Raw::default();
        raw.tool_execution.sandboxing_enabled = false;
        assert_eq!(Config::of(raw.clone()).unwrap().tool_execution.budget, None);
        assert!(execution.is_sandboxed && !Config::of(raw).unwrap().tool_execution.is_sandboxed);
        let mut raw = Raw::default();
        raw.tool_execution.max_file_reads = 0;
        assert_eq!(Config::of(raw).unwrap_err()[0].key, "tool_execution.max_file_reads");
    }
}

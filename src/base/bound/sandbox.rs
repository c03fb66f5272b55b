//! Limits of the processes in which untrusted documents are read.

/// What a reading process may map. The largest OpenAPI document takes a third of it, the largest archive half.
pub const SANDBOX_MEMORY_BYTES_MAX: u64 = 1 << 30;
/// What its allocator (mimalloc) asks the kernel for at a time, as it reads its environment.
pub const SANDBOX_ARENA_RESERVE: &str = "16M";
/// Processor time of one reading process, in seconds: the last resort, should the parent not end it.
pub const SANDBOX_CPU_SECONDS_MAX: u64 = 120;
/// How long one question may take before the process is killed. The slowest real document takes three seconds.
pub const SANDBOX_QUESTION_MS: u64 = 30_000;
/// How long a process that was started may take to say that it is confined.
pub const SANDBOX_START_MS: u64 = 10_000;
/// Questions that one process answers: beyond, a fresh one is started, so that no leak adds up.
pub const SANDBOX_QUESTIONS_MAX: u32 = 1_000;
/// Time that one process may spend on questions. With one question more it stays below its processor time.
pub const SANDBOX_SPENT_MS_MAX: u64 = 60_000;
/// Reading processes at once: each may take its memory. A sync needs two.
pub const SANDBOX_PROCESSES_MAX: usize = 4;
/// The head of a question or an answer, in JSON: an answer lists the sections of a document.
pub const SANDBOX_HEAD_BYTES_MAX: usize = 64 << 20;
/// The bytes that go with a question or an answer: an archive, or what a document became.
pub const SANDBOX_BODY_BYTES_MAX: usize = 192 << 20;
/// Characters of a refusal that a process gives as its reason.
pub const SANDBOX_REASON_CHARS_MAX: usize = 500;

//! Parses the command line, runs the command, and exits with its code.

use std::process::ExitCode;

/// A tenth of a request's time was glibc's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sekisho::cli::main()
}

//! Parses the command line, runs the command, and exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    sekisho::cli::main()
}

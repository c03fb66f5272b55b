//! Memory: no core of a process that holds keys is written, and nobody attaches to it.

use std::fs;

use crate::harness::Installation;

#[test]
fn a_server_dumps_no_core_and_cannot_be_attached_to() {
    let installation = Installation::new();
    let server = installation.serve();
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // As the kernel has it: the flag that also refuses ptrace(2) to processes of the same user.
    let status = &installation.json(&["doctor"])["status"];
    assert_eq!(status["core_dumps"], false, "{status}");
    assert_eq!(server.terminate(), Some(0));
}

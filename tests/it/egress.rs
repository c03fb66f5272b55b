//! With `--offline` nothing leaves, whatever the settings name.

use std::net::TcpListener;

use crate::harness::{Installation, Server};

#[test]
fn an_offline_server_connects_to_nobody_and_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut installation = Installation::new();
    installation.set("AUDIT_CHECKPOINT_WEBHOOK", &format!("http://{}/", listener.local_addr().unwrap()));
    let server = Server::start(&installation, &["--offline", "serve"]);
    // It is posted when the server starts, and each look is a process of its own: this ends within a few.
    let failed = (0..1000).find_map(|_| {
        let entries = installation.entries();
        entries.into_iter().find(|entry| entry["operation"] == "audit.export_checkpoint")
    });
    let failed = failed.unwrap();
    assert!(failed.to_string().contains("--offline"), "{failed}");
    assert_eq!(server.terminate(), Some(0));
    assert!(listener.accept().is_err(), "nobody came");

    listener.set_nonblocking(false).unwrap();
    let server = installation.serve();
    listener.accept().unwrap();
    drop(listener);
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}

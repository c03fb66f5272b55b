//! The queue of those whose password is checked: one address never takes it all.

use std::sync::mpsc;

use crate::harness::Installation;
use crate::identify::{PASSWORD, add, basic};
use crate::strongroom::until;
use crate::transport::{Client, secured};

/// A request with a password from an address that a trusted proxy names; gives its status.
fn ask(client: &Client, server: &crate::harness::Server, address: &str, name: &str, password: &str) -> u16 {
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nX-Forwarded-For: {address}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: 0",
        basic(name, password)
    );
    client.fetch(server, &head).unwrap().status
}

#[test]
fn wrong_passwords_of_one_address_for_many_names_keep_nobody_else_out() {
    let (mut installation, directory): (Installation, _) = secured();
    installation.set("HTTP_TRUSTED_PROXIES", "[\"127.0.0.1\"]");
    // Otherwise the address would be shut out before it gets so far.
    installation.set("BAN_AUTHENTICATION_FAILURES", "0");
    add(&installation, "ann", "reader");
    let server = installation.serve();
    let client = Client::of(&directory);
    let (tell, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        for number in 0..72 {
            let (tell, client, server) = (tell.clone(), &client, &server);
            scope.spawn(move || {
                tell.send(ask(client, server, "203.0.113.7", &format!("name-{number}"), "wrong wrong wrong")).unwrap();
            });
        }
        // Its share is taken: more of them than the whole queue holds are under way.
        let mut statuses = Vec::new();
        while !statuses.contains(&503) {
            statuses.push(answers.recv_timeout(crate::harness::PATIENCE).unwrap());
        }
        // A machine with other work may need longer for those before it than anybody is let wait: it comes again.
        let own = until("another address is looked at", || {
            Some(ask(&client, &server, "203.0.113.8", "ann", PASSWORD)).filter(|status| *status != 503)
        });
        assert_ne!(own, 401, "with the right password");
        while statuses.len() < 72 {
            statuses.push(answers.recv_timeout(crate::harness::PATIENCE).unwrap());
        }
        assert!(statuses.iter().all(|status| [401, 503].contains(status)), "{statuses:?}");
        assert!(statuses.contains(&401), "its own share is looked at too: {statuses:?}");
        let refused = statuses.iter().filter(|status| **status == 503).count();
        assert!(refused > 72 - 64, "with all places its own, no more than that would have been refused: {statuses:?}");
    });
}

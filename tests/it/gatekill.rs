//! kill -9 while sessions and rates are written: what was acknowledged of the gate holds after it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, reasons};
use crate::harness::{Installation, Server, is_soak};
use crate::identify::{bearer, is_known, issue};

/// A little longer than the time between two flushes, so that one was whole before the kill.
const WHOLE_FLUSH: Duration = Duration::from_millis(5_500);

fn sessions(installation: &Installation) -> Vec<String> {
    let listed = installation.json(&["session", "list"])["items"].as_array().unwrap().clone();
    let of = |item: &Value| item["session"].as_str().unwrap().to_owned();
    listed.iter().filter(|item| item["principal"] == "token:many").map(of).collect()
}

#[test]
fn sessions_bans_limits_and_revocations_hold_after_a_kill_in_the_middle_of_a_flush() {
    let rounds: u64 = if is_soak() { 30 } else { 2 };
    for round in 0..rounds {
        let mut installation = Installation::new();
        installation.set("RATE_PER_SESSION", "100");
        let server = installation.serve();
        let many = Client::with(&issue(&installation, &["many"]).0);
        let (revoked, _) = issue(&installation, &["revoked"]);
        let (jwt, jwt_id) = issue(&installation, &["robot", "--role", "reader", "--jwt"]);
        let ended = Client::with(&issue(&installation, &["ended"]).0);
        assert_eq!(ended.call(&server, "list_libraries").status, 200);
        installation.json(&["token", "revoke", "revoked"]);
        installation.json(&["token", "revoke", &jwt_id]);
        installation.json(&["session", "end", "--principal", "token:ended"]);
        installation.json(&["ban", "add", "address", "203.0.113.0/24"]);
        // One session's hour is used up, and others are in use all the time.
        let own = Client::with(&installation.token());
        while own.call(&server, "list_libraries").status == 200 {}
        let handles: Vec<String> = (0..40).map(|_| many.begin(&server)).collect();
        let touch = |server: &Server| {
            for handle in &handles {
                let status = many.list(server, handle).status;
                assert!([200, 429].contains(&status), "{status}");
            }
        };
        let start = Instant::now();
        while start.elapsed() < WHOLE_FLUSH + Duration::from_millis(round * 170 % 5_000) {
            touch(&server);
        }
        let before = sessions(&installation);
        assert_eq!(before.len(), handles.len());
        server.kill();

        let server = installation.serve();
        let mut after = sessions(&installation);
        assert!(before.iter().all(|short| after.contains(short)), "a session is gone: {before:?} {after:?}");
        after.dedup();
        assert_eq!(after.len(), before.len(), "and none came twice");
        for handle in &handles {
            let status = many.list(&server, handle).status;
            assert!([200, 429].contains(&status), "it goes on under its Mcp-Session-Id: {status}");
        }
        assert_eq!(own.call(&server, "list_libraries").status, 429, "the hour is used up");
        assert_eq!(ended.call(&server, "list_libraries").status, 401);
        assert!(!is_known(&server, &bearer(&revoked)) && !is_known(&server, &bearer(&jwt)));
        let bans = installation.json(&["ban", "list"])["items"].clone();
        assert_eq!((bans.as_array().unwrap().len(), &bans[0]["name"]), (1, &json!("203.0.113.0/24")));
        assert_eq!(reasons(&installation, "its credential holds no more until it is issued again"), 1);
        assert_eq!(server.terminate(), Some(0));
        installation.verify();
    }
}

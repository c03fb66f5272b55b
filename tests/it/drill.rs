//! A drill says which step does not work: whatever it exercises is made to fail, one after the other.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::Installation;

/// What one call of an operation is answered, in the place of being done.
struct Fault {
    operation: &'static str,
    /// Which of its calls, from 1 on.
    call: usize,
    /// The line of the answer.
    line: Value,
}

/// Stands between a command and its server, at the place of the control socket.
struct Between {
    server: PathBuf,
    fault: Mutex<Option<Fault>>,
}

impl Between {
    fn stand(installation: &Installation) -> Arc<Self> {
        let control = installation.data().join("control.sock");
        let server = control.with_file_name("behind.sock");
        std::fs::rename(&control, &server).unwrap();
        let listener = UnixListener::bind(&control).unwrap();
        let between = Arc::new(Self { server, fault: Mutex::default() });
        let this = Arc::clone(&between);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let this = Arc::clone(&this);
                std::thread::spawn(move || this.serve(client));
            }
        });
        between
    }

    /// Commands send one request in a connection, and one only looks whether somebody answers.
    fn serve(&self, mut client: UnixStream) {
        let Some(request) = read_request(&mut client) else { return };
        if let Some(line) = self.answer(&request) {
            let body = format!("{line}\n");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            client.write_all((head + &body).as_bytes()).ok();
            return;
        }
        let mut server = UnixStream::connect(&self.server).unwrap();
        server.write_all(&request).unwrap();
        let (mut from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        // A client that has its answer goes away; the server would wait for its next request.
        std::thread::spawn(move || {
            while from.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
            to.shutdown(Shutdown::Both).ok();
        });
        std::io::copy(&mut server, &mut client).ok();
    }

    fn answer(&self, request: &[u8]) -> Option<Value> {
        let request = String::from_utf8_lossy(request);
        let operation = request.strip_prefix("POST /admin/operations/")?.split(' ').next()?.to_owned();
        let mut fault = self.fault.lock().unwrap();
        let wanted = fault.as_mut().filter(|fault| fault.operation == operation)?;
        wanted.call = wanted.call.checked_sub(1)?;
        (wanted.call == 0).then(|| wanted.line.clone())
    }
}

fn read_request(client: &mut UnixStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        let mut some = [0; 4096];
        let read = client.read(&mut some).ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some(end) = text.find("\r\n\r\n") else { continue };
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        if request.len() >= end + 4 + length.map_or(0, |length| length.parse().unwrap()) {
            return Some(request);
        }
    }
}

fn drill(installation: &Installation) -> (Option<i32>, Value) {
    let output = installation.run(&["--json", "incident", "drill", "--freeze"]);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn each_step_of_a_drill_fails_when_what_it_exercises_does() {
    let installation = Installation::new();
    let server = installation.serve();
    let between = Between::stand(&installation);
    let (code, went) = drill(&installation);
    assert_eq!((code, &went["failed"]), (Some(0), &json!(0)), "{went}");
    let steps = went["steps"].as_array().unwrap().len();
    let done = || json!({"result": {}});
    let refused = || json!({"refusal": {"code": "internal", "message": "This is a test."}});
    let faults = [
        ("incident.show", 1, done(), "an incident is opened"),
        ("alert.list", 1, done(), "alerts are listed"),
        ("contain", 1, json!({"result": {"revoked": ["drill"]}}), "the token is revoked"),
        ("ban.list", 1, json!({"result": {"items": []}}), "its holder is banned"),
        ("incident.show", 2, done(), "the record says so"),
        ("freeze", 1, done(), "frozen, nothing else is served"),
        ("audit.report", 1, refused(), "frozen, the log is"),
        ("library.list", 2, refused(), "everything is served again"),
        ("audit.search", 1, json!({"result": {"found": 0}}), "the log has what was done to it"),
        ("audit.verify", 1, json!({"result": {"verdict": "tampered"}}), "the log is sound"),
        ("token.issue", 2, refused(), "a new token takes its place"),
        ("ban.lift", 1, done(), "the ban is lifted"),
        ("status", 2, json!({"result": {"store_writable": false}}), "the store takes entries"),
        ("incident.export", 1, done(), "the phases were gone through"),
        ("contain", 1, refused(), "the phases were gone through"),
        ("token.revoke", 1, done(), "nothing of it is left"),
        ("incident.close", 1, refused(), "the record is closed"),
    ];
    let mut exercised = std::collections::BTreeSet::new();
    for (operation, call, line, step) in faults {
        *between.fault.lock().unwrap() = Some(Fault { operation, call, line });
        let (code, went) = drill(&installation);
        let all = went["steps"].as_array().unwrap();
        let failed: Vec<&str> =
            all.iter().filter(|step| step["worked"] == false).map(|step| step["step"].as_str().unwrap()).collect();
        assert_eq!(code, Some(1), "{operation}: {went}");
        assert!(failed.contains(&step), "{operation}: {went}");
        assert_eq!(went["failed"], failed.len(), "{operation}");
        let why = all.iter().filter(|step| step["worked"] == false).all(|step| step["found"] != "");
        assert!(why, "{operation}: it does not say what was found: {went}");
        exercised.extend(failed.iter().map(|step| (*step).to_owned()));
        if operation != "incident.close" {
            between.fault.lock().unwrap().take();
            let shown = installation.json(&["incident", "show", &went["incident"].to_string()]);
            let lessons = shown["lessons"].as_str().unwrap();
            assert!(lessons.contains("did not work: ") && lessons.contains(step), "{operation}: {lessons}");
        }
        // What a fault kept from being undone goes now, so that each drill stands for itself.
        between.fault.lock().unwrap().take();
        let tokens = installation.json(&["token", "list"]);
        let live = tokens["items"].as_array().unwrap().iter().filter(|token| token["revoked"] == false);
        for token in live.filter(|token| token["name"].as_str().unwrap().starts_with("drill-")) {
            installation.run(&["token", "revoke", token["name"].as_str().unwrap()]);
        }
        assert_eq!(installation.json(&["ban", "list"])["all"], 0, "{operation}: a ban is left");
    }
    // The command reads the evidence itself, so no answer makes it unsound: what is forged is the tests' of bundles.
    let all: Vec<&Value> = went["steps"].as_array().unwrap().iter().collect();
    let never: Vec<&str> =
        all.iter().map(|step| step["step"].as_str().unwrap()).filter(|step| !exercised.contains(*step)).collect();
    assert_eq!((never, steps), (vec!["the evidence is sound"], all.len()));
    std::fs::remove_file(installation.data().join("control.sock")).unwrap();
    std::fs::rename(&between.server, installation.data().join("control.sock")).unwrap();
    drop(server);
}

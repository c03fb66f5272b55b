//! Debian's clamd itself, with signatures of our own: what it flags is not sent. Where there is no clamd, this says so;
//! the stage `clamav` of `tests/run` installs one.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::clamd::MALWARE;
use crate::harness::{Installation, write};
use crate::strongroom::{check, until};

/// In the .hdb file by its MD5 and its length.
const KNOWN: &str = "a file that is known by its digest";
const KNOWN_HDB: &str = "5c0a20835da5f91022cb6717b8f396c7:34:Sekisho.Known\n";

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn debians_clamd_finds_what_our_signatures_describe() {
    let Some(program) = std::env::var_os("SEKISHO_CLAMD") else {
        eprintln!("SKIPPED: no clamd (SEKISHO_CLAMD names it; tests/run clamav installs and runs it)");
        return;
    };
    let installation = Installation::new();
    installation.operate();
    let folder = installation.folder("clamav");
    let database = installation.folder("clamav/database");
    let hex: String = MALWARE.bytes().map(|byte| format!("{byte:02x}")).collect();
    write(&database.join("sekisho.ndb"), &format!("Sekisho.Test:0:*:{hex}\n"));
    write(&database.join("sekisho.hdb"), KNOWN_HDB);
    let socket = folder.join("clamd.ctl");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = format!(
        "Foreground yes\nLocalSocket {}\nTCPSocket {port}\nTCPAddr 127.0.0.1\nDatabaseDirectory {}\nStreamMaxLength 400K\n",
        socket.display(),
        database.display()
    );
    let config = folder.join("clamd.conf");
    write(&config, &settings);
    let mut command = Command::new(program);
    command.arg("--config-file").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _daemon = Daemon(command.spawn().unwrap());
    until("clamd listens", || socket.exists().then_some(()));

    let server = installation.serve();
    let api = Api::start();
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let places = [format!("clamd:{}", socket.display()), format!("clamd:tcp://127.0.0.1:{port}")];
    let url = api.url();
    let add = ["connector", "add", "iconect", "--base-url", &url, "--loopback-http", "--yes"];
    check(&installation.run(&add), 0, &["Added"]);
    check(&installation.run(&["connector", "enable", "iconect", "--writes"]), 0, &[]);
    for place in places {
        check(&installation.run(&["connector", "set", "iconect", "--scan", &place]), 0, &[&place]);
        let upload = |content: &[u8]| {
            let content = STANDARD.encode(content);
            let file = json!({"fileName": "a.bin", "fileContent": content, "projectId": id, "fileStoreId": id});
            let params = json!({"name": "iconect_upload_file", "arguments": file});
            server.modern("tools/call", params).message().to_string()
        };
        let holds = |said: &str, word: &str, requests: usize| {
            assert!(said.contains(word), "{place}: {word:?} is not in {said}");
            assert_eq!(api.seen().len(), requests, "{place}: {said}");
        };
        holds(&upload(&vec![b'x'; 200_000]), "it was done", 1);
        holds(&upload(format!("before {MALWARE} after").as_bytes()), "found Sekisho.Test.UNOFFICIAL in it", 0);
        holds(&upload(KNOWN.as_bytes()), "found Sekisho.Known.UNOFFICIAL in it", 0);
        holds(&upload(&vec![b'x'; 500_000]), "the scanner could not look at it", 0);
        // Half of the signature in each of two pieces.
        api.plan([Answer::json(200, r#"{"id":"u"}"#)]);
        let begin = json!({"fileName": "a.bin", "fileSize": MALWARE.len(), "projectId": id, "fileStoreId": id});
        server.call("iconect_initiate_chunked_upload", begin);
        let (one, two) = MALWARE.as_bytes().split_at(9);
        for (number, content) in [one, two].into_iter().enumerate() {
            let piece = json!({"uploadSessionId": "u", "chunkNumber": number, "chunkData": STANDARD.encode(content)});
            assert_ne!(server.call("iconect_upload_chunk", piece)["isError"], true, "{place}");
        }
        assert_eq!(api.seen().len(), 3);
        let ended: Value = server.call("iconect_complete_chunked_upload", json!({"uploadSessionId": "u"}));
        holds(&ended.to_string(), "found Sekisho.Test.UNOFFICIAL in it", 0);
    }
    installation.verify();
}

//! Alerts under TLS: mail after STARTTLS and from the first byte, syslog over TLS, and what is sent to nobody instead.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, mpsc};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::harness::{Installation, PATIENCE, text};
use crate::strongroom::{check, told};
use crate::upstream;

const SECRET: &str = "kumquat-mail-password";

/// How a mail server comes to speak TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    FirstByte,
    Starttls,
    /// It knows no STARTTLS.
    Never,
    /// Somebody on the way adds an answer in the clear behind that to STARTTLS (CVE-2021-38371 and its kin).
    Injected,
}

/// One line, and not a byte beyond it: what follows may be under TLS.
fn line(stream: &mut impl Read) -> Option<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    Some(text(&line).trim_end().to_owned())
}

/// Answers a client until it goes, or until it wants TLS. Gives what it said.
fn talk(stream: &mut (impl Read + Write), way: Way) -> String {
    let mut said = String::new();
    let mut in_data = false;
    while let Some(line) = line(stream) {
        said.push_str(&format!("{line}\n"));
        let answer = match line.split([' ', ':']).next().unwrap() {
            "." if in_data => "250 taken",
            _ if in_data => continue,
            "EHLO" => "250-test\r\n250 AUTH PLAIN",
            "STARTTLS" if way == Way::Never => "502 what is that",
            "STARTTLS" if way == Way::Injected => "220 go\r\n250 slipped in",
            "STARTTLS" => "220 go",
            "AUTH" => "235 welcome",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 yes",
        };
        in_data = line == "DATA";
        let is_end = line == "QUIT" || (line == "STARTTLS" && way != Way::Never);
        if stream.write_all(format!("{answer}\r\n").as_bytes()).is_err() || is_end {
            break;
        }
    }
    said
}

/// A mail server for one client. Gives what was said in the clear, and under TLS.
fn mail_server(way: Way, tls: Arc<ServerConfig>) -> (u16, mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut clear = String::new();
        if way != Way::FirstByte {
            stream.write_all(b"220 test ESMTP\r\n").unwrap();
            clear = talk(&mut stream, way);
        }
        let mut secured = String::new();
        if way != Way::Never {
            let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
            if way != Way::FirstByte || stream.write_all(b"220 test ESMTP\r\n").is_ok() {
                secured = talk(&mut stream, way);
            }
        }
        send.send((clear, secured)).unwrap();
    });
    (port, heard)
}

fn installation() -> (Installation, Arc<ServerConfig>) {
    let mut installation = Installation::new();
    let ca = installation.folder("tls").join("ca.pem");
    let tls = upstream::tls(&ca);
    installation.set("EGRESS_CA_FILE", ca.to_str().unwrap());
    check(&told(&installation, &["credential", "set", "mail"], SECRET), 0, &["version 1"]);
    for (name, value) in [
        ("SMTP_SERVER", "127.0.0.1"),
        ("SMTP_FROM", "sekisho@a.example"),
        ("SMTP_TO", "[\"ops@b.example\"]"),
        ("SMTP_USER", "porter"),
        ("SMTP_CREDENTIAL", "mail"),
    ] {
        installation.set(&format!("WATCH_{name}"), value);
    }
    (installation, tls)
}

#[test]
fn mail_goes_under_tls_from_the_first_byte_or_after_starttls() {
    for (way, security) in [(Way::FirstByte, "tls"), (Way::Starttls, "starttls")] {
        let (mut installation, tls) = installation();
        let (port, heard) = mail_server(way, tls);
        installation.set("WATCH_SMTP_PORT", &port.to_string());
        installation.set("WATCH_SMTP_SECURITY", security);
        check(&installation.run(&["alert", "test"]), 0, &["250 taken"]);
        let (clear, secured) = heard.recv_timeout(PATIENCE).unwrap();
        for part in ["AUTH PLAIN", "MAIL FROM:<sekisho@a.example>", "RCPT TO:<ops@b.example>", "this is a test"] {
            assert!(secured.contains(part), "{security}: {part} is not in {secured}");
        }
        let expected = if way == Way::Starttls { vec!["EHLO", "STARTTLS"] } else { Vec::new() };
        let found: Vec<&str> = clear.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(found, expected, "in the clear");
    }
}

#[test]
fn a_mail_server_without_starttls_or_with_an_answer_slipped_in_gets_neither_mail_nor_password() {
    for (way, why) in [(Way::Never, "expected an answer 220, found 502"), (Way::Injected, "FAILED")] {
        let (mut installation, tls) = installation();
        let (port, heard) = mail_server(way, tls);
        installation.set("WATCH_SMTP_PORT", &port.to_string());
        installation.set("WATCH_SMTP_SECURITY", "starttls");
        check(&installation.run(&["alert", "test"]), 1, &["FAILED", why]);
        let (clear, secured) = heard.recv_timeout(PATIENCE).unwrap();
        assert!(!clear.contains("AUTH") && !clear.contains("MAIL") && !clear.contains("test;"), "{clear}");
        assert_eq!(secured, "");
    }
}

#[test]
fn a_mail_server_that_nobody_vouches_for_gets_nothing() {
    let (mut installation, _) = installation();
    let foreign = upstream::tls(&installation.folder("foreign").join("ca.pem"));
    let (port, heard) = mail_server(Way::Starttls, foreign);
    installation.set("WATCH_SMTP_PORT", &port.to_string());
    installation.set("WATCH_SMTP_SECURITY", "starttls");
    check(&installation.run(&["alert", "test"]), 1, &["FAILED"]);
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap().1, "");
}

#[test]
fn syslog_goes_over_tls_whole_and_counted() {
    let (mut installation, tls) = installation();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    installation.set("WATCH_SYSLOG", &format!("tls://{}", listener.local_addr().unwrap()));
    // Nobody listens there: the syslog is told all the same.
    installation.set("WATCH_SMTP_SECURITY", "tls");
    let heard = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        text(&bytes)
    });
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    installation.set("WATCH_SMTP_PORT", &gone.to_string());
    check(&installation.run(&["alert", "test"]), 1, &["bytes sent"]);
    let heard = heard.join().unwrap();
    let (count, line) = heard.split_once(' ').unwrap();
    assert_eq!(count.parse(), Ok(line.len()), "{heard}");
    assert!(line.starts_with('<') && line.contains("this is a test"), "{line}");
}

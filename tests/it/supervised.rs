//! What a supervisor hears of the real server: that it is ready, that it lives, that it ends.

use std::os::unix::net::UnixDatagram;

use crate::harness::{Installation, PATIENCE, Server};

fn heard(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[test]
fn a_supervisor_is_told_of_readiness_of_life_and_of_the_end() {
    let installation = Installation::new();
    let path = installation.folder("run").join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = installation.command(&["serve"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000").env_remove("WATCHDOG_PID");
    let server = Server::started(&installation, command);
    let mut said = vec![heard(&socket)];
    while said.iter().filter(|line| *line == "WATCHDOG=1").count() < 2 {
        said.push(heard(&socket));
    }
    let ready = format!("READY=1\nSTATUS=Serving MCP at http://{}/mcp", server.address);
    assert!(said.contains(&ready), "{said:?}");
    assert_eq!(server.terminate(), Some(0));
    while !heard(&socket).starts_with("STOPPING=1") {}
}

#[test]
fn a_watchdog_of_another_process_and_a_supervisor_that_is_gone_are_no_hindrance() {
    let installation = Installation::new();
    let path = installation.folder("run").join("notify");
    let mut command = installation.command(&["serve"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1");
    assert_eq!(Server::started(&installation, command).terminate(), Some(0));
}

//! From a client certificate to a principal: by its alternative name, under our authority, until it is revoked.

use serde_json::{Value, json};

use crate::harness::{Installation, signal};
use crate::transport::{Client, revoke, secured, until};

/// The principals of the calls that were done, oldest first.
fn callers(installation: &Installation) -> Vec<String> {
    let done = |entry: &Value| entry["operation"] == "tool:list_libraries" || entry["operation"] == "list_libraries";
    let entries = installation.entries().into_iter().filter(|entry| done(entry) && entry["outcome"] == "done");
    entries.map(|entry| entry["principal"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_client_certificate_is_its_principal_by_its_name_until_it_is_revoked() {
    let (mut installation, directory) = secured();
    for name in ["ann", "ben", "eve"] {
        installation.json(&["tls", "client", name]);
    }
    let revoked = directory.join("revoked.pem");
    revoke(&directory, &revoked, &[]);
    installation.set("HTTP_TLS_CLIENT_CA", directory.join("ca.pem").to_str().unwrap());
    installation.set("HTTP_TLS_CLIENT", "required");
    installation.set("HTTP_TLS_CLIENT_CRL", revoked.to_str().unwrap());
    installation.set("AUTH_CERTIFICATES", "[\"uri:sekisho:client:ann=reader\", \"uri:sekisho:client:ben=operator\"]");
    let server = installation.serve();
    let nobody = Client::of(&directory);
    let of = |name: &str| nobody.showing(&directory, &format!("client-{name}"));
    let status = |client: &Client| client.call(&server, "list_libraries", "").map(|reply| reply.status);
    // Valid.
    assert_eq!(status(&of("ann")).unwrap(), 200);
    assert_eq!(status(&of("ben")).unwrap(), 200);
    let names = ["certificate:uri:sekisho:client:ann", "certificate:uri:sekisho:client:ben"];
    assert_eq!(callers(&installation), names);
    // Invalid: a name that is nobody's, and an authority that is not ours with a name that is somebody's.
    let unnamed = of("eve").call(&server, "list_libraries", "").unwrap();
    assert_eq!(unnamed.status, 401, "{}", unnamed.body);
    let stranger = installation.folder("stranger");
    for arguments in [vec!["tls", "init"], vec!["tls", "client", "ann"]] {
        installation.json(&[&arguments[..], &["--directory", stranger.to_str().unwrap()]].concat());
    }
    assert!(status(&nobody.showing(&stranger, "client-ann")).is_err());
    // What is shown beside a certificate does not replace it: the first scheme that is attempted decides.
    let token = format!("Authorization: Bearer {}\r\n", installation.token());
    assert_eq!(of("eve").call(&server, "list_libraries", &token).unwrap().status, 401);
    // Becoming invalid.
    revoke(&directory, &revoked, &["client-ann"]);
    signal(server.id(), "HUP");
    until("the revoked client is refused", || status(&of("ann")).is_err());
    assert_eq!(status(&of("ben")).unwrap(), 200);
    assert_eq!(callers(&installation).len(), 3);
    let refused = installation.entries();
    let why = |entry: &&Value| entry["reason"].as_str().is_some_and(|reason| reason.contains("auth.certificates"));
    assert!(refused.iter().find(why).is_some_and(|entry| entry["outcome"] == json!("refused")), "{refused:?}");
}

//! Who has a name that somebody else had or has is somebody else.

use serde_json::{Value, json};

use crate::harness::Installation;
use crate::identify::{add, issue};
use crate::strongroom::check;

#[test]
fn a_jwt_of_a_name_is_not_of_the_account_that_gets_the_name_later() {
    let installation = Installation::new();
    let mut server = installation.serve();
    let (jwt, _) = issue(&installation, &["robot", "--role", "operator", "--jwt"]);
    add(&installation, "robot", "reader");
    server.token = jwt;
    let call = || server.modern("tools/call", json!({"name": "list_libraries", "arguments": {}}));
    assert_eq!(call().status, 200);
    // What happens to the account is none of the JWT's business.
    check(&installation.run(&["account", "disable", "robot"]), 0, &[]);
    assert_eq!(call().status, 200);
    let entries = installation.entries();
    let calls = entries.iter().filter(|entry| entry["operation"] == "list_libraries" && entry["outcome"] == "done");
    let by: Vec<&Value> = calls.map(|entry| &entry["principal"]).collect();
    assert_eq!(by, ["jwt:robot", "jwt:robot"]);
}

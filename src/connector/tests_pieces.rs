//! Uploads in pieces: what is followed, in which order pieces come, and what a scanner must see.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::pieces::{Going, Step, Told, Uploads, Whose};
use super::tool::{self, Tool};
use super::{shipped, upload};
use crate::base::bound::connector as bound;
use crate::base::clock::{ManualClock, Timestamp};
use crate::base::id::hex;
use crate::base::refusal::{Code, Refusal};
use crate::openapi;

struct Bench {
    uploads: Uploads,
    clock: Arc<ManualClock>,
    tools: Vec<Tool>,
    is_scanned: bool,
}

impl Bench {
    fn new(is_scanned: bool) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp(1)));
        let document = openapi::read(shipped::document("iconect").unwrap()).unwrap();
        let tools = tool::import("iconect", document).tools;
        Self { uploads: Uploads::new(clock.clone()), clock, tools, is_scanned }
    }

    fn step(&self, principal: &str, name: &str, mut arguments: Value) -> Result<Step<'_>, Refusal> {
        let tool = self.tools.iter().find(|tool| tool.name == name).unwrap();
        let files = upload::prepare(tool, &mut arguments)?;
        let whose = Whose { connector: "iconect", principal: principal.into(), is_scanned: self.is_scanned };
        self.uploads.step(whose, tool, &arguments, &files)
    }

    fn begin(&self, principal: &str, bytes: u64, answer: &Value) -> Option<Told> {
        let arguments = json!({"fileName": "a.bin", "fileSize": bytes});
        let Ok(Step::Begin(begin)) = self.step(principal, "iconect_initiate_chunked_upload", arguments) else {
            panic!("nothing began")
        };
        begin.done(Some(answer))
    }

    fn piece(&self, principal: &str, number: &Value, content: &str) -> Result<Step<'_>, Refusal> {
        let arguments = json!({"uploadSessionId": "u1", "chunkNumber": number, "chunkData": content});
        self.step(principal, "iconect_upload_chunk", arguments)
    }

    fn sent(&self, number: u64, content: &str) -> Told {
        going(self.piece("ann", &json!(number), content)).done().0
    }

    fn finish(&self, principal: &str) -> Result<Step<'_>, Refusal> {
        self.step(principal, "iconect_complete_chunked_upload", json!({"uploadSessionId": "u1"}))
    }
}

fn going(step: Result<Step<'_>, Refusal>) -> Going<'_> {
    match step {
        Ok(Step::Going(going)) => going,
        other => panic!("{other:?}"),
    }
}

fn conflict(step: Result<Step<'_>, Refusal>, word: &str) {
    let refusal = step.unwrap_err();
    assert!(refusal.code == Code::Conflict && refusal.public.contains(word), "{word}: {refusal:?}");
}

const HELLO: &str = "aGVsbG8=";
const WORLD: &str = "IHdvcmxk";

#[test]
fn an_upload_is_followed_from_its_beginning_to_the_digest_of_the_whole() {
    let bench = Bench::new(false);
    let told = bench.begin("ann", 11, &json!({"uploadSessionId": "u1"})).unwrap();
    assert_eq!(told.text(), "a.bin: 0 of 11 bytes are there; the next piece has the number 0");
    assert_eq!(going(bench.piece("ann", &json!(0.0), HELLO)).told.bytes, 0);
    assert_eq!(bench.sent(0, HELLO).bytes, 5);
    conflict(bench.finish("ann"), "6 bytes are missing");
    assert_eq!(bench.sent(1, WORLD).text(), "a.bin: all 11 bytes are there; the upload can be finished");
    let end = going(bench.finish("ann"));
    assert!(end.content.is_none());
    let whole = end.done().1.unwrap();
    assert_eq!(hex(&whole), "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9");
    // It is over: what comes now is somebody else's business.
    assert!(matches!(bench.finish("ann"), Ok(Step::Other)));
}

#[test]
fn pieces_come_once_in_their_order_and_one_at_a_time() {
    let bench = Bench::new(false);
    bench.begin("ann", 11, &json!({"data": {"id": "u1"}})).unwrap();
    conflict(bench.piece("ann", &json!(1), HELLO), "the next piece has the number 0");
    conflict(bench.piece("ann", &json!(0), ""), "at least one byte");
    conflict(bench.piece("ann", &json!(0), "aGVsbG8gd29ybGQh"), "larger than it was said to be");
    let first = going(bench.piece("ann", &json!(0), HELLO));
    conflict(bench.piece("ann", &json!(0), HELLO), "Another call about a.bin is under way");
    // It was not taken: it can be sent again.
    drop(first);
    bench.sent(0, HELLO);
    // The answer was lost: sent again, it counts once.
    assert_eq!(bench.sent(0, HELLO).bytes, 5);
    conflict(bench.piece("ann", &json!(0), WORLD), "another content");
    for number in [json!(-1), json!(0.5), json!("0"), json!(1e300)] {
        assert_eq!(bench.piece("ann", &number, HELLO).unwrap_err().code, Code::Invalid, "{number}");
    }
}

#[test]
fn nobody_goes_on_with_anothers_upload_and_one_that_is_left_is_forgotten() {
    let bench = Bench::new(false);
    bench.begin("ann", 11, &json!({"id": "u1"})).unwrap();
    bench.sent(0, HELLO);
    assert!(matches!(bench.piece("bob", &json!(7), HELLO), Ok(Step::Other)));
    bench.clock.advance(Duration::from_millis(bound::UPLOAD_IDLE_MS));
    assert!(matches!(bench.finish("ann"), Ok(Step::Other)));
    assert_eq!(bench.begin("ann", 11, &json!({"something": "else"})), None);
    assert_eq!(bench.begin("ann", 11, &json!({"id": "x".repeat(300)})), None);
    for name in ["", "..", "a\n2026-01-01 forged", "a b", "../../x"] {
        let arguments = json!({"fileName": name, "fileSize": 1});
        let refusal = bench.step("ann", "iconect_initiate_chunked_upload", arguments).unwrap_err();
        assert!(refusal.public.contains("a file's name"), "{refusal:?}");
    }
    for size in [json!(0), json!(1.5), json!(null)] {
        let arguments = json!({"fileName": "a", "fileSize": size});
        let refusal = bench.step("ann", "iconect_initiate_chunked_upload", arguments).unwrap_err();
        assert!(refusal.public.contains("fileSize"), "{refusal:?}");
    }
}

#[test]
fn what_one_principal_leaves_open_takes_nobody_elses_place() {
    let bench = Bench::new(false);
    bench.begin("bob", 11, &json!({"id": "u1"})).unwrap();
    for number in 0..3 * bound::UPLOADS_PER_PRINCIPAL_MAX {
        bench.clock.advance(Duration::from_millis(1));
        bench.begin("ann", 11, &json!({"id": format!("a{number}")})).unwrap();
    }
    going(bench.piece("bob", &json!(0), HELLO)).done();
}

#[test]
fn a_scanner_sees_the_whole_file_or_it_is_not_finished() {
    let bench = Bench::new(true);
    conflict(bench.piece("ann", &json!(0), HELLO), "was not begun here");
    conflict(bench.finish("ann"), "was not begun here");
    let large = json!({"fileName": "a", "fileSize": bound::UPLOAD_SCANNED_BYTES_MAX + 1});
    let refusal = bench.step("ann", "iconect_initiate_chunked_upload", large).unwrap_err();
    assert_eq!(refusal.code, Code::TooLarge);
    bench.begin("ann", 11, &json!({"id": "u1"})).unwrap();
    bench.sent(0, HELLO);
    bench.sent(0, HELLO);
    bench.sent(1, WORLD);
    let end = going(bench.finish("ann"));
    assert_eq!(end.content.as_deref(), Some(&b"hello world"[..]));
    drop(end);
    // The scanner could not be asked, or the API failed: it can be finished later, and is looked at again.
    assert!(going(bench.finish("ann")).content.is_some());
}

/// One principal took all the memory that there is for a scanner, by promising large files and leaving them.
#[test]
fn who_leaves_large_files_for_a_scanner_keeps_nobody_else_out() {
    let bench = Bench::new(true);
    let begin = |principal: &str, upload: usize| {
        let arguments = json!({"fileName": "a", "fileSize": bound::UPLOAD_SCANNED_BYTES_MAX});
        match bench.step(principal, "iconect_initiate_chunked_upload", arguments) {
            Ok(Step::Begin(begin)) => begin.done(Some(&json!({"id": upload}))).is_some(),
            other => {
                assert_eq!(other.unwrap_err().code, Code::Busy);
                false
            }
        }
    };
    assert_eq!((0..10).filter(|upload| begin("ann", *upload)).count(), 2);
    assert!(begin("bob", 0));
    assert_eq!((0..10).filter(|upload| begin("eve", *upload)).count(), 1);
    assert!(!begin("dan", 0));
    bench.clock.advance(Duration::from_millis(bound::UPLOAD_HELD_IDLE_MS));
    assert!(begin("dan", 0));
}

#[test]
fn what_is_held_for_a_scanner_is_given_up_though_nobody_uploads_anything_else() {
    let bench = Bench::new(true);
    bench.begin("ann", 5, &json!({"uploadSessionId": "u1"})).unwrap();
    bench.sent(0, "aGk=");
    bench.clock.advance(Duration::from_millis(bound::UPLOAD_HELD_IDLE_MS - 1));
    assert_eq!(bench.uploads.forget_all_old(), 2);
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.uploads.forget_all_old(), 0);
}

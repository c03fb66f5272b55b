//! What a reading process that was taken over can still do: nothing. This program is its own, hostile, reader.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test ends where it is surprised")]

use std::fs;
use std::hint::black_box;
use std::net::TcpStream;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use sekisho::base::bound::sandbox as bound;
use sekisho::sandbox::{COMMAND, Launch, Reply, Sandbox, SandboxError, Session, Worker, child};

/// Does what a parser never does. What succeeds is told as an answer, so that the test fails.
struct Hostile;

impl Worker for Hostile {
    fn work(&mut self, job: &str, question: &[u8], body: Vec<u8>) -> Result<Reply, String> {
        let target = String::from_utf8_lossy(&body).into_owned();
        let told = match job {
            "echo" => return Ok(Reply { answer: question.to_vec(), body }),
            "read" => format!("{:?}", fs::read(target)),
            "list" => format!("{:?}", fs::read_dir(target).map(Iterator::count)),
            "write" => format!("{:?}", fs::write(target, "x")),
            "remove" => format!("{:?}", fs::remove_file(target)),
            "connect" => format!("{:?}", TcpStream::connect(target)),
            "listen" => format!("{:?}", std::net::TcpListener::bind(target)),
            "unix" => format!("{:?}", std::os::unix::net::UnixStream::connect(target)),
            "exec" => format!("{:?}", Command::new(target).status()),
            "thread" => format!("{:?}", std::thread::Builder::new().spawn(|| 1).map(|_| ())),
            "kill" => format!(
                "{:?}",
                rustix::process::getppid()
                    .map(|parent| rustix::process::kill_process(parent, rustix::process::Signal::TERM))
            ),
            "limits" => {
                let all = rustix::process::Rlimit { current: None, maximum: None };
                format!("{:?}", rustix::process::setrlimit(rustix::process::Resource::As, all))
            }
            "allocate" => format!("{}", black_box(vec![1_u8; 10 << 30]).len()),
            "recurse" => format!("{}", deeper(1)),
            "loop" => loop {
                black_box(1);
            },
            "panic" => panic!("on purpose"),
            "print" => {
                println!("a library that prints");
                "printed".to_owned()
            }
            "flood" => return Ok(Reply { answer: Vec::new(), body: vec![0; bound::SANDBOX_BODY_BYTES_MAX + 1] }),
            "leave" => std::process::exit(3),
            _ => return Err("no such job".to_owned()),
        };
        Ok(Reply { answer: told.into_bytes(), body: Vec::new() })
    }
}

#[allow(unconditional_recursion, reason = "the stack has an end")]
fn deeper(n: u64) -> u64 {
    let page = black_box([n; 512]);
    deeper(n + 1) + page.iter().sum::<u64>()
}

struct World {
    runtime: tokio::runtime::Runtime,
    sandbox: Arc<Sandbox>,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let program = std::env::current_exe().unwrap();
        let sandbox = Sandbox::new(Launch { program, arguments: vec![COMMAND.into()] });
        Self { runtime, sandbox: Arc::new(sandbox.with_patience(Duration::from_secs(5))) }
    }

    fn ask(&self, session: &mut Session, job: &str, body: &str) -> Result<Reply, SandboxError> {
        self.runtime.block_on(session.ask(job, &7, body.as_bytes()))
    }

    /// The job ends its process, and the next question is answered by another one.
    fn stops(&self, job: &str, body: &str, with: &str) {
        let mut session = self.sandbox.session();
        self.ask(&mut session, "echo", "before").unwrap();
        match self.ask(&mut session, job, body) {
            Err(SandboxError::Stopped(why)) => assert!(why.contains(with), "{job}: {why}"),
            other => panic!("{job}: {other:?}"),
        }
        let after = self.ask(&mut session, "echo", "after").unwrap();
        assert_eq!((after.answer.as_slice(), after.body.as_slice()), (&b"7"[..], &b"after"[..]));
    }
}

fn it_can_open_connect_and_run_nothing(world: &World) {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("kept");
    fs::write(&kept, "secret").unwrap();
    let made = directory.path().join("made");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let killed = "seccomp killed it";
    world.stops("read", "/etc/passwd", killed);
    world.stops("read", kept.to_str().unwrap(), killed);
    world.stops("list", "/", killed);
    world.stops("write", made.to_str().unwrap(), killed);
    world.stops("remove", kept.to_str().unwrap(), killed);
    world.stops("connect", &address, killed);
    world.stops("listen", "127.0.0.1:0", killed);
    world.stops("unix", "/dev/log", killed);
    world.stops("exec", "/bin/true", killed);
    world.stops("thread", "", killed);
    world.stops("kill", "", killed);
    world.stops("limits", "", killed);
    assert_eq!(fs::read_to_string(kept).unwrap(), "secret");
    assert!(!made.exists());
    assert!(listener.accept().is_err(), "somebody connected");
}

fn it_can_take_neither_memory_nor_time(world: &World) {
    world.stops("allocate", "", "memory");
    world.stops("recurse", "", "stack");
    world.stops("loop", "", "took longer than 5s");
    world.stops("leave", "", "ended with code 3");
}

fn a_panic_or_a_print_spoils_no_answer(world: &World) {
    let mut session = world.sandbox.session();
    let refused = world.ask(&mut session, "panic", "").unwrap_err();
    assert_eq!(refused, SandboxError::Refused("its reader gave up: on purpose".into()));
    assert_eq!(world.ask(&mut session, "print", "").unwrap().answer, b"printed");
    let refused = world.ask(&mut session, "flood", "").unwrap_err();
    assert!(matches!(refused, SandboxError::Refused(_)), "{refused}");
    assert_eq!(world.ask(&mut session, "echo", "x").unwrap().body, b"x");
}

fn it_says_what_holds_it(world: &World) {
    let layers = world.runtime.block_on(world.sandbox.look()).unwrap().unwrap();
    assert!(layers.is_filtered(), "{layers:?}");
    assert_eq!(layers.version, env!("CARGO_PKG_VERSION"));
    println!("landlock: {}, seccomp: {}", layers.landlock, layers.seccomp);
}

fn it_ends_well_where_there_are_no_more_questions(_: &World) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let ended = command.arg(COMMAND).env_clear().stdin(std::process::Stdio::null()).output().unwrap();
    assert!(ended.status.success(), "{}", ended.status);
    assert!(ended.stdout.starts_with(b"a"), "it said how it is confined");
}

fn large_bodies_go_both_ways(world: &World) {
    let mut session = world.sandbox.session();
    let body = "x".repeat(32 << 20);
    assert_eq!(world.ask(&mut session, "echo", &body).unwrap().body.len(), body.len());
    let too_much = "x".repeat(bound::SANDBOX_BODY_BYTES_MAX + 1);
    assert!(matches!(world.ask(&mut session, "echo", &too_much).unwrap_err(), SandboxError::Refused(_)));
}

fn more_sessions_than_places_wait_for_each_other(world: &World) {
    let mut all = Vec::new();
    for number in 0..3 * bound::SANDBOX_PROCESSES_MAX {
        let sandbox = Arc::clone(&world.sandbox);
        all.push(world.runtime.spawn(async move { sandbox.session().ask("echo", &number, b"x").await }));
    }
    for (number, one) in all.into_iter().enumerate() {
        let reply = world.runtime.block_on(one).unwrap().unwrap();
        assert_eq!(reply.answer, number.to_string().into_bytes());
    }
}

type Test = (&'static str, fn(&World));

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == COMMAND) {
        return match child::serve(&mut Hostile) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let tests: [Test; 7] = [
        ("it_says_what_holds_it", it_says_what_holds_it),
        ("it_can_open_connect_and_run_nothing", it_can_open_connect_and_run_nothing),
        ("it_can_take_neither_memory_nor_time", it_can_take_neither_memory_nor_time),
        ("a_panic_or_a_print_spoils_no_answer", a_panic_or_a_print_spoils_no_answer),
        ("it_ends_well_where_there_are_no_more_questions", it_ends_well_where_there_are_no_more_questions),
        ("large_bodies_go_both_ways", large_bodies_go_both_ways),
        ("more_sessions_than_places_wait_for_each_other", more_sessions_than_places_wait_for_each_other),
    ];
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in tests {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    let world = World::new();
    for (name, test) in tests.iter().filter(|(name, _)| wanted.is_none_or(|wanted| name.contains(wanted.as_str()))) {
        test(&world);
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

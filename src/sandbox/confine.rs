//! Gives up, for good, what a process that reads documents does not need: files, sockets, programs, memory, time.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope};
use rustix::process::{Resource, Rlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule as Rule,
};
use serde::{Deserialize, Serialize};

use crate::base::bound::sandbox as bound;

/// What holds a reading process, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// Of the binary.
    pub version: String,
    /// `full`, `partial` (the kernel knows only some of the rights), or `none`.
    pub landlock: String,
    /// `on`, or why there is none.
    pub seccomp: String,
}

impl Layers {
    /// What the kernel has not, for people.
    pub fn lacking(&self) -> Option<String> {
        let landlock = match self.landlock.as_str() {
            "full" => None,
            "partial" => Some("the kernel's Landlock knows only some of the rights".to_owned()),
            _ => Some("the kernel has no Landlock (Linux 5.13, and lsm=landlock)".to_owned()),
        };
        let seccomp = (self.seccomp != "on").then(|| format!("there is no seccomp filter: {}", self.seccomp));
        let lacking: Vec<String> = [landlock, seccomp].into_iter().flatten().collect();
        (!lacking.is_empty()).then(|| lacking.join("; "))
    }

    /// Whether a filter of system calls is in force: alone it keeps from files, sockets and programs.
    pub fn is_filtered(&self) -> bool {
        self.seccomp == "on"
    }
}

/// Gives everything up. `answers` is the one descriptor beside standard output and error that can be written to.
///
/// # Errors
/// When a limit cannot be set, or when neither Landlock nor seccomp is there.
pub(super) fn confine(answers: BorrowedFd<'_>) -> Result<Layers, String> {
    let set = |resource, most| {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, limit).map_err(|error| format!("a limit cannot be set: {error}"))
    };
    set(Resource::Core, 0)?;
    set(Resource::Fsize, 0)?;
    set(Resource::Nproc, 0)?;
    set(Resource::Memlock, 0)?;
    set(Resource::As, bound::SANDBOX_MEMORY_BYTES_MAX)?;
    set(Resource::Cpu, bound::SANDBOX_CPU_SECONDS_MAX)?;
    rustix::thread::set_no_new_privs(true).map_err(|error| format!("PR_SET_NO_NEW_PRIVS: {error}"))?;
    let landlock = landlock();
    // Landlock needs one more descriptor; from here on there is none.
    set(Resource::Nofile, 0)?;
    let seccomp = match filter(answers) {
        Ok(()) => "on".to_owned(),
        Err(reason) => reason,
    };
    let layers = Layers { version: env!("CARGO_PKG_VERSION").into(), landlock, seccomp };
    if !layers.is_filtered() && layers.landlock == "none" {
        return Err("this kernel has neither seccomp nor Landlock".into());
    }
    Ok(layers)
}

/// Denies all that the kernel knows to deny: files, TCP, and what lies outside of this process.
fn landlock() -> String {
    let abi = ABI::V6;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(abi)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    match restricted.map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => "full",
        Ok(RulesetStatus::PartiallyEnforced) => "partial",
        Ok(RulesetStatus::NotEnforced) | Err(_) => "none",
    }
    .to_owned()
}

/// Kills the process at any system call but those of the heap, of the two pipes, and of the end.
fn filter(answers: BorrowedFd<'_>) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let rules = rules(answers.as_raw_fd()).map_err(|error| told(&error))?;
    let architecture = std::env::consts::ARCH.try_into().map_err(|error: seccompiler::BackendError| told(&error))?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture);
    let filter = filter.map_err(|error| told(&error))?;
    let program: BpfProgram = filter.try_into().map_err(|error: seccompiler::BackendError| told(&error))?;
    seccompiler::apply_filter(&program).map_err(|error| told(&error))
}

type Rules = BTreeMap<i64, Vec<Rule>>;

fn rules(answers: i32) -> Result<Rules, seccompiler::BackendError> {
    let number = |value: i32| u64::from(value.cast_unsigned());
    let is = |argument, value: i32| Condition::new(argument, Len::Dword, Op::Eq, number(value));
    // Also descriptors that somebody else left open are of no use: only these can be read and written.
    let read = vec![Rule::new(vec![is(0, 0)?])?];
    let mut write = Vec::new();
    for descriptor in [1, 2, answers] {
        write.push(Rule::new(vec![is(0, descriptor)?])?);
    }
    // No page is ever both data and code.
    let data = Condition::new(2, Len::Dword, Op::MaskedEq(number(libc::PROT_EXEC)), 0)?;
    let data = vec![Rule::new(vec![data])?];
    // The standard library asks, where it checks itself, whether a descriptor that it closes is open.
    let ask = vec![Rule::new(vec![is(1, libc::F_GETFD)?])?];
    let own = i32::try_from(std::process::id()).unwrap_or(-1);
    let conditional = [
        (libc::SYS_read, read),
        (libc::SYS_write, write.clone()),
        (libc::SYS_writev, write),
        (libc::SYS_fcntl, ask),
        (libc::SYS_mmap, data.clone()),
        (libc::SYS_mprotect, data),
        // The allocator gives its memory a name, which is all that this one does.
        (libc::SYS_prctl, vec![Rule::new(vec![is(0, libc::PR_SET_VMA)?])?]),
        // How abort(3) ends this process, and no other.
        (libc::SYS_tgkill, vec![Rule::new(vec![is(0, own)?])?]),
    ];
    let plain = [
        libc::SYS_brk,
        libc::SYS_clock_gettime,
        libc::SYS_close,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getcpu,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_yield,
        libc::SYS_sigaltstack,
    ];
    Ok(conditional.into_iter().chain(plain.into_iter().map(|call| (call, Vec::new()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_connects_or_runs_is_on_no_list() {
        let rules = rules(3).unwrap();
        for call in [
            libc::SYS_openat,
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_ptrace,
            libc::SYS_kill,
            libc::SYS_ioctl,
            libc::SYS_sendmsg,
            libc::SYS_prlimit64,
            libc::SYS_io_uring_setup,
            libc::SYS_memfd_create,
            libc::SYS_pkey_mprotect,
            libc::SYS_process_vm_writev,
        ] {
            assert!(!rules.contains_key(&call), "{call}");
        }
    }

    #[test]
    fn a_layer_that_is_missing_is_named() {
        let full = Layers { version: "1".into(), landlock: "full".into(), seccomp: "on".into() };
        assert_eq!(full.lacking(), None);
        let old = Layers { landlock: "none".into(), ..full.clone() };
        assert!(old.lacking().unwrap().contains("Landlock") && old.is_filtered());
        let odd = Layers { seccomp: "unknown architecture".into(), ..full };
        assert!(odd.lacking().unwrap().contains("unknown architecture") && !odd.is_filtered());
    }
}

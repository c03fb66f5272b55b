//! What the kernel is told about this process: nobody looks into its memory, and no core of it is written.

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Forbids core dumps, and that processes of the same user attach to this one (prctl(2), `PR_SET_DUMPABLE`).
pub fn hide_memory() -> std::io::Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Whether a core of this process could be written, as the kernel has it.
pub fn are_core_dumps_possible() -> bool {
    let dumpable = !matches!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    dumpable || rustix::process::getrlimit(Resource::Core).maximum != Some(0)
}

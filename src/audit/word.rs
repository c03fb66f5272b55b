//! Words in the reasons of entries that others look for: whoever writes them and whoever reads them takes them from here.

/// A refusal by inspection; the rule's id follows.
pub const SUSPICIOUS_PATTERN: &str = "suspicious_pattern ";

/// A message that names a session which belongs to somebody else.
pub const FOREIGN_SESSION: &str = "session of another principal";

/// The client has shown nothing yet.
pub const NO_CREDENTIAL: &str = "no credential";

/// The policy does not permit it; the policy or the fault follows.
pub const DENIED: &str = "denied";

/// Administration is for accounts.
pub const NO_ACCOUNT: &str = "administration without an account";

/// It is for whoever is on the machine.
pub const NOT_AT_MACHINE: &str = "an operation of the machine, asked from elsewhere";

/// The operation of entries about connections that alerts themselves open begins so.
pub const OWN_EGRESS: &str = "egress.alert";

/// The operation of an entry about whom an operator contained.
pub const CONTAINED: &str = "contained";

/// The operation of an entry about somebody whom the watch shut out.
pub const WATCH_BLOCK: &str = "watch.block";

//! Which role may ask for which operation. A list for now; policy proper comes with the gate.

use crate::base::principal::Role;

/// For whom an operation is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Agents, over MCP.
    Agent,
    /// Operators, over the control socket and the command line.
    Operator,
}

/// Whether `role` may use operations for `audience`; if not, why.
pub fn decide(role: Role, audience: Audience) -> Result<(), &'static str> {
    match (role, audience) {
        (_, Audience::Agent) | (Role::Admin, Audience::Operator) => Ok(()),
        (Role::Reader, Audience::Operator) => Err("a reader does not administer"),
        (Role::Operator | Role::Auditor, Audience::Operator) => Err("only an administrator administers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_reads_and_an_admin_does_all() {
        assert!(decide(Role::Reader, Audience::Agent).is_ok());
        assert!(decide(Role::Reader, Audience::Operator).is_err());
        assert!(decide(Role::Admin, Audience::Agent).is_ok());
        assert!(decide(Role::Admin, Audience::Operator).is_ok());
    }
}

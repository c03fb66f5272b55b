//! The pages themselves, by what they are about.

pub(super) mod access;
pub(super) mod accounts;
pub(super) mod audit;
pub(super) mod connectors;
pub(super) mod gate;
pub(super) mod libraries;
pub(super) mod overview;
pub(super) mod running;

//! REST APIs as policed tools: what a document becomes ([`tool`]), what a call becomes ([`wire`]), and which connectors
//! there are ([`registry`]). Nothing here sends.

pub mod registry;
pub mod record;
pub mod pick;
pub mod lock;
pub mod find;
pub mod shipped;
pub mod base_url;
pub mod name;
pub mod tool;
pub mod wire;
mod form;
mod object;
mod segment;
mod style;

#[cfg(test)]
mod tests_registry;
#[cfg(test)]
mod tests_tool;
#[cfg(test)]
mod tests_wire;

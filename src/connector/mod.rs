//! REST APIs as policed tools: what a document becomes ([`tool`]), what a call becomes ([`wire`]), and which connectors
//! there are ([`registry`]). [`client`] calls, by a way that is injected: nothing here opens a connection.

pub mod registry;
pub mod change;
pub mod error;
pub mod record;
mod rows;
pub mod pick;
pub mod lock;
pub mod document;
mod fetch;
pub mod find;
pub mod shipped;
pub mod base_url;
pub mod name;
pub mod tool;
mod tool_schema;
pub mod wire;
pub mod request;
mod media_type;
pub mod upload;
pub mod scan;
pub mod scanner;
pub mod settings;
pub mod binding;
pub mod upstream;
pub mod authorise;
pub mod oauth;
pub mod breaker;
pub mod client;
pub mod reply;
mod fault;
mod former;
mod next;
mod pieces;
pub mod reading;
mod retry;
mod form;
mod object;
mod segment;
mod style;
mod unanswered;

#[cfg(test)]
mod tests_pieces;
#[cfg(test)]
mod tests_registry;
#[cfg(test)]
mod tests_tool;
#[cfg(test)]
mod tests_wire;

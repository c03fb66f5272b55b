//! The documents inside the binary.

/// Names of connectors whose document is shipped.
pub const NAMES: [&str; 1] = ["iconect"];

/// The document of this name.
pub fn document(name: &str) -> Option<&'static [u8]> {
    match name {
        "iconect" => Some(include_bytes!("../../assets/connectors/iconect.yaml")),
        _ => None,
    }
}

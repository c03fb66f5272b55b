//! What is looked at in arguments: sizes, classes of fields, and modes by group.

use super::{Check, GroupMode, Inspect, raw};

impl Check {
    pub(super) fn inspect(&mut self, inspect: &raw::Inspect) -> Inspect {
        let arguments = inspect.max_tool_args_size_bytes;
        Inspect {
            argument_bytes_max: self.size("inspect.max_tool_args_size_bytes", arguments, 256, 1 << 20),
            uri_chars_max: self.size("inspect.max_resource_uri_length", inspect.max_resource_uri_length, 64, 4096),
            query_chars_max: self.size("inspect.max_query_length", inspect.max_query_length, 16, 2000),
            validate_json_schema: inspect.validate_json_schema,
            sanitize_file_paths: inspect.sanitize_file_paths,
            prevent_code_injection: inspect.prevent_code_injection,
            free_text: inspect.free_text,
            paths: inspect.paths,
            other: inspect.other,
            rules_off: inspect.rules_off.clone(),
            group_modes: inspect.group_modes.iter().filter_map(|given| self.group_mode(given)).collect(),
            filter_names: inspect.filter_names.clone(),
        }
    }

    /// `GROUP.CLASS=MODE`.
    fn group_mode(&mut self, given: &str) -> Option<GroupMode> {
        let parsed = given.split_once('=').and_then(|(place, mode)| {
            let (group, class) = place.trim().split_once('.')?;
            let mode = match mode.trim() {
                "off" => raw::Mode::Off,
                "flag" => raw::Mode::Flag,
                "block" => raw::Mode::Block,
                _ => return None,
            };
            Some(GroupMode { group: group.to_owned(), class: class.to_owned(), mode })
        });
        if parsed.is_none() {
            let expected = "GROUP.CLASS=MODE with a mode of off, flag or block, such as sql.free_text=block";
            self.impossible("inspect.group_modes", expected, given);
        }
        parsed
    }
}

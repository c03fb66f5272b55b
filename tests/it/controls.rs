//! The table of the gate's controls: each with a test over a real socket of what it lets through, what it refuses, and
//! what becomes refused (or free again) under way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Case {
    Valid,
    Invalid,
    Becoming,
    /// Nothing changes it while a server runs, and no setting does: it stands in the place of [`Becoming`], and its test
    /// shows it under what might have changed it.
    Constant,
}
use Case::{Becoming, Constant, Invalid, Valid};

/// All controls. One without a row for each case fails, and so does a row of none of them.
const CONTROLS: &[&str] = &[
    "auth: passwords",
    "auth: the queue of passwords",
    "auth: passwords in clear",
    "auth: api keys",
    "auth: jwt of ours",
    "auth: jwt by jwks",
    "auth: jwt by a url of jwks",
    "auth: roles and scopes of other issuers",
    "auth: client certificates",
    "auth: this machine",
    "auth: names of the replaced environment",
    "auth: order of schemes",
    "auth: challenge and metadata",
    "session: timeout_minutes",
    "session: idle_timeout_minutes",
    "session: rotation_minutes",
    "session: max_concurrent_sessions, end_oldest_idle",
    "session: max_concurrent_sessions, refuse",
    "session: its principal's alone",
    "session: bind",
    "session: ended by an operator",
    "session: streams",
    "policy: roles",
    "policy: scopes",
    "policy: classification of libraries",
    "policy: classification of credentials",
    "policy: classification of connectors",
    "policy: own policies",
    "rate: per_minute",
    "rate: burst_limit",
    "rate: per_session",
    "rate: per_tool",
    "rate: per_address",
    "limits: in_flight_max",
    "limits: in_flight_per_session_max",
    "ban: failed authentications",
    "ban: by an operator",
    "ban: trusted proxies",
    "inspect: max_tool_args_size_bytes",
    "inspect: max_resource_uri_length",
    "inspect: max_query_length",
    "inspect: validate_json_schema",
    "inspect: patterns",
    "inspect: filter_names",
    "inspect: content type",
    "redact: secrets",
    "redact: personal data",
    "redact: HTML",
    "redact: output_bytes_max",
    "redact: marks of untrusted content",
    "log: security lines",
    "log: mask_addresses",
    "log: secrets",
    "log: encrypt",
    "egress: allowed and blocked hosts",
    "metrics: listener",
    "metrics: prefix",
    "http: unix_socket",
    "http: hosts",
    "http: origins",
    "http: TLS suites",
    "http: certificate",
    "http: client certificates",
    "http: exposure",
    "http: slow clients",
    "http: sizes of headers and bodies",
    "http: connections",
    "http: security headers",
    "watch: suspicious_patterns",
    "watch: rate_limit_attempts",
    "watch: session hijack",
    "watch: authentication_failures",
    "watch: policy_denials",
    "watch: egress_refused",
    "watch: baseline",
    "watch: webhook, mail, syslog",
    "watch: storms",
    "admin: http",
    "admin: roles",
    "admin: ui",
    "admin: drain",
];

/// Control, case, and the test that shows it as `file::function`.
const TABLE: &[(&str, Case, &str)] = &[
    ("auth: passwords", Valid, "identify::a_password_holds_until_it_is_changed_or_its_account_disabled_or_removed"),
    (
        "auth: passwords",
        Invalid,
        "identify::every_reason_to_refuse_a_credential_looks_the_same_and_is_in_the_audit_log",
    ),
    ("auth: passwords", Becoming, "identify::a_password_holds_until_it_is_changed_or_its_account_disabled_or_removed"),
    (
        "auth: the queue of passwords",
        Valid,
        "passwords::wrong_passwords_of_one_address_for_many_names_keep_nobody_else_out",
    ),
    (
        "auth: the queue of passwords",
        Invalid,
        "passwords::wrong_passwords_of_one_address_for_many_names_keep_nobody_else_out",
    ),
    (
        "auth: the queue of passwords",
        Becoming,
        "passwords::wrong_passwords_of_one_address_for_many_names_keep_nobody_else_out",
    ),
    ("auth: passwords in clear", Valid, "identify::a_password_behind_a_proxy_without_tls_is_not_taken"),
    ("auth: passwords in clear", Invalid, "identify::a_password_is_not_taken_in_the_clear_from_another_machine"),
    ("auth: passwords in clear", Becoming, "identify::a_password_behind_a_proxy_without_tls_is_not_taken"),
    ("auth: api keys", Valid, "identify::an_api_key_holds_until_it_is_revoked_or_expires_and_a_restart_keeps_that"),
    ("auth: api keys", Invalid, "identify::every_reason_to_refuse_a_credential_looks_the_same_and_is_in_the_audit_log"),
    ("auth: api keys", Becoming, "elapsed::a_token_expires_in_the_middle_of_its_use"),
    (
        "auth: api keys",
        Becoming,
        "becoming::an_account_that_is_disabled_and_a_token_that_is_revoked_are_out_in_the_middle_of_their_session",
    ),
    ("auth: jwt of ours", Valid, "identify::a_jwt_holds_until_it_is_revoked_its_key_rotated_out_or_its_account_gone"),
    ("auth: jwt of ours", Invalid, "identify::a_jwt_holds_until_it_is_revoked_its_key_rotated_out_or_its_account_gone"),
    (
        "auth: jwt of ours",
        Becoming,
        "foreign::a_token_of_ours_never_does_more_than_its_account_from_the_next_request_on",
    ),
    ("auth: jwt of ours", Becoming, "elapsed::a_token_expires_in_the_middle_of_its_use"),
    (
        "auth: jwt by jwks",
        Valid,
        "foreign::rs256_es256_and_eddsa_hold_with_their_own_key_and_follow_the_file_when_it_changes",
    ),
    ("auth: jwt by jwks", Invalid, "identify::a_jwt_of_an_authorization_server_holds_while_its_key_is_in_the_file"),
    (
        "auth: jwt by jwks",
        Becoming,
        "foreign::rs256_es256_and_eddsa_hold_with_their_own_key_and_follow_the_file_when_it_changes",
    ),
    (
        "auth: jwt by a url of jwks",
        Valid,
        "foreign::keys_of_a_trusted_url_hold_until_they_are_published_no_more_and_nobody_elses_do",
    ),
    (
        "auth: jwt by a url of jwks",
        Invalid,
        "foreign::keys_of_a_trusted_url_hold_until_they_are_published_no_more_and_nobody_elses_do",
    ),
    (
        "auth: jwt by a url of jwks",
        Becoming,
        "foreign::keys_of_a_trusted_url_hold_until_they_are_published_no_more_and_nobody_elses_do",
    ),
    (
        "auth: roles and scopes of other issuers",
        Valid,
        "foreign::another_issuer_makes_readers_until_it_is_let_give_more_and_its_own_scopes_count_for_nothing",
    ),
    (
        "auth: roles and scopes of other issuers",
        Invalid,
        "foreign::another_issuer_makes_readers_until_it_is_let_give_more_and_its_own_scopes_count_for_nothing",
    ),
    (
        "auth: roles and scopes of other issuers",
        Becoming,
        "foreign::another_issuer_makes_readers_until_it_is_let_give_more_and_its_own_scopes_count_for_nothing",
    ),
    ("auth: client certificates", Valid, "mtls::a_client_certificate_is_its_principal_by_its_name_until_it_is_revoked"),
    (
        "auth: client certificates",
        Invalid,
        "mtls::a_client_certificate_is_its_principal_by_its_name_until_it_is_revoked",
    ),
    (
        "auth: client certificates",
        Becoming,
        "mtls::a_client_certificate_is_its_principal_by_its_name_until_it_is_revoked",
    ),
    ("auth: this machine", Valid, "policy::a_policy_that_forbids_everything_can_be_mended_from_this_machine"),
    ("auth: this machine", Invalid, "bans::a_banned_agent_over_stdio_is_refused_and_the_operator_never"),
    ("auth: this machine", Becoming, "bans::a_banned_agent_over_stdio_is_refused_and_the_operator_never"),
    (
        "auth: names of the replaced environment",
        Valid,
        "identify::the_environment_of_the_replaced_system_is_taken_with_a_warning",
    ),
    (
        "auth: names of the replaced environment",
        Invalid,
        "identify::the_environment_of_the_replaced_system_is_taken_with_a_warning",
    ),
    (
        "auth: names of the replaced environment",
        Becoming,
        "identify::the_replaced_systems_method_is_the_only_one_unless_ours_says_more",
    ),
    (
        "auth: order of schemes",
        Valid,
        "identify::a_failed_scheme_never_falls_through_and_one_that_is_off_takes_nothing",
    ),
    (
        "auth: order of schemes",
        Invalid,
        "identify::a_failed_scheme_never_falls_through_and_one_that_is_off_takes_nothing",
    ),
    (
        "auth: order of schemes",
        Becoming,
        "identify::a_failed_scheme_never_falls_through_and_one_that_is_off_takes_nothing",
    ),
    ("auth: challenge and metadata", Valid, "identify::a_client_without_a_credential_is_told_where_to_get_one"),
    ("auth: challenge and metadata", Invalid, "identify::a_client_without_a_credential_is_told_where_to_get_one"),
    ("auth: challenge and metadata", Becoming, "identify::a_client_without_a_credential_is_told_where_to_get_one"),
    ("session: timeout_minutes", Valid, "sessions::the_session_of_a_credential_goes_on_after_a_restart"),
    ("session: timeout_minutes", Invalid, "elapsed::a_session_that_is_idle_or_too_old_ends_and_its_client_begins_anew"),
    (
        "session: timeout_minutes",
        Becoming,
        "elapsed::a_session_that_is_idle_or_too_old_ends_and_its_client_begins_anew",
    ),
    (
        "session: idle_timeout_minutes",
        Valid,
        "sessions::a_session_of_an_older_protocol_goes_on_after_a_restart_until_it_is_left",
    ),
    (
        "session: idle_timeout_minutes",
        Invalid,
        "elapsed::a_session_that_is_idle_or_too_old_ends_and_its_client_begins_anew",
    ),
    (
        "session: idle_timeout_minutes",
        Becoming,
        "elapsed::a_session_that_is_idle_or_too_old_ends_and_its_client_begins_anew",
    ),
    (
        "session: rotation_minutes",
        Valid,
        "elapsed::a_session_changes_its_id_at_each_interval_while_its_handle_goes_on_and_a_restart_keeps_that",
    ),
    ("session: rotation_minutes", Invalid, "elapsed::a_ban_on_the_id_from_before_a_rotation_holds"),
    (
        "session: rotation_minutes",
        Becoming,
        "elapsed::a_session_changes_its_id_at_each_interval_while_its_handle_goes_on_and_a_restart_keeps_that",
    ),
    (
        "session: max_concurrent_sessions, end_oldest_idle",
        Valid,
        "sessions::one_session_too_many_ends_the_quietest_or_is_refused",
    ),
    (
        "session: max_concurrent_sessions, end_oldest_idle",
        Invalid,
        "sessions::one_session_too_many_ends_the_quietest_or_is_refused",
    ),
    (
        "session: max_concurrent_sessions, end_oldest_idle",
        Becoming,
        "sessions::one_session_too_many_ends_the_quietest_or_is_refused",
    ),
    (
        "session: max_concurrent_sessions, refuse",
        Valid,
        "sessions::one_session_too_many_ends_the_quietest_or_is_refused",
    ),
    (
        "session: max_concurrent_sessions, refuse",
        Invalid,
        "sessions::one_session_too_many_ends_the_quietest_or_is_refused",
    ),
    (
        "session: max_concurrent_sessions, refuse",
        Becoming,
        "sessions::one_session_too_many_ends_the_quietest_or_is_refused",
    ),
    (
        "session: its principal's alone",
        Valid,
        "sessions::a_stolen_session_id_is_answered_like_none_and_recorded_each_time",
    ),
    (
        "session: its principal's alone",
        Invalid,
        "sessions::a_stolen_session_id_is_answered_like_none_and_recorded_each_time",
    ),
    ("session: its principal's alone", Becoming, "sessions::a_stolen_session_id_is_refused_after_a_restart_too"),
    ("session: bind", Valid, "sessions::a_session_bound_to_its_address_is_refused_from_another"),
    ("session: bind", Invalid, "sessions::a_session_bound_to_its_address_is_refused_from_another"),
    ("session: bind", Becoming, "sessions::a_session_bound_to_its_address_is_refused_from_another"),
    ("session: ended by an operator", Valid, "sessions::ending_a_session_of_an_older_protocol_ends_that_one_only"),
    (
        "session: ended by an operator",
        Invalid,
        "sessions::a_credential_whose_session_was_ended_holds_no_more_also_after_a_restart",
    ),
    (
        "session: ended by an operator",
        Becoming,
        "sessions::a_credential_whose_session_was_ended_holds_no_more_also_after_a_restart",
    ),
    ("session: streams", Valid, "streams::a_stream_ends_when_its_credential_or_principal_holds_no_more"),
    ("session: streams", Invalid, "sessions::a_stream_ends_with_its_session"),
    ("session: streams", Becoming, "streams::a_stream_ends_when_its_credential_or_principal_holds_no_more"),
    ("policy: roles", Valid, "policy::explain_finds_the_role_of_an_account_and_a_token_and_says_what_keeps_them_out"),
    ("policy: roles", Invalid, "policy::the_matrix_of_roles_and_operations"),
    ("policy: roles", Becoming, "foreign::a_token_of_ours_never_does_more_than_its_account_from_the_next_request_on"),
    (
        "policy: scopes",
        Valid,
        "foreign::another_issuer_makes_readers_until_it_is_let_give_more_and_its_own_scopes_count_for_nothing",
    ),
    (
        "policy: scopes",
        Invalid,
        "becoming::a_key_reaches_what_its_scopes_name_and_a_new_one_of_its_name_what_its_own_do",
    ),
    (
        "policy: scopes",
        Becoming,
        "becoming::a_key_reaches_what_its_scopes_name_and_a_new_one_of_its_name_what_its_own_do",
    ),
    ("policy: classification of libraries", Valid, "policy::a_policy_opens_one_restricted_library_to_one_principal"),
    (
        "policy: classification of libraries",
        Invalid,
        "policy::a_library_above_a_readers_level_is_as_if_it_were_not_there",
    ),
    (
        "policy: classification of libraries",
        Becoming,
        "policy::a_library_above_a_readers_level_is_as_if_it_were_not_there",
    ),
    (
        "policy: classification of credentials",
        Valid,
        "credential::a_credential_is_as_confidential_as_said_and_policies_decide_by_it",
    ),
    (
        "policy: classification of credentials",
        Invalid,
        "credential::a_credential_is_as_confidential_as_said_and_policies_decide_by_it",
    ),
    (
        "policy: classification of credentials",
        Becoming,
        "credential::a_credential_is_as_confidential_as_said_and_policies_decide_by_it",
    ),
    ("policy: own policies", Valid, "policy::a_changed_folder_is_noticed_without_a_command"),
    ("policy: own policies", Invalid, "policy::a_server_does_not_start_with_a_wrong_policy_and_says_where_it_is_wrong"),
    (
        "policy: own policies",
        Becoming,
        "becoming::a_policy_that_denies_and_one_that_goes_count_in_the_middle_of_a_session",
    ),
    ("rate: per_minute", Valid, "rates::a_minute_of_a_principal_is_bounded_and_a_restart_gives_nothing_back"),
    ("rate: per_minute", Invalid, "rates::a_minute_of_a_principal_is_bounded_and_a_restart_gives_nothing_back"),
    ("rate: per_minute", Becoming, "elapsed::each_rate_comes_back_when_it_said_and_not_before"),
    ("rate: burst_limit", Valid, "rates::calls_at_once_are_bounded"),
    ("rate: burst_limit", Invalid, "rates::the_default_burst_is_named_as_it_is"),
    ("rate: burst_limit", Becoming, "elapsed::each_rate_comes_back_when_it_said_and_not_before"),
    ("rate: per_session", Valid, "rates::an_hour_of_a_session_is_bounded_and_a_restart_gives_nothing_back"),
    ("rate: per_session", Invalid, "rates::an_hour_of_a_session_is_bounded_and_a_restart_gives_nothing_back"),
    ("rate: per_session", Becoming, "elapsed::each_rate_comes_back_when_it_said_and_not_before"),
    ("rate: per_tool", Valid, "rates::a_tool_may_have_a_rate_of_its_own"),
    ("rate: per_tool", Invalid, "rates::a_tool_may_have_a_rate_of_its_own"),
    ("rate: per_tool", Becoming, "elapsed::the_rate_of_a_tool_comes_back"),
    ("rate: per_address", Valid, "rates::an_address_is_bounded_before_anybody_is_recognised"),
    ("rate: per_address", Invalid, "rates::an_address_is_bounded_before_anybody_is_recognised"),
    ("rate: per_address", Becoming, "elapsed::each_rate_comes_back_when_it_said_and_not_before"),
    (
        "limits: in_flight_max",
        Valid,
        "becoming::calls_under_way_are_bounded_in_all_and_a_place_comes_back_when_one_ends",
    ),
    (
        "limits: in_flight_max",
        Invalid,
        "becoming::calls_under_way_are_bounded_in_all_and_a_place_comes_back_when_one_ends",
    ),
    (
        "limits: in_flight_max",
        Becoming,
        "becoming::calls_under_way_are_bounded_in_all_and_a_place_comes_back_when_one_ends",
    ),
    (
        "limits: in_flight_per_session_max",
        Valid,
        "becoming::calls_under_way_in_one_session_are_bounded_and_others_have_their_own",
    ),
    (
        "limits: in_flight_per_session_max",
        Invalid,
        "becoming::calls_under_way_in_one_session_are_bounded_and_others_have_their_own",
    ),
    (
        "limits: in_flight_per_session_max",
        Becoming,
        "becoming::calls_under_way_in_one_session_are_bounded_and_others_have_their_own",
    ),
    ("ban: failed authentications", Valid, "bans::whoever_shows_nothing_and_whoever_is_at_this_machine_is_not_banned"),
    (
        "ban: failed authentications",
        Invalid,
        "bans::failed_authentications_ban_the_address_and_a_restart_does_not_lift_it",
    ),
    ("ban: failed authentications", Becoming, "elapsed::a_ban_ends_with_its_time_and_the_next_one_is_twice_as_long"),
    ("ban: by an operator", Valid, "bans::an_operator_bans_and_lifts_everything_that_can_be_banned"),
    ("ban: by an operator", Invalid, "bans::an_operator_bans_and_lifts_everything_that_can_be_banned"),
    ("ban: by an operator", Becoming, "streams::a_stream_ends_when_its_credential_or_principal_holds_no_more"),
    ("ban: trusted proxies", Valid, "bans::failed_authentications_ban_the_address_and_a_restart_does_not_lift_it"),
    ("ban: trusted proxies", Invalid, "bans::an_address_that_nobody_trusted_names_is_ignored"),
    ("ban: trusted proxies", Becoming, "bans::an_address_that_nobody_trusted_names_is_ignored"),
    (
        "inspect: max_tool_args_size_bytes",
        Valid,
        "inspect::sizes_and_lengths_are_those_of_the_settings_and_the_schemas_say_so",
    ),
    (
        "inspect: max_tool_args_size_bytes",
        Invalid,
        "inspect::sizes_and_lengths_are_those_of_the_settings_and_the_schemas_say_so",
    ),
    ("inspect: max_tool_args_size_bytes", Becoming, "inspect::a_schema_that_is_not_checked_leaves_the_bounds"),
    ("inspect: max_resource_uri_length", Valid, "becoming::the_longest_uri_of_a_resource_is_what_the_setting_says"),
    ("inspect: max_resource_uri_length", Invalid, "becoming::the_longest_uri_of_a_resource_is_what_the_setting_says"),
    ("inspect: max_resource_uri_length", Becoming, "becoming::the_longest_uri_of_a_resource_is_what_the_setting_says"),
    ("inspect: max_query_length", Valid, "inspect::sizes_and_lengths_are_those_of_the_settings_and_the_schemas_say_so"),
    (
        "inspect: max_query_length",
        Invalid,
        "inspect::sizes_and_lengths_are_those_of_the_settings_and_the_schemas_say_so",
    ),
    (
        "inspect: max_query_length",
        Becoming,
        "inspect::sizes_and_lengths_are_those_of_the_settings_and_the_schemas_say_so",
    ),
    ("inspect: validate_json_schema", Valid, "inspect::every_operation_refuses_arguments_that_it_does_not_know"),
    ("inspect: validate_json_schema", Invalid, "mcp::mistakes_are_told_so_that_a_model_can_mend_them"),
    ("inspect: validate_json_schema", Becoming, "inspect::a_schema_that_is_not_checked_leaves_the_bounds"),
    ("inspect: patterns", Valid, "inspect::a_query_may_speak_of_attacks_and_a_name_may_not_be_one"),
    ("inspect: patterns", Invalid, "inspect::a_query_may_speak_of_attacks_and_a_name_may_not_be_one"),
    ("inspect: patterns", Becoming, "inspect::settings_decide_what_a_pattern_does"),
    ("inspect: filter_names", Valid, "inspect::names_of_filters_are_words_or_declared"),
    ("inspect: filter_names", Invalid, "inspect::names_of_filters_are_words_or_declared"),
    ("inspect: filter_names", Becoming, "inspect::names_of_filters_are_words_or_declared"),
    ("inspect: content type", Valid, "inspect::a_body_of_another_type_gets_415"),
    ("inspect: content type", Invalid, "inspect::a_body_of_another_type_gets_415"),
    ("inspect: content type", Becoming, "transport::a_wrong_content_type_is_refused"),
    ("redact: secrets", Valid, "inspect::secrets_in_documents_do_not_leave_and_placeholders_do"),
    ("redact: secrets", Invalid, "inspect::secrets_in_documents_do_not_leave_and_placeholders_do"),
    ("redact: secrets", Becoming, "credential::a_value_is_in_no_output_log_entry_database_index_backup_or_bundle"),
    (
        "redact: marks of untrusted content",
        Valid,
        "inspect::what_comes_from_documents_is_marked_and_what_hides_in_it_is_told",
    ),
    (
        "redact: marks of untrusted content",
        Invalid,
        "inspect::what_comes_from_documents_is_marked_and_what_hides_in_it_is_told",
    ),
    (
        "redact: marks of untrusted content",
        Becoming,
        "inspect::what_comes_from_documents_is_marked_and_what_hides_in_it_is_told",
    ),
    ("log: security lines", Valid, "log::a_wrong_token_is_a_security_line_and_a_violation"),
    (
        "log: security lines",
        Invalid,
        "log::a_call_over_the_rate_is_a_security_line_with_its_address_where_that_is_wanted",
    ),
    (
        "log: security lines",
        Becoming,
        "log::a_call_over_the_rate_is_a_security_line_with_its_address_where_that_is_wanted",
    ),
    ("log: secrets", Valid, "log::no_secret_is_in_the_log_at_its_most_talkative"),
    ("log: secrets", Invalid, "identify::no_password_or_token_is_in_an_answer_a_log_an_entry_or_the_database"),
    ("log: secrets", Constant, "log::no_secret_is_in_the_log_at_its_most_talkative"),
    ("log: encrypt", Valid, "log::sealed_files_have_nothing_in_clear_and_are_read_through_the_server_and_without_one"),
    ("log: encrypt", Invalid, "log::a_changed_line_of_a_sealed_file_is_told_and_the_rest_goes_on"),
    ("log: encrypt", Becoming, "log::sealed_files_open_after_every_key_was_made_new"),
    ("http: hosts", Valid, "becoming::a_host_and_an_origin_count_only_while_they_are_in_their_lists"),
    ("http: hosts", Invalid, "http::a_foreign_host_or_origin_is_refused_everywhere"),
    ("http: hosts", Becoming, "becoming::a_host_and_an_origin_count_only_while_they_are_in_their_lists"),
    ("http: origins", Valid, "transport::pages_of_allowed_origins_may_read_and_no_others"),
    ("http: origins", Invalid, "http::a_foreign_host_or_origin_is_refused_everywhere"),
    ("http: origins", Becoming, "becoming::a_host_and_an_origin_count_only_while_they_are_in_their_lists"),
    ("http: TLS suites", Valid, "transport::two_suites_are_spoken_and_a_client_that_knows_neither_is_refused"),
    ("http: TLS suites", Invalid, "transport::two_suites_are_spoken_and_a_client_that_knows_neither_is_refused"),
    ("http: TLS suites", Constant, "transport::two_suites_are_spoken_and_a_client_that_knows_neither_is_refused"),
    ("http: certificate", Valid, "transport::a_renewed_certificate_is_served_without_a_restart_and_a_bad_one_is_not"),
    ("http: certificate", Invalid, "transport::an_expired_certificate_is_served_and_warned_of"),
    (
        "http: certificate",
        Becoming,
        "transport::a_renewed_certificate_is_served_without_a_restart_and_a_bad_one_is_not",
    ),
    (
        "http: client certificates",
        Valid,
        "transport::a_shown_certificate_is_evidence_and_its_bearer_is_nobody_anonymous",
    ),
    ("http: client certificates", Invalid, "transport::a_required_client_certificate_is_asked_for_until_it_is_revoked"),
    (
        "http: client certificates",
        Becoming,
        "transport::a_required_client_certificate_is_asked_for_until_it_is_revoked",
    ),
    ("http: exposure", Valid, "transport::a_socket_of_the_supervisor_is_served"),
    ("http: exposure", Invalid, "http::beyond_loopback_nothing_is_served_unprotected"),
    ("http: exposure", Becoming, "transport::a_supervisor_cannot_open_what_the_configuration_protects"),
    ("http: slow clients", Valid, "http::a_slow_header_does_not_hold_a_connection"),
    ("http: slow clients", Invalid, "http::a_slow_header_does_not_hold_a_connection"),
    ("http: slow clients", Becoming, "transport::whoever_is_slow_is_cut_whatever_the_connection_would_become"),
    ("http: sizes of headers and bodies", Valid, "transport::too_much_header_is_refused"),
    ("http: sizes of headers and bodies", Invalid, "transport::too_much_header_is_refused"),
    ("http: sizes of headers and bodies", Becoming, "http::what_is_no_message_is_answered_as_json_rpc_says"),
    ("http: connections", Valid, "transport::one_address_cannot_take_every_connection"),
    ("http: connections", Invalid, "transport::one_address_cannot_take_every_connection"),
    ("http: connections", Becoming, "transport::one_address_cannot_take_every_connection"),
    ("http: security headers", Valid, "http::health_needs_no_token_and_mcp_does"),
    ("http: security headers", Invalid, "http::what_is_no_message_is_answered_as_json_rpc_says"),
    (
        "http: security headers",
        Becoming,
        "transport::strict_transport_security_is_said_over_tls_for_names_that_are_ours_alone",
    ),
    ("watch: suspicious_patterns", Valid, "inspect::a_query_may_speak_of_attacks_and_a_name_may_not_be_one"),
    (
        "watch: suspicious_patterns",
        Invalid,
        "watch::whoever_attacks_again_and_again_is_blocked_for_a_time_and_a_restart_does_not_help",
    ),
    (
        "watch: suspicious_patterns",
        Becoming,
        "watch::whoever_attacks_again_and_again_is_blocked_for_a_time_and_a_restart_does_not_help",
    ),
    (
        "watch: rate_limit_attempts",
        Valid,
        "watch::whoever_tries_more_than_the_rate_is_blocked_also_where_the_tries_were_refused",
    ),
    (
        "watch: rate_limit_attempts",
        Invalid,
        "watch::whoever_tries_more_than_the_rate_is_blocked_also_where_the_tries_were_refused",
    ),
    (
        "watch: rate_limit_attempts",
        Becoming,
        "watch::whoever_tries_more_than_the_rate_is_blocked_also_where_the_tries_were_refused",
    ),
    ("watch: session hijack", Valid, "watch::somebody_elses_session_alerts"),
    ("watch: session hijack", Invalid, "watch::somebody_elses_session_alerts"),
    ("watch: session hijack", Becoming, "watch::somebody_elses_session_alerts"),
    ("watch: webhook, mail, syslog", Valid, "watch::an_alert_is_signed_and_tried_again_and_survives_a_kill_in_between"),
    ("watch: webhook, mail, syslog", Invalid, "watch::a_place_that_is_dead_holds_up_no_other"),
    (
        "watch: webhook, mail, syslog",
        Becoming,
        "watch::an_alert_is_signed_and_tried_again_and_survives_a_kill_in_between",
    ),
    ("watch: storms", Valid, "watch::a_storm_is_one_alert_with_a_count"),
    ("watch: storms", Invalid, "watch::a_storm_is_one_alert_with_a_count"),
    ("watch: storms", Becoming, "watch::a_storm_is_one_alert_with_a_count"),
    ("admin: http", Valid, "admin::every_route_does_what_its_operation_does_as_the_document_says_and_is_recorded"),
    ("admin: http", Invalid, "admin::nobody_administers_in_the_clear_from_another_machine"),
    ("admin: http", Invalid, "admin::a_page_of_another_site_changes_nothing"),
    ("admin: http", Becoming, "admin::administration_over_http_can_be_switched_off"),
    ("admin: roles", Valid, "admin::every_route_does_what_its_operation_does_as_the_document_says_and_is_recorded"),
    ("admin: roles", Invalid, "admin::whoever_has_no_account_or_not_the_role_is_refused_with_an_entry"),
    ("admin: roles", Becoming, "admin::tokens_of_an_account_administer_until_its_role_changes_or_it_is_disabled"),
    ("policy: classification of connectors", Valid, "connector_call::who_may_not_touch_a_connector_does_not_see_it"),
    ("policy: classification of connectors", Invalid, "connector_call::who_may_not_touch_a_connector_does_not_see_it"),
    ("policy: classification of connectors", Becoming, "connector_call::who_may_not_touch_a_connector_does_not_see_it"),
    ("redact: personal data", Valid, "inspect::secrets_in_documents_do_not_leave_and_placeholders_do"),
    ("redact: personal data", Invalid, "inspect::secrets_in_documents_do_not_leave_and_placeholders_do"),
    ("redact: personal data", Becoming, "inspect::secrets_in_documents_do_not_leave_and_placeholders_do"),
    (
        "log: mask_addresses",
        Valid,
        "log::a_call_over_the_rate_is_a_security_line_with_its_address_where_that_is_wanted",
    ),
    ("log: mask_addresses", Invalid, "log::a_wrong_token_is_a_security_line_and_a_violation"),
    (
        "log: mask_addresses",
        Becoming,
        "log::a_call_over_the_rate_is_a_security_line_with_its_address_where_that_is_wanted",
    ),
    ("egress: allowed and blocked hosts", Valid, "web::a_site_is_mirrored_asked_for_changes_and_what_is_gone_goes"),
    ("egress: allowed and blocked hosts", Invalid, "web::only_what_an_operator_allowed_is_asked"),
    ("egress: allowed and blocked hosts", Becoming, "watch::a_host_that_becomes_blocked_is_asked_no_more_and_alerts"),
    ("metrics: listener", Valid, "metrics::what_passed_is_counted_under_the_names_of_the_catalogue"),
    ("metrics: listener", Invalid, "metrics::the_metrics_port_answers_nothing_else_and_no_foreign_host"),
    ("metrics: listener", Becoming, "metrics::a_taken_port_costs_the_metrics_and_not_the_service"),
    ("metrics: prefix", Valid, "metrics::a_prefix_of_ones_own_is_used_and_an_impossible_one_is_refused"),
    ("metrics: prefix", Invalid, "metrics::a_prefix_of_ones_own_is_used_and_an_impossible_one_is_refused"),
    ("metrics: prefix", Becoming, "metrics::a_prefix_of_ones_own_is_used_and_an_impossible_one_is_refused"),
    ("http: unix_socket", Valid, "transport::a_unix_socket_serves_mcp_to_its_group_and_records_who_asks"),
    ("http: unix_socket", Invalid, "transport::a_unix_socket_serves_mcp_to_its_group_and_records_who_asks"),
    ("http: unix_socket", Becoming, "transport::a_unix_socket_serves_mcp_to_its_group_and_records_who_asks"),
    ("watch: authentication_failures", Valid, "watch::so_many_wrong_credentials_alert_and_fewer_do_not"),
    ("watch: authentication_failures", Invalid, "watch::so_many_wrong_credentials_alert_and_fewer_do_not"),
    ("watch: authentication_failures", Becoming, "watch::so_many_wrong_credentials_alert_and_fewer_do_not"),
    (
        "watch: policy_denials",
        Valid,
        "watch::whoever_asks_again_and_again_for_what_the_policy_denies_alerts_and_a_few_do_not",
    ),
    (
        "watch: policy_denials",
        Invalid,
        "watch::whoever_asks_again_and_again_for_what_the_policy_denies_alerts_and_a_few_do_not",
    ),
    (
        "watch: policy_denials",
        Becoming,
        "watch::whoever_asks_again_and_again_for_what_the_policy_denies_alerts_and_a_few_do_not",
    ),
    ("watch: egress_refused", Valid, "watch::a_host_that_becomes_blocked_is_asked_no_more_and_alerts"),
    ("watch: egress_refused", Invalid, "watch::a_host_that_becomes_blocked_is_asked_no_more_and_alerts"),
    ("watch: egress_refused", Becoming, "watch::a_host_that_becomes_blocked_is_asked_no_more_and_alerts"),
    ("watch: baseline", Valid, "watch::what_a_caller_never_did_before_alerts_once_its_habits_are_known"),
    ("watch: baseline", Invalid, "watch::what_a_caller_never_did_before_alerts_once_its_habits_are_known"),
    ("watch: baseline", Becoming, "watch::what_a_caller_never_did_before_alerts_once_its_habits_are_known"),
    ("admin: ui", Valid, "ui::a_person_logs_in_sees_every_page_and_logs_out"),
    ("admin: ui", Invalid, "ui::there_is_no_dashboard_where_it_or_administration_over_http_is_switched_off"),
    ("admin: ui", Becoming, "ui::an_account_that_is_changed_is_out_at_the_next_request"),
    ("redact: HTML", Valid, "connector_call::answers_are_passed_on_as_what_they_are"),
    ("redact: HTML", Invalid, "connector_call::answers_are_passed_on_as_what_they_are"),
    ("redact: HTML", Constant, "connector_call::answers_are_passed_on_as_what_they_are"),
    ("redact: output_bytes_max", Valid, "inspect::a_result_is_cut_where_the_setting_says_and_says_so"),
    ("redact: output_bytes_max", Invalid, "inspect::a_result_is_cut_where_the_setting_says_and_says_so"),
    ("redact: output_bytes_max", Becoming, "inspect::a_result_is_cut_where_the_setting_says_and_says_so"),
    ("admin: drain", Valid, "admin::a_drained_server_begins_nothing_finishes_what_is_under_way_and_ends"),
    ("admin: drain", Invalid, "admin::a_drain_waits_no_longer_than_it_was_told_and_only_a_server_is_drained"),
    ("admin: drain", Becoming, "admin::a_drained_server_begins_nothing_finishes_what_is_under_way_and_ends"),
];

/// What is wrong with a table, given whether a test exists.
fn faults(controls: &[&str], table: &[(&str, Case, &str)], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut shown: BTreeMap<&str, BTreeSet<Case>> = BTreeMap::new();
    for (control, case, test) in table {
        if !controls.contains(control) {
            faults.push(format!("{control} is no control"));
        }
        if !exists(test) {
            faults.push(format!("{control}, {case:?}: there is no test {test}"));
        }
        shown.entry(control).or_default().insert(*case);
    }
    for control in controls {
        for case in [Valid, Invalid, Becoming] {
            let is_shown =
                |cases: &BTreeSet<Case>| cases.contains(&case) || (case == Becoming && cases.contains(&Constant));
            if !shown.get(control).is_some_and(is_shown) {
                faults.push(format!("{control}, {case:?}: no test shows it"));
            }
        }
    }
    faults
}

/// Whether `file::function` is a test beside this one.
fn is_test(name: &str) -> bool {
    let Some((file, function)) = name.split_once("::") else { return false };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(format!("{file}.rs"));
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    text.contains(&format!("#[test]\nfn {function}() {{"))
}

#[test]
fn every_control_is_shown_valid_invalid_and_becoming_invalid() {
    let faults = faults(CONTROLS, TABLE, is_test);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The table can fail: a row too few, a test that is not there, a control that nobody knows.
#[test]
fn a_missing_row_and_a_test_that_does_not_exist_are_found() {
    let row = ("one", Valid, "controls::a_missing_row_and_a_test_that_does_not_exist_are_found");
    let whole = [row, ("one", Invalid, row.2), ("one", Becoming, row.2)];
    assert_eq!(faults(&["one"], &whole, is_test), [""; 0]);
    assert_eq!(faults(&["one"], &whole[..2], is_test), ["one, Becoming: no test shows it"]);
    let constant = [row, ("one", Invalid, row.2), ("one", Constant, row.2)];
    assert_eq!(faults(&["one"], &constant, is_test), [""; 0]);
    assert_eq!(faults(&["one", "two"], &whole, is_test).len(), 3);
    assert_eq!(faults(&[], &whole, is_test).len(), 3);
    let nowhere = [row, ("one", Invalid, "controls::nothing"), ("one", Becoming, "nowhere::nothing")];
    assert_eq!(faults(&["one"], &nowhere, is_test).len(), 2);
}

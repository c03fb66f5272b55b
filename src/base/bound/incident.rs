//! Limits of incidents: what one record holds, and how long evidence may be to be read.

/// Incidents that are kept: years of them, and all in one look.
pub const INCIDENTS_MAX: u64 = 1_000;
/// Incidents of one answer: each is read whole, and is up to half a megabyte.
pub const INCIDENTS_LISTED_MAX: u64 = 100;
/// Notes of one incident. With the bound on each the record stays below the largest one.
pub const NOTES_MAX: usize = 150;
/// Bytes of a title, of a type, of the name of a system or of somebody who was told.
pub const TITLE_BYTES_MAX: usize = 200;
/// Bytes of a note, of a description, of the lessons: a page.
pub const TEXT_BYTES_MAX: usize = 3_000;
/// Systems that an incident names, and parties that were told.
pub const SYSTEMS_MAX: usize = 50;
/// Bytes of each small file of an evidence bundle: record, configuration, versions, manifest.
pub const EVIDENCE_FILE_BYTES_MAX: usize = 4 << 20;
/// Characters that a verdict quotes of a file that is not as it should be.
pub const EVIDENCE_EXCERPT_CHARS_MAX: usize = 100;
/// How long before an incident was opened its evidence begins, unless it is told otherwise: what is found today began
/// earlier.
pub const EVIDENCE_BEFORE_SECONDS: u64 = 24 * 3600;
/// When a client that met a frozen server should ask again: a person has to lift it.
pub const FREEZE_RETRY_SECONDS: u64 = 60;
/// Characters of the reason of a freeze or a containment.
pub const REASON_CHARS_MAX: usize = 256;
/// How long a security.txt says that it holds: RFC 9116, section 2.5.5, recommends less than a year.
pub const SECURITY_TXT_DAYS: u64 = 180;

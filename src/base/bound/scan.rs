//! Limits of the scan and of looking after a server: how old is too old, how large what is read may be.

/// Days after which an API key or a JWT that was made and never used is stale: whoever wanted it has forgotten it.
pub const TOKEN_NEVER_USED_DAYS: u64 = 30;
/// Days after which a token or an account that was used once is stale: a quarter, as the guides' reviews.
pub const UNUSED_DAYS: u64 = 90;
/// Days after which any key is old, also where rotations by age leave it: most standards ask for a year.
pub const KEY_DAYS_MAX: u64 = 366;
/// Days by which a rotation may be late: it happens while a server runs with an open vault.
pub const ROTATION_LATE_DAYS: u64 = 2;
/// Days after which a backup or the audit log should have been verified again.
pub const VERIFIED_DAYS_MAX: u64 = 31;
/// Intervals of `backup.every_hours` that may pass without a backup: one may be missed for a reboot.
pub const BACKUP_INTERVALS_MAX: u32 = 3;
/// Days after which a database of advisories says little about today.
pub const ADVISORIES_DAYS_MAX: u64 = 30;
/// Days after which it says nothing.
pub const ADVISORIES_DAYS_STALE: u64 = 120;
/// A database of advisories, in bytes: `RustSec`'s thousand take half a mebibyte.
pub const ADVISORIES_BYTES_MAX: u64 = 32 << 20;
/// Advisories in it.
pub const ADVISORIES_MAX: usize = 100_000;
/// One advisory as it is written, in bytes; the longest of `RustSec` have some ten kilobytes.
pub const ADVISORY_BYTES_MAX: u64 = 1 << 20;
/// Files of one kind whose modes are looked at: log files, backups, policies.
pub const SCAN_FILES_MAX: usize = 2_000;
/// A unit file of systemd, in bytes.
pub const UNIT_BYTES_MAX: u64 = 256 << 10;
/// Bits of an RSA key at the least (NIST SP 800-57: 112 bits of security).
pub const RSA_BITS_MIN: usize = 2048;
/// Bits of an elliptic curve's key at the least, as above.
pub const EC_BITS_MIN: usize = 224;
/// Time between two looks of a running server at what is due; a look where nothing is due reads a few rows.
pub const UPKEEP_SECONDS: u64 = 60;
/// How long the first look waits for the first backup: minutes for gigabytes, and room on the disk is watched only then.
pub const UPKEEP_HOUSE_SECONDS: u64 = 600;
/// Time after which what is due and could not be done, or not be written down, is tried again: a full or failing disk
/// stays so for longer than a minute.
pub const UPKEEP_RETRY_SECONDS: u64 = 3_600;
/// The same for the verification of a backup, which needs room and keys, and alerts each time that it fails.
pub const UPKEEP_BACKUP_RETRY_SECONDS: u64 = 86_400;
/// Time after which it is told again that backups by schedule fail, where they go on failing for the same reason.
pub const BACKUP_FAILS_AGAIN_SECONDS: u64 = 86_400;
/// Reasons for which they fail that are told in that time: no more than these change places by themselves.
pub const BACKUP_FAILS_REASONS_MAX: usize = 8;
/// Checks that an entry and its alert name; the scan has all findings.
pub const FINDINGS_TOLD_MAX: usize = 5;
/// Days whose sizes are kept: a quarter shows how things grow.
pub const SIZES_KEPT_MAX: usize = 90;
/// Passes of one compaction: the third finds next to nothing.
pub const COMPACTIONS_MAX: usize = 4;
/// How long a health check waits for a server that says nothing: shorter than the ten seconds after which a container's
/// check is ended from outside, without a word.
pub const HEALTHCHECK_SECONDS: u64 = 9;

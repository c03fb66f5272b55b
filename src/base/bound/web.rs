//! Limits of libraries that are mirrored from web sites.

/// Pages of one site, unless the operator asks for fewer or more.
pub const WEB_PAGES_DEFAULT: u32 = 2_000;
/// The most pages that an operator can ask for.
pub const WEB_PAGES_MAX: u32 = 50_000;
/// Links from the first page to one that is read, unless the operator says otherwise: menus reach all within four.
pub const WEB_DEPTH_DEFAULT: u32 = 8;
/// The most that an operator can ask for.
pub const WEB_DEPTH_MAX: u32 = 32;
/// Bytes of all pages of one site.
pub const WEB_BYTES_MAX: u64 = 1 << 30;
/// Links of one page that are looked at.
pub const WEB_LINKS_MAX: usize = 2_000;
/// Pages that wait to be read, and that were.
pub const WEB_QUEUE_MAX: usize = 100_000;
/// Bytes of their URLs: they are written down three times (see [`WEB_STATE_BYTES_MAX`]).
pub const WEB_QUEUE_BYTES_MAX: usize = 14 << 20;
/// Site maps that lead to each other.
pub const WEB_SITEMAPS_MAX: usize = 100;
/// Least time between two requests to one host: three each second.
pub const WEB_BETWEEN_MS: u64 = 334;
/// The longest `Crawl-delay` of a robots.txt that is heeded; a host that asks for more is asked as seldom as this.
pub const WEB_DELAY_MS_MAX: u64 = 10_000;
/// One page, from looking its name up to its last byte.
pub const WEB_PAGE_MS: u64 = 30_000;
/// A robots.txt; what is beyond is not read (RFC 9309, section 2.5).
pub const ROBOTS_BYTES_MAX: usize = 500 << 10;
/// Redirects from a robots.txt that are followed (RFC 9309, section 2.3.1.2).
pub const ROBOTS_REDIRECTS_MAX: usize = 5;
/// Rules of a robots.txt that are kept.
pub const ROBOTS_RULES_MAX: usize = 2_000;
/// A URL of a page.
pub const WEB_URL_BYTES_MAX: usize = 1_024;
/// Pages after which it is written down how far a mirror is: as many are fetched again after a crash.
pub const WEB_SAVE_PAGES: u32 = 20;
/// Failures in a row after which a site is left alone until the next sync.
pub const WEB_FAILURES_MAX: u32 = 10;
/// What is remembered of the pages of a mirror: a kilobyte for each.
pub const WEB_STATE_PAGES_BYTES_MAX: usize = 72 << 20;
/// The state of a mirror, as JSON: its pages, and a crawl with what waits, what is known and what is to be kept.
pub const WEB_STATE_BYTES_MAX: u64 = 128 << 20;
/// Hosts of one site.
pub const WEB_HOSTS_MAX: usize = 16;
/// Sites that are mirrored at once: each has a thread of its own, and its state in memory.
pub const WEB_MIRRORS_MAX: usize = 8;
/// Time after which a site whose sync failed is due again, unless it is synced more often than that.
pub const WEB_RETRY_SECONDS: u64 = 3_600;
/// Least time between two looks for sites that are due.
pub const WEB_LOOK_SECONDS: u64 = 60;
/// The longest time between two syncs that are made by themselves: a year.
pub const WEB_REFRESH_HOURS_MAX: u32 = 8_760;

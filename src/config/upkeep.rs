//! The valid form of the table `[upkeep]`.

use std::time::Duration;

use super::Check;
use super::raw::upkeep as raw;

#[derive(Clone, Debug)]
pub struct Upkeep {
    /// `None`: never.
    pub scan: Option<Duration>,
    pub audit_verify: Option<Duration>,
    pub backup_verify: Option<Duration>,
    /// As written: what a key is, a higher room knows.
    pub advisories_vkey: Option<String>,
    pub disk_free_percent_min: u64,
    pub disk_free_bytes_min: u64,
}

impl Upkeep {
    /// Why so little room is too little; `None` where it is enough.
    pub fn is_short(&self, free_bytes: u64, total_bytes: u64) -> Option<String> {
        let percent = free_bytes.saturating_mul(100).checked_div(total_bytes).unwrap_or(100);
        let mebibytes = free_bytes >> 20;
        if free_bytes < self.disk_free_bytes_min {
            let least = self.disk_free_bytes_min >> 20;
            return Some(format!("{mebibytes} MiB are free, fewer than {least} MiB (upkeep.disk_free_bytes_min)"));
        }
        (percent < self.disk_free_percent_min).then(|| {
            let least = self.disk_free_percent_min;
            format!("{percent} % are free ({mebibytes} MiB), fewer than {least} % (upkeep.disk_free_percent_min)")
        })
    }

    /// Whether there still is too little, where there was: a tenth more than the least is enough, so that a disk at the
    /// limit is not short and well in turns.
    pub fn is_still_short(&self, free_bytes: u64, total_bytes: u64) -> bool {
        let least = self.disk_free_bytes_min.max(total_bytes / 100 * self.disk_free_percent_min);
        // Where nearly all of a disk is to be free, there may be no tenth above that.
        let margin = (least / 10).min(total_bytes.saturating_sub(least) / 2);
        free_bytes < least + margin
    }
}

impl Check {
    pub(super) fn upkeep(&mut self, upkeep: &raw::Upkeep) -> Upkeep {
        let mut hours = |key: &'static str, hours: u64| {
            (hours > 0).then(|| Duration::from_secs(3600 * self.within(key, hours, 1, 8760)))
        };
        let scan = hours("upkeep.scan_hours", upkeep.scan_hours);
        let audit_verify = hours("upkeep.audit_verify_hours", upkeep.audit_verify_hours);
        let backup_verify = hours("upkeep.backup_verify_hours", upkeep.backup_verify_hours);
        let percent = self.within("upkeep.disk_free_percent_min", upkeep.disk_free_percent_min, 0, 99);
        let bytes = self.within("upkeep.disk_free_bytes_min", upkeep.disk_free_bytes_min, 0, 1 << 60);
        Upkeep {
            scan,
            audit_verify,
            backup_verify,
            advisories_vkey: upkeep.advisories_vkey.clone().filter(|key| !key.is_empty()),
            disk_free_percent_min: percent,
            disk_free_bytes_min: bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::raw::Raw;

    #[test]
    fn the_disk_is_short_by_percent_or_by_bytes() {
        let upkeep = Config::of(Raw::default()).unwrap().upkeep;
        assert_eq!(upkeep.is_short(10 << 30, 100 << 30), None);
        assert!(upkeep.is_short(4 << 30, 100 << 30).unwrap().contains("4 %"));
        assert!(upkeep.is_short(511 << 20, 1 << 30).unwrap().contains("511 MiB"));
        assert_eq!(upkeep.is_short(1 << 30, 0), None);
        // 5 GiB are the least; what was short is well again a tenth above.
        assert_eq!(upkeep.is_short(5200 << 20, 100 << 30), None);
        assert!(upkeep.is_still_short(5200 << 20, 100 << 30));
        assert!(!upkeep.is_still_short(5700 << 20, 100 << 30));
        assert!(upkeep.is_still_short(530 << 20, 1 << 30), "by bytes");
        assert!(!upkeep.is_still_short(600 << 20, 1 << 30));
        let all = super::Upkeep { disk_free_percent_min: 99, ..upkeep };
        assert!(!all.is_still_short(100 << 30, 100 << 30));
    }
}

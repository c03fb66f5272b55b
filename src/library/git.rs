//! Which commit a Git checkout stands at, read from its files: no program is run, and nothing outside is opened.

use std::io::Read as _;

use cap_std::fs::Dir;

use super::plain;
use crate::base::bound::parse as bound;

/// The commit in hexadecimal, SHA-1 or SHA-256; `None` where the folder is no checkout of its own.
pub(super) fn commit(folder: &Dir) -> Option<String> {
    let head = read(folder, ".git/HEAD")?;
    let Some(name) = head.trim().strip_prefix("ref: ") else { return id(head.trim()) };
    let is_name = name.starts_with("refs/") && !name.contains("..") && !name.contains(char::is_whitespace);
    if !is_name {
        return None;
    }
    if let Some(found) = read(folder, &format!(".git/{name}")) {
        return id(found.trim());
    }
    let packed = read(folder, ".git/packed-refs")?;
    packed.lines().find_map(|line| line.split_once(' ').filter(|(_, of)| *of == name).and_then(|(found, _)| id(found)))
}

fn read(folder: &Dir, path: &str) -> Option<String> {
    let mut text = String::new();
    plain::open_in(folder, path).ok()?.take(bound::GIT_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

fn id(text: &str) -> Option<String> {
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    #[test]
    fn the_commit_is_found_behind_branches_packed_ones_and_none() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Dir::open_ambient_dir(directory.path(), ambient_authority()).unwrap();
        let (one, two) = ("1".repeat(40), "2".repeat(64));
        assert_eq!(commit(&folder), None);
        folder.create_dir_all(".git/refs/heads").unwrap();
        folder.write(".git/HEAD", format!("{one}\n")).unwrap();
        assert_eq!(commit(&folder), Some(one.clone()));
        folder.write(".git/HEAD", "ref: refs/heads/main\n").unwrap();
        assert_eq!(commit(&folder), None, "a branch without a commit");
        folder.write(".git/packed-refs", format!("# pack-refs\n{two} refs/heads/main\n")).unwrap();
        assert_eq!(commit(&folder), Some(two));
        folder.write(".git/refs/heads/main", &one).unwrap();
        assert_eq!(commit(&folder), Some(one));
        folder.rename(".git/HEAD", &folder, ".git/moved").unwrap();
        folder.symlink("moved", ".git/HEAD").unwrap();
        assert_eq!(commit(&folder), None, "a link");
        folder.remove_file(".git/HEAD").unwrap();
        for wrong in ["ref: ../../etc/passwd", "ref: refs/../../x", "no commit", ""] {
            folder.write(".git/HEAD", wrong).unwrap();
            assert_eq!(commit(&folder), None, "{wrong}");
        }
    }
}

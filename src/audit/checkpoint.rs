//! Signed tree heads: what the log was at a moment, for whoever is outside (<https://c2sp.org/tlog-checkpoint>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::crypto::digest::Hash;
use crate::crypto::sign::{NoteError, SignError, SigningKey, VerifyingKey, open_note};

/// Size and root of the log that the origin names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
}

/// Why this is no checkpoint, or not one of this log.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("an origin is not empty and has no control characters, for example example.com/audit; {0:?} is none")]
    Origin(String),
    #[error("this is no checkpoint: expected {0}")]
    Form(&'static str),
    #[error("the checkpoint of {origin} is not signed by a key of that name; its key would be {origin}+…")]
    Stranger { origin: String },
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Checkpoint {
    /// The origin is the name of the key that will sign it.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        if origin.is_empty() || origin.contains(|char: char| char < ' ') {
            return Err(CheckpointError::Origin(origin.to_owned()));
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many leaves the log had.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The Merkle tree hash of these leaves (RFC 6962, section 2.1).
    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// Three lines: origin, size in decimal, root in base64.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads these three lines, each in the one way that [`Self::to_text`] writes it. Extension lines may follow; they
    /// are not empty, and are not kept, for nobody can check what they say.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::Form("a newline at the end"))?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Form("at least three lines: origin, size and root"));
        };
        if lines.any(|line| line.is_empty() || line.contains(|char: char| char < ' ')) {
            return Err(CheckpointError::Form("extension lines that are not empty and have no control characters"));
        }
        let digits = size;
        let size: u64 = digits.parse().map_err(|_| CheckpointError::Form("a size in decimal below 2^64"))?;
        if size.to_string() != digits {
            return Err(CheckpointError::Form("a size without sign and leading zeros"));
        }
        let root = STANDARD.decode(root).ok().and_then(|bytes| Hash::try_from(bytes).ok());
        let root = root.ok_or(CheckpointError::Form("a root of 32 bytes in base64"))?;
        Self::new(origin, size, root)
    }

    /// The checkpoint as a signed note. The key has the origin's name.
    pub fn sign(&self, key: &SigningKey) -> Result<String, CheckpointError> {
        if key.verifying_key().name() != self.origin {
            return Err(CheckpointError::Stranger { origin: self.origin.clone() });
        }
        Ok(key.sign_note(&self.to_text())?)
    }

    /// Opens a signed checkpoint: known keys verify, and at least one of them has the origin's name. Others may be of
    /// witnesses, who sign the checkpoints of many logs and must not speak for this one.
    pub fn open(note: &str, keys: &[VerifyingKey]) -> Result<Self, CheckpointError> {
        let opened = open_note(note, keys)?;
        let checkpoint = Self::parse(opened.text)?;
        if !opened.signers.iter().any(|signer| signer.name() == checkpoint.origin) {
            return Err(CheckpointError::Stranger { origin: checkpoint.origin });
        }
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::secret::Secret;

    const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::new(name, &Secret::new([seed; 32])).unwrap()
    }

    #[test]
    fn the_example_of_the_specification_reads_and_writes() {
        let checkpoint = Checkpoint::parse(TEXT).unwrap();
        assert_eq!((checkpoint.origin(), checkpoint.size()), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(checkpoint.to_text(), TEXT);
    }

    #[test]
    fn extension_lines_are_let_pass() {
        let extended = format!("{TEXT}time 1700000000\n— another\n");
        assert_eq!(Checkpoint::parse(&extended).unwrap(), Checkpoint::parse(TEXT).unwrap());
    }

    #[test]
    fn malformed_checkpoints_are_refused() {
        let cases = [
            String::new(),
            "\n".into(),
            "\n\n\n".into(),
            TEXT.trim_end().into(),
            format!("\n{TEXT}"),
            format!("{TEXT}\n"),
            format!("{TEXT}a\n\nb\n"),
            format!("{TEXT}a\r\n"),
            format!("{TEXT}a"),
            TEXT.replace("example.com/behind-the-sofa", ""),
            TEXT.replace("example.com/", "example.com\t"),
            TEXT.replace('\n', "\r\n"),
            TEXT.replace("2085", "02085"),
            TEXT.replace("20852163", "00"),
            TEXT.replace("2085", "+2085"),
            TEXT.replace("2085", "-2085"),
            TEXT.replace("2085", " 2085"),
            TEXT.replace("2085", "0x2085"),
            TEXT.replace("2085", "２085"),
            TEXT.replace("20852163", ""),
            TEXT.replace("20852163", "18446744073709551616"),
            TEXT.replace("q2I=", "q2I"),
            TEXT.replace("q2I=", "q2J="),
            TEXT.replace("q2I=", "q2I= "),
            TEXT.replace("q2I=", "q2IA"),
            TEXT.replace("jxq2I=", "jxg=="),
            TEXT.replace("Xajj7", "Xajj_"),
            TEXT.replace("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", ""),
            TEXT.replace("20852163\n", ""),
        ];
        for text in cases {
            assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
        }
        let least = TEXT.replace("20852163", "0");
        assert_eq!(Checkpoint::parse(&least).unwrap().size(), 0);
        let most = TEXT.replace("20852163", "18446744073709551615");
        assert_eq!(Checkpoint::parse(&most).unwrap().size(), u64::MAX);
    }

    #[test]
    fn an_origin_is_one_line() {
        for origin in ["", "a\nb", "a\r", "\0"] {
            assert!(matches!(Checkpoint::new(origin, 1, [0; 32]), Err(CheckpointError::Origin(_))), "{origin:?}");
        }
    }

    #[test]
    fn only_the_key_of_the_origin_speaks_for_the_log() {
        let (log, witness) = (key("example.com/log", 1), key("witness.example", 2));
        let checkpoint = Checkpoint::new("example.com/log", 9, [3; 32]).unwrap();
        let note = checkpoint.sign(&log).unwrap();
        let keys = [witness.verifying_key().clone(), log.verifying_key().clone()];
        assert_eq!(Checkpoint::open(&note, &keys).unwrap(), checkpoint);
        assert!(matches!(checkpoint.sign(&witness), Err(CheckpointError::Stranger { .. })));

        let witnessed = witness.sign_note(&checkpoint.to_text()).unwrap();
        assert!(matches!(Checkpoint::open(&witnessed, &keys), Err(CheckpointError::Stranger { .. })));
        let (text, line) = witnessed.rsplit_once("\n\n").unwrap();
        let both = format!("{text}\n\n{line}{}", note.rsplit_once("\n\n").unwrap().1);
        assert_eq!(Checkpoint::open(&both, &keys).unwrap(), checkpoint, "the witness signed first");
        assert!(matches!(Checkpoint::open(&both, &keys[..1]), Err(CheckpointError::Stranger { .. })));
    }

    #[test]
    fn a_signed_note_that_is_no_checkpoint_does_not_open() {
        let log = key("example.com/log", 1);
        for text in ["example.com/log\n", "example.com/log\n1\nAAAA\n"] {
            let note = log.sign_note(text).unwrap();
            let found = Checkpoint::open(&note, &[log.verifying_key().clone()]);
            assert!(matches!(found, Err(CheckpointError::Form(_))), "{text:?}");
        }
        let unsigned = Checkpoint::open(TEXT, &[log.verifying_key().clone()]);
        assert!(matches!(unsigned, Err(CheckpointError::Note(_))));
    }

    proptest! {
        #[test]
        fn a_signed_checkpoint_opens_and_a_changed_one_does_not(size: u64, root: Hash, at: prop::sample::Index, bit in 0..8_u32) {
            let log = key("example.com/log", 1);
            let keys = [log.verifying_key().clone()];
            let checkpoint = Checkpoint::new("example.com/log", size, root).unwrap();
            let note = checkpoint.sign(&log).unwrap();
            prop_assert_eq!(&Checkpoint::open(&note, &keys).unwrap(), &checkpoint);
            let mut changed = note.into_bytes();
            let at = at.index(changed.len());
            changed[at] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(changed) {
                prop_assert!(Checkpoint::open(&changed, &keys).is_err());
            }
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "([a-z]{0,4}\n[0-9+]{0,22}\n[A-Za-z+/]{0,50}={0,2}\n|\\PC|\n){0,5}") {
            if let Ok(checkpoint) = Checkpoint::parse(&text) {
                prop_assert!(text.starts_with(&checkpoint.to_text()));
            }
        }
    }
}

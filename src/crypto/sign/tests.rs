//! What signs, what opens, and that nothing else does.

use proptest::prelude::*;

use super::*;

const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_LINE: &str =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const ENOCH_LINE: &str =
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::new(name, &Secret::new([seed; 32])).unwrap()
}

fn known(vkeys: &[&str]) -> Vec<VerifyingKey> {
    vkeys.iter().map(|vkey| VerifyingKey::parse(vkey).unwrap()).collect()
}

/// A verifier key of these bytes, with the id that is right for them.
fn vkey_of(name: &str, bytes: &[u8]) -> String {
    let id = sha256(&[name.as_bytes(), b"\n", bytes]);
    format!("{name}+{}+{}", crate::base::id::hex(&id[..4]), STANDARD.encode(bytes))
}

#[test]
fn the_reference_key_makes_the_reference_note() {
    // The example of Go's sumdb/note, the first implementation of the format.
    let bytes = STANDARD.decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz").unwrap();
    let key = SigningKey::new("PeterNeumann", &Secret::new(&bytes[1..])).unwrap();
    assert_eq!(key.verifying_key().to_string(), PETER);
    assert_eq!(key.sign_note(TEXT).unwrap(), format!("{TEXT}\n{PETER_LINE}"));
}

#[test]
fn the_public_key_is_that_of_rfc_8032() {
    // RFC 8032, section 7.1, test 1.
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let seed: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&seed[2 * at..][..2], 16).unwrap()).collect();
    let key = SigningKey::new("rfc8032", &Secret::new(seed)).unwrap();
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    assert_eq!(crate::base::id::hex(key.public.point.as_bytes()), public);
}

#[test]
fn a_private_key_does_not_print() {
    let printed = format!("{:?}", key("example.com/log", 0x61));
    assert_eq!(printed, "SigningKey(example.com/log, ***)");
}

#[test]
fn only_a_named_seed_of_32_bytes_is_a_key() {
    for length in [0, 31, 33, 64] {
        let found = SigningKey::new("log", &Secret::new(vec![1; length]));
        assert!(matches!(found, Err(SignError::SeedLength(bytes)) if bytes == length));
    }
    let long = "x".repeat(bound::KEY_NAME_BYTES_MAX + 1);
    for name in ["", "a b", "a+b", "a\nb", "a\u{1}b", "a\u{a0}b", "a\u{3000}b", "\t", &long] {
        let found = SigningKey::new(name, &Secret::new([1; 32]));
        assert!(matches!(found, Err(SignError::Key(KeyError::Name(_)))), "{name:?}");
    }
    assert!(SigningKey::new(&long[1..], &Secret::new([1; 32])).is_ok());
}

#[test]
fn only_lines_of_text_are_signed() {
    let key = key("log", 1);
    for text in ["", "a", "a\n\tb\n", "a\r\n", "a\0\n", "\u{1b}[31m\n"] {
        assert!(matches!(key.sign_note(text), Err(SignError::Text)), "{text:?}");
    }
    let long = format!("{}\n", "x".repeat(bound::NOTE_BYTES_MAX));
    assert!(matches!(key.sign_note(&long), Err(SignError::TooLong { .. })));
    let fits = &long[200..];
    assert_eq!(open_note(&key.sign_note(fits).unwrap(), std::slice::from_ref(&key.public)).unwrap().text, fits);
}

#[test]
fn unknown_signatures_are_ignored_and_one_known_is_enough() {
    let note = format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}");
    for (vkeys, signers) in
        [(vec![PETER], vec![PETER]), (vec![ENOCH], vec![ENOCH]), (vec![ENOCH, PETER], vec![PETER, ENOCH])]
    {
        let keys = known(&vkeys);
        let opened = open_note(&note, &keys).unwrap();
        assert_eq!((opened.text, opened.signers), (TEXT, known(&signers)));
    }
    assert!(matches!(open_note(&note, &[]), Err(NoteError::Unknown { known: 0 })));
    let stranger = [key("PeterNeumann", 7).public];
    assert!(matches!(open_note(&note, &stranger), Err(NoteError::Unknown { known: 1 })), "same name, another id");
}

#[test]
fn a_signature_of_unknown_length_is_ignored_with_its_key() {
    let long = STANDARD.encode(vec![9; 4 + 4700]);
    let note = format!("{TEXT}\n— postquantum.example {long}\n{PETER_LINE}— short.example AAAAAAE=\n");
    assert_eq!(open_note(&note, &known(&[PETER])).unwrap().signers.len(), 1);
}

#[test]
fn a_wrong_signature_by_a_known_key_spoils_the_note() {
    let other = key("EnochRoot", 3).sign_note(TEXT).unwrap();
    let mut forged = STANDARD.decode(other.trim_end().rsplit_once(' ').unwrap().1).unwrap();
    forged[..4].copy_from_slice(&[0xaf, 0x0c, 0xfe, 0x78]);
    for bytes in [&forged[..], &forged[..67], &forged[..5]] {
        let line = format!("— EnochRoot {}\n", STANDARD.encode(bytes));
        let note = format!("{TEXT}\n{PETER_LINE}{line}");
        assert!(
            matches!(open_note(&note, &known(&[PETER, ENOCH])), Err(NoteError::Forged { name }) if name == "EnochRoot")
        );
        assert!(open_note(&note, &known(&[PETER])).is_ok(), "whoever does not know the key cannot tell");
        let twice = format!("{TEXT}\n{ENOCH_LINE}{line}");
        assert!(matches!(open_note(&twice, &known(&[ENOCH])), Err(NoteError::Forged { .. })));
    }
}

#[test]
fn a_signature_with_another_spelling_is_wrong() {
    // S + L verifies where S is not checked to be reduced (RFC 8032, section 5.1.7, step 1).
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let key = key("log", 5);
    let note = key.sign_note("text\n").unwrap();
    let line = note.trim_end().rsplit_once(' ').unwrap();
    let mut bytes = STANDARD.decode(line.1).unwrap();
    let mut carry = 0;
    for (at, byte) in bytes[36..].iter_mut().enumerate() {
        let sum = u16::from(*byte) + u16::from_str_radix(&order[2 * at..][..2], 16).unwrap() + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    let second = format!("{} {}\n", line.0, STANDARD.encode(bytes));
    assert!(matches!(open_note(&second, &[key.public]), Err(NoteError::Forged { .. })));
}

#[test]
fn a_text_may_have_empty_lines_and_what_looks_like_signatures() {
    let key = key("log", 1);
    let inner = key.sign_note("inner\n").unwrap();
    for text in ["\n", "\n\n\n", "a\n\nb\n", "a\n\n", &inner] {
        let note = key.sign_note(text).unwrap();
        assert_eq!(open_note(&note, std::slice::from_ref(&key.public)).unwrap().text, text);
    }
}

#[test]
fn malformed_notes_do_not_open() {
    let keys = known(&[PETER]);
    let good = format!("{TEXT}\n{PETER_LINE}");
    assert!(open_note(&good, &keys).is_ok());
    let cases = [
        String::new(),
        "\n".into(),
        "\n\n".into(),
        TEXT.into(),
        format!("{TEXT}\n"),
        format!("{TEXT}\n\n"),
        format!("\n{PETER_LINE}"),
        PETER_LINE.into(),
        format!("{TEXT}{PETER_LINE}"),
        good.trim_end().into(),
        format!("{good}\n"),
        format!("{good}\n\n"),
        format!("{good}trailing\n"),
        format!("{TEXT}\nbefore\n{PETER_LINE}"),
        format!("\u{1}{good}"),
        good.replace('\n', "\r\n"),
        good.replace("— ", "—  "),
        good.replace("— ", "- "),
        good.replace("— ", "—"),
        good.replace("— ", " — "),
        good.replace("— PeterNeumann ", "—  "),
        good.replace("— PeterNeumann ", "— "),
        good.replace("PeterNeumann ", "Peter Neumann "),
        good.replace("PeterNeumann ", "Peter+Neumann "),
        good.replace("PeterNeumann ", "Peter\u{2003}Neumann "),
        good.replace("PeterNeumann ", "PeterNeumann  "),
        good.replace("nAM=", "nAM"),
        good.replace("nAM=", "nAN="),
        good.replace("nAM=", "nAM= "),
        good.replace("nAM=", "nAM=="),
        good.replace("x08go/", "x08go_"),
        format!("{TEXT}\n— PeterNeumann x08gow==\n"),
        format!("{TEXT}\n— PeterNeumann \n"),
        format!("{TEXT}\n— PeterNeumann\n"),
    ];
    for note in cases {
        assert!(matches!(open_note(&note, &keys), Err(NoteError::Form(_))), "{note:?}");
    }
}

#[test]
fn a_note_has_bounds() {
    let keys = known(&[PETER]);
    let note = |lines: usize| format!("{TEXT}\n{}{PETER_LINE}", ENOCH_LINE.repeat(lines - 1));
    assert!(open_note(&note(bound::NOTE_SIGNATURES_MAX), &keys).is_ok());
    let many = note(bound::NOTE_SIGNATURES_MAX + 1);
    assert!(matches!(open_note(&many, &keys), Err(NoteError::TooManySignatures)));
    let long = format!("{}{}", "x\n".repeat(bound::NOTE_BYTES_MAX / 2), note(1));
    assert!(matches!(open_note(&long, &keys), Err(NoteError::TooLong { .. })));
}

#[test]
fn malformed_verifier_keys_do_not_parse() {
    let point = STANDARD.decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
    assert_eq!(vkey_of("PeterNeumann", &point), PETER);
    let with_type = |number: u8| [&[number], &point[1..]].concat();
    let no_point = [&[1, 2][..], &[0; 31]].concat();
    let cases = [
        (String::new(), "Form"),
        ("PeterNeumann".into(), "Form"),
        ("PeterNeumann+c74f20a3".into(), "Form"),
        ("PeterNeumann+c74f20a3+".into(), "Form"),
        (PETER.replace("10TW", "10T"), "Form"),
        (PETER.replace("10TW", "10TX=="), "Form"),
        (format!("{PETER}\n"), "Form"),
        (PETER.replace("c74f20a3", "C74F20A3"), "Form"),
        (PETER.replace("c74f20a3", "0c74f20a3"), "Form"),
        (PETER.replace("c74f20a3", "74f20a3"), "Form"),
        (PETER.replace("c74f20a3", "g74f20a3"), "Form"),
        (vkey_of("PeterNeumann", &point[..32]), "Form"),
        (vkey_of("PeterNeumann", &[&point[..], &[0]].concat()), "Form"),
        (vkey_of("PeterNeumann", &[1]), "Form"),
        (vkey_of("PeterNeumann", &with_type(0)), "Algorithm"),
        (vkey_of("PeterNeumann", &with_type(2)), "Algorithm"),
        (vkey_of("PeterNeumann", &with_type(4)), "Algorithm"),
        (PETER.replace("c74f20a3", "c74f20a4"), "Id"),
        (PETER.replace("PeterNeumann", "PeterNewmann"), "Id"),
        (vkey_of("", &point), "Name"),
        (vkey_of("Peter Neumann", &point), "Name"),
        (vkey_of("PeterNeumann\u{85}", &point), "Name"),
        (vkey_of(&"x".repeat(bound::KEY_NAME_BYTES_MAX + 1), &point), "Name"),
        (vkey_of("PeterNeumann", &no_point), "Point"),
        // The neutral element: any text has a signature under it.
        (vkey_of("PeterNeumann", &[&[1, 1][..], &[0; 31]].concat()), "Point"),
        (vkey_of("PeterNeumann", &[1; 33].map(|byte| byte - 1)), "Algorithm"),
    ];
    for (vkey, expected) in cases {
        let found = format!("{:?}", VerifyingKey::parse(&vkey).unwrap_err());
        assert!(found.starts_with(expected), "{vkey:?}: {found}");
    }
}

#[test]
fn a_point_with_a_second_spelling_is_no_key() {
    // y = p + 0 to p + 18 fits into 255 bits; the points among them have a shorter spelling.
    let mut strong = 0;
    for low in 0xed..=0xff {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (low, 0x7f);
        let Ok(point) = ed25519_dalek::VerifyingKey::from_bytes(&bytes) else { continue };
        strong += usize::from(!point.is_weak());
        let vkey = vkey_of("log", &[&[1][..], &bytes].concat());
        assert!(matches!(VerifyingKey::parse(&vkey), Err(KeyError::Point)), "{low:x}");
    }
    assert!(strong > 0, "none of them was refused for its spelling alone");
}

proptest! {
    #[test]
    fn what_is_signed_opens(seed: [u8; 32], text in "[^\\x00-\\x09\\x0b-\\x1f]{0,200}", name in "[a-z./é]{1,40}") {
        let key = SigningKey::new(&name, &Secret::new(seed)).unwrap();
        let text = format!("{text}\n");
        let vkey = VerifyingKey::parse(&key.verifying_key().to_string()).unwrap();
        prop_assert_eq!(&vkey, key.verifying_key());
        let note = key.sign_note(&text).unwrap();
        let opened = open_note(&note, std::slice::from_ref(&vkey)).unwrap();
        prop_assert_eq!(opened, Opened { text: &text, signers: vec![vkey.clone()] });
    }

    #[test]
    fn a_note_with_a_flipped_bit_does_not_open(at: prop::sample::Index, bit in 0..8_u32) {
        let mut note = format!("{TEXT}\n{PETER_LINE}").into_bytes();
        let at = at.index(note.len());
        note[at] ^= 1 << bit;
        if let Ok(note) = String::from_utf8(note) {
            prop_assert!(open_note(&note, &known(&[PETER])).is_err());
        }
    }

    #[test]
    fn a_verifier_key_with_a_flipped_bit_does_not_parse(at: prop::sample::Index, bit in 0..8_u32) {
        let mut vkey = PETER.as_bytes().to_vec();
        let at = at.index(vkey.len());
        vkey[at] ^= 1 << bit;
        if let Ok(vkey) = String::from_utf8(vkey) {
            prop_assert!(VerifyingKey::parse(&vkey).is_err());
        }
    }

    #[test]
    fn any_text_is_opened_or_refused_without_panic(text in "(\\PC|\n|— | |\\+|=|[A-Za-z0-9]){0,300}") {
        prop_assert!(open_note(&text, &known(&[PETER])).is_err());
        if let Ok(key) = VerifyingKey::parse(&text) {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn any_lines_after_a_text_are_opened_or_refused_without_panic(lines in "(— [a-z]{0,3} [A-Za-z+/]{0,12}={0,2}\n){0,4}") {
        let note = format!("{TEXT}\n{lines}");
        prop_assert!(open_note(&note, &known(&[PETER])).is_err());
    }
}

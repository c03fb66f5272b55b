//! The vault against whoever wrote its bytes, and against whoever prints it.

use proptest::prelude::*;

use super::binding::Binding;
use super::tests::{ID, created, few, seal, secret, stored, unseal};
use super::*;
use crate::base::id::hex;
use crate::crypto::aead::SealingKey;

#[test]
fn nothing_secret_prints() {
    let made = created();
    let stored = State::Sealed(stored(&made.rows));
    let change = made.open.change_secret(&secret(), few()).unwrap();
    let recovery = made.recovery.text();
    let seed = made.open.signing_seed(1).unwrap();
    let printed = format!("{made:?} {stored:?} {change:?} {:?}", made.open.keys());
    assert!(printed.contains("Open(***)") && printed.contains("RecoveryKey(Secret(***))"), "{printed}");
    for secret in [&made.open.inner.root, &secret(), &recovery, made.recovery.secret(), &seed] {
        let bytes = secret.expose_secret();
        let list = format!("{bytes:?}");
        let text = String::from_utf8_lossy(bytes);
        for form in [list.trim_matches(['[', ']']), &text, &hex(bytes)] {
            assert!(!printed.contains(form), "{form}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_flipped_bit_does_not_open(text: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
        let made = created();
        let mut sealed = seal(&made.open, &text);
        prop_assert_eq!(unseal(&made.open, &sealed).unwrap(), Secret::new(text));
        let index = at.index(sealed.len());
        sealed[index] ^= 1 << bit;
        prop_assert!(unseal(&made.open, &sealed).is_err());
        let mut vault = stored(&made.rows);
        let index = at.index(vault.keyring.len());
        vault.keyring[index] ^= 1 << bit;
        prop_assert!(matches!(vault.unseal(&secret()), Err(VaultError::Damaged(_))));
        let slot = made.rows[0].value.clone().unwrap();
        let index = at.index(slot.len());
        let mut flipped = slot.clone();
        flipped[index] ^= 1 << bit;
        // A flipped count of iterations would be derived with, so it is only looked at.
        if let Ok(record) = codec::decode::<SlotRecord>(&flipped)
            && index > 8
        {
            vault.slots.passphrase = record;
            prop_assert!(vault.unseal(&secret()).is_err());
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>, version: u32) {
        let open = created().open;
        let claimed = [&[1][..], &version.to_be_bytes(), &bytes].concat();
        for hostile in [&bytes, &claimed, &[&[1, 0, 0, 0, 1], bytes.as_slice()].concat()] {
            prop_assert!(unseal(&open, hostile).is_err());
            prop_assert!(Sealed::from_backup(hostile).is_err());
            let _any = (open.needs_reseal(Purpose::Logs, hostile), codec::decode::<SlotRecord>(hostile).is_ok());
        }
        // Even a keyring that the right root key sealed is only believed if it makes sense.
        let binding =
            Binding { database_id: &ID, table: "vault", key: key::ROW_KEY, purpose: "keyring", version: 0 }.bytes();
        let root = &open.inner.root;
        for text in [&bytes, &claimed, &[&[1, 7], bytes.as_slice()].concat()] {
            let sealed = SealingKey::new(root).unwrap().seal(text, &binding).unwrap();
            prop_assert!(Keyring::open(root, &ID, &sealed, None).is_err());
        }
    }
}

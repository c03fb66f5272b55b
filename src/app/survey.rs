//! Looks at the whole installation for a scan: the machine, the configuration, and what the database says.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::facts::Facts;
use super::init::read_token;
use crate::admin::scan::Survey;
use crate::auth::{account, jwt_key, token};
use crate::base::refusal::Refusal;
use crate::crypto::sign::{KeyError, VerifyingKey};
use crate::custody::verified;
use crate::scan::advisory::{Database, DatabaseError, keep};
use crate::scan::facts::{self, Account, Advisories, Inside, KeyAge, Token};
use crate::scan::gather;
use crate::store::table::Table;
use crate::store::{Batch, Put};
use crate::vault::key::KeyState;

/// The key under which the database of advisories was last imported: an operator gave it by hand.
const KEY_VERIFIER: &[u8] = b"upkeep/advisories_vkey";

impl Survey for Facts {
    fn survey(&self) -> BoxFuture<'_, Result<facts::Facts, Refusal>> {
        Box::pin(async {
            let (places, config) = (self.places.clone(), Arc::clone(&self.config));
            let (keys, wrong) = match self.trusted() {
                Ok(keys) => (keys, None),
                Err(error) => (Vec::new(), Some(format!("upkeep.advisories_vkey: {error}"))),
            };
            let now = self.audit.now();
            let gathering = tokio::task::spawn_blocking(move || gather::machine(&places, &config, &keys, now));
            let mut machine = gathering.await.map_err(Refusal::internal)?;
            if let (Some(wrong), Advisories::Broken(_)) = (wrong, &machine.advisories) {
                machine.advisories = Advisories::Broken(wrong);
            }
            Ok(facts::Facts {
                now,
                places: self.places.clone(),
                config: Arc::clone(&self.config),
                machine,
                inside: self.inside()?,
            })
        })
    }

    fn import_advisories(
        &self,
        file: PathBuf,
        vkey: Option<String>,
    ) -> BoxFuture<'_, Result<Result<Database, DatabaseError>, Refusal>> {
        Box::pin(async move {
            let wrong = |error: KeyError| Refusal::new(crate::base::refusal::Code::Invalid, format!("{error}."));
            // What was given last is remembered.
            let keys = match vkey.as_deref() {
                Some(vkey) => vec![VerifyingKey::parse(vkey).map_err(wrong)?],
                None => self.trusted().map_err(wrong)?,
            };
            let _one = self.meanwhile.importing.lock().await;
            let (path, used) = (self.places.advisories(), keys.clone());
            let trusted: Vec<VerifyingKey> = keys.iter().cloned().chain(self.trusted().unwrap_or_default()).collect();
            let importing = tokio::task::spawn_blocking(move || keep::import(&file, &path, &used, &trusted));
            let imported = importing.await.map_err(Refusal::internal)?;
            // Where several are trusted they stand where they stood.
            if let (Ok(_), [key]) = (&imported, keys.as_slice()) {
                let row = Put::new(Table::Meta, KEY_VERIFIER, key.to_string().into_bytes());
                self.store.commit(Batch::puts(vec![row])).await.map_err(Refusal::internal)?;
            }
            Ok(imported)
        })
    }
}

impl Facts {
    /// Keys whose signature under the database of advisories counts: the configured one, and the one that was given at
    /// the last import.
    fn trusted(&self) -> Result<Vec<VerifyingKey>, KeyError> {
        let mut keys = Vec::new();
        if let Some(configured) = &self.config.upkeep.advisories_vkey {
            keys.push(VerifyingKey::parse(configured)?);
        }
        let given = self.store.read(|snapshot| snapshot.get(Table::Meta, KEY_VERIFIER)).ok().flatten();
        if let Some(given) = given.and_then(|bytes| String::from_utf8(bytes).ok()) {
            keys.push(VerifyingKey::parse(&given)?);
        }
        Ok(keys)
    }

    fn inside(&self) -> Result<Inside, Refusal> {
        let (audit, backup) = self
            .store
            .read(|snapshot| {
                Ok::<_, crate::store::StoreError>((verified::of_audit(snapshot)?, verified::of_backup(snapshot)?))
            })
            .map_err(Refusal::internal)?;
        Ok(Inside {
            tokens: self.tokens()?,
            accounts: self.accounts()?,
            keys: self.custody.keys().map(|keys| {
                let active = keys.into_iter().filter(|key| key.state == KeyState::Active);
                active
                    .map(|key| KeyAge {
                        purpose: key.purpose.name().to_owned(),
                        version: key.version,
                        made: key.created,
                        keeps_versions: key.purpose.keeps_versions(),
                    })
                    .collect()
            }),
            alarm: self.custody.alarm(),
            policy_error: self.policy.summary().error,
            audit,
            backup,
        })
    }

    fn tokens(&self) -> Result<Vec<Token>, Refusal> {
        let of_file = read_token(&self.places.http_token()).ok().flatten();
        let of_file = of_file.map(|of_file| token::beginning(&of_file));
        let keys = token::all(&self.store).map_err(Refusal::internal)?.into_iter().map(|record| Token {
            kind: "api_key",
            is_of_file: of_file.as_ref() == Some(&record.prefix),
            id: record.prefix,
            name: record.name,
            role: record.role.as_str().to_owned(),
            made: record.made,
            expires: record.expires,
            last_used: record.last_used,
            is_revoked: record.disabled,
        });
        let jwts = jwt_key::remembered(&self.store).map_err(Refusal::internal)?.into_iter();
        // One that was issued elsewhere is here only because it was revoked.
        let own = jwts.filter(|(_, record)| !record.subject.is_empty()).map(|(id, record)| Token {
            kind: "jwt",
            is_of_file: false,
            id,
            name: record.subject,
            role: record.role.as_str().to_owned(),
            made: record.made,
            expires: Some(record.expires),
            last_used: record.last_used,
            is_revoked: record.revoked.is_some(),
        });
        Ok(keys.chain(own).collect())
    }

    fn accounts(&self) -> Result<Vec<Account>, Refusal> {
        let accounts = account::all(&self.store).map_err(Refusal::internal)?.into_iter();
        Ok(accounts
            .map(|record| Account {
                name: record.name,
                role: record.role.as_str().to_owned(),
                is_disabled: record.disabled,
                made: record.made,
                last_used: record.last_used,
            })
            .collect())
    }
}

//! Every redb table on one page: its name, what its key and value are.

use redb::TableDefinition;

/// A table of byte strings. Values start with a format byte (see [`super::codec`]), except where said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Table {
    /// Small facts about this file. Key: a name. Value: as the owner of the name says.
    /// `schema` u32 LE; `database_id` 16 bytes; `audit/frontier`, `audit/pruned`, `audit/keys`, `audit/outside` see `audit::log`;
    /// `library/revision/NAME`, `library/profile/NAME`, `library/before/NAME` see `library::record` and `library::bundle`;
    /// `config/last` JSON of the configuration at the last start; `policy/last` SHA-256 of the policies last put in force, in hexadecimal;
    /// `freeze` JSON of `pipeline::freeze::Frozen`, there while everything is frozen.
    Meta,
    /// Applied migrations. Key: number u32 BE. Value: name, UTF-8.
    Migrations,
    /// Bearer tokens. Key: SHA-256 of the token. Value: `auth::token::TokenRecord`.
    Tokens,
    /// Libraries. Key: name. Value: `library::record::LibraryRecord`.
    Libraries,
    /// Documents, every live generation. Key: library, 0, path, 0, generation u64 BE. Value: `library::record::DocumentRecord`.
    Documents,
    /// Document bodies. Key: document key, chunk u32 BE. Value: a piece of the LZ4-compressed Markdown, no format byte.
    Bodies,
    /// The audit log's leaves. Key: sequence u64 BE. Value: the leaf's exact bytes.
    AuditEntries,
    /// Keys that wrap keys. Key: a name. Value: see `vault`.
    Vault,
    /// Credentials as they are now. Key: name. Value: `vault::credential`.
    Credentials,
    /// Credentials as they were. Key: name, 0, version u32 BE. Value: `vault::credential`.
    CredentialHistory,
    /// Keys of persons whose data entries carry. Key: pseudonym. Value: `audit::subject`.
    Subjects,
    /// Full tiles of the Merkle tree. Key: `audit::tile::TileId`. Value: 256 hashes, no format byte.
    AuditTiles,
    /// Signed checkpoints. Key: size u64 BE. Value: the note, UTF-8, no format byte.
    Checkpoints,
    /// Accounts of persons and services. Key: name. Value: `auth::account::AccountRecord`.
    Accounts,
    /// Secrets that sign tokens (JWT), which the vault derives. Key: key id. Value: `auth::jwt_key::JwtKeyRecord`.
    JwtKeys,
    /// Tokens (JWT) that were issued here, and those that were revoked. Key: token id (`jti`). Value: `auth::jwt_key::JwtRecord`.
    Jwts,
    /// Sessions. Key: session id. Value: `auth::session`.
    Sessions,
    /// Credentials whose session an administrator ended, and which hold no more. Key: credential id. Value: `auth::session`.
    Denials,
    /// Bans. Key: what is banned. Value: `auth::ban`.
    Bans,
    /// How much of its rate a caller has used, so that a restart does not give it back. Key: caller. Value: `auth::quota`.
    Rates,
    /// Alerts that wait to be sent. Key: sequence u64 BE. Value: `watch`.
    Alerts,
    /// Connectors to REST APIs. Key: name. Value: `connector::record::ConnectorRecord`.
    Connectors,
    /// Operations of connectors, as their locks pin them. Key: connector, 0, generation u64 BE, tool. Value: `connector::record`.
    ConnectorOperations,
    /// Documents of connectors. Key: connector, 0, generation u64 BE, piece u32 BE. Value: a piece of the LZ4-compressed document, no format byte.
    ConnectorDocuments,
    /// Tokens that authorization servers gave connectors. Key: connector, 0, SHA-256 of whose they are. Value: `vault::grant`.
    ConnectorTokens,
    /// Incidents. Key: number u64 BE. Value: `incident::IncidentRecord`.
    Incidents,
}

/// All tables, in the order of the enum.
pub const ALL: [Table; 26] = [
    Table::Meta,
    Table::Migrations,
    Table::Tokens,
    Table::Libraries,
    Table::Documents,
    Table::Bodies,
    Table::AuditEntries,
    Table::Vault,
    Table::Credentials,
    Table::CredentialHistory,
    Table::Subjects,
    Table::AuditTiles,
    Table::Checkpoints,
    Table::Accounts,
    Table::JwtKeys,
    Table::Jwts,
    Table::Sessions,
    Table::Denials,
    Table::Bans,
    Table::Rates,
    Table::Alerts,
    Table::Connectors,
    Table::ConnectorOperations,
    Table::ConnectorDocuments,
    Table::ConnectorTokens,
    Table::Incidents,
];

impl Table {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Migrations => "migrations",
            Self::Tokens => "tokens",
            Self::Libraries => "libraries",
            Self::Documents => "documents",
            Self::Bodies => "bodies",
            Self::AuditEntries => "audit_entries",
            Self::Vault => "vault",
            Self::Credentials => "credentials",
            Self::CredentialHistory => "credential_history",
            Self::Subjects => "subjects",
            Self::AuditTiles => "audit_tiles",
            Self::Checkpoints => "checkpoints",
            Self::Accounts => "accounts",
            Self::JwtKeys => "jwt_keys",
            Self::Jwts => "jwts",
            Self::Sessions => "sessions",
            Self::Denials => "denials",
            Self::Bans => "bans",
            Self::Rates => "rates",
            Self::Alerts => "alerts",
            Self::Connectors => "connectors",
            Self::ConnectorOperations => "connector_operations",
            Self::ConnectorDocuments => "connector_documents",
            Self::ConnectorTokens => "connector_tokens",
            Self::Incidents => "incidents",
        }
    }

    pub(super) const fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }
}

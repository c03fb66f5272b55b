//! Every redb table on one page: its name, what its key and value are.

use redb::TableDefinition;

/// A table of byte strings. Values start with a format byte (see [`super::codec`]), except where said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Table {
    /// Small facts about this file. Key: a name. Value: as the owner of the name says.
    /// `schema` u32 LE; `database_id` 16 bytes; `audit/frontier` see `audit::log`; `keys/argument_digest` 32 bytes.
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
}

/// All tables, in the order of the enum.
pub const ALL: [Table; 7] = [
    Table::Meta,
    Table::Migrations,
    Table::Tokens,
    Table::Libraries,
    Table::Documents,
    Table::Bodies,
    Table::AuditEntries,
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
        }
    }

    pub(super) const fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }
}

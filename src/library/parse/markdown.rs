//! Markdown: front matter off, JSX off where there is some, the rest word for word.

use super::{Draft, front, mdx, one_line, split};

/// Whether a file is MDX by its name. Many sites name MDX `.md`, so there we look for JSX first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dialect {
    Sniff,
    Mdx,
}

pub(super) fn read(source: &str, dialect: Dialect) -> Draft {
    let front = front::read(source);
    let body = source.get(front.body_start..).unwrap_or_default();
    let mut draft = Draft {
        title: front::text(&front.values, "title").map(|it| one_line(&it)),
        description: front::text(&front.values, "description"),
        facets: front::facets(&front.values),
        front_matter: front.values,
        warnings: front.warning.into_iter().collect(),
        ..Draft::default()
    };
    let body = if front.body_start > 0 { body.trim_start_matches('\n') } else { body };
    let plain = mdx::strip(body);
    let is_mdx =
        dialect == Dialect::Mdx || plain.is_mdx || plain.indented.is_some_and(|at| !split::is_indented_code(body, at));
    if is_mdx {
        draft.markdown = plain.markdown;
        draft.ids = plain.ids;
        draft.warnings.extend(plain.warning);
    } else {
        body.clone_into(&mut draft.markdown);
    }
    draft
}

//! OpenAPI documents as documentation: a page about the API, and one for each of its operations.
#![allow(clippy::format_push_string, reason = "a line of a page at a time; what it costs is small beside reading it")]

use std::collections::{BTreeMap, HashSet};

use super::api_schema::Rows;
use super::form::{code_span, row};
use super::{Draft, ParseError, one_line};
use crate::base::bound::{FACET_VALUE_BYTES_MAX, FACET_VALUES_MAX};
use crate::openapi::{self, Document, Operation};

/// The pages with their suffixes; the first one has none.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<(String, Draft)>, ParseError> {
    let document = openapi::read(bytes).map_err(|error| ParseError::Api(error.to_string()))?;
    let mut names = HashSet::new();
    let names: Vec<String> = document.operations.iter().map(|operation| name(operation, &mut names)).collect();
    let mut pages = vec![(String::new(), overview(&document, &names))];
    for (operation, name) in document.operations.iter().zip(&names) {
        pages.push((format!("/{name}"), page(&document, operation)));
    }
    Ok(pages)
}

/// The operation's own id, or its method and path, made unique.
fn name(operation: &Operation, taken: &mut HashSet<String>) -> String {
    let plain = |text: &str| {
        let mut name = String::new();
        for c in text.chars().take(100) {
            if c.is_alphanumeric() || matches!(c, '_' | '.') {
                name.push(c);
            } else if !name.ends_with('-') && !name.is_empty() {
                name.push('-');
            }
        }
        name.trim_matches(['-', '.']).to_owned()
    };
    let id = operation.id.as_deref().map(plain).filter(|id| !id.is_empty());
    let base = id.unwrap_or_else(|| plain(&format!("{} {}", operation.method.as_str().to_lowercase(), operation.path)));
    let mut name = base.clone();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        name = format!("{base}-{count}");
    }
    name
}

fn signature(operation: &Operation) -> String {
    format!("{} {}{}", operation.method.as_str(), operation.server_path, operation.path)
}

/// What people call it.
fn title(operation: &Operation) -> String {
    let summary = one_line(&operation.summary);
    if summary.is_empty() { signature(operation) } else { summary }
}

fn overview(document: &Document, names: &[String]) -> Draft {
    let mut out = format!("# {}\n\nVersion {}.\n", one_line(&document.title), one_line(&document.version));
    if let Some(server) = &document.server {
        out.push_str(&format!("\nServer: {}\n", code_span(&one_line(server))));
    }
    let mut by_tag: BTreeMap<&str, Vec<(&Operation, &String)>> = BTreeMap::new();
    for (operation, name) in document.operations.iter().zip(names) {
        by_tag.entry(operation.tags.first().map_or("", String::as_str)).or_default().push((operation, name));
    }
    for (tag, operations) in by_tag {
        let heading = if tag.is_empty() { "Operations".to_owned() } else { one_line(tag) };
        out.push_str(&format!("\n## {heading}\n\n"));
        for (operation, name) in operations {
            // Without its words: these are to be found on its own page.
            out.push_str(&format!("- {}: {name}\n", code_span(&signature(operation))));
        }
    }
    let left_out = document.left_out.iter().filter(|it| it.operation).count();
    let warning = (left_out > 0).then(|| format!("{left_out} operations of the API could not be read"));
    Draft {
        markdown: out,
        title: Some(one_line(&document.title)).filter(|title| !title.is_empty()),
        warnings: warning.into_iter().collect(),
        ..Draft::default()
    }
}

fn page(document: &Document, operation: &Operation) -> Draft {
    let title = title(operation);
    let mut out = format!("# {title}\n\n{}\n", code_span(&signature(operation)));
    if operation.deprecated {
        out.push_str("\n**Deprecated.**\n");
    }
    if !operation.description.trim().is_empty() {
        out.push_str(&format!("\n{}\n", operation.description.trim()));
    }
    if !operation.parameters.is_empty() {
        out.push_str("\n## Parameters\n\n");
        let mut rows = Rows::new(&operation.definitions);
        for parameter in &operation.parameters {
            rows.add(&parameter.name, parameter.place.as_str(), parameter.required, &parameter.schema);
        }
        table(&mut out, ["Name", "In", "Type", "Required", "Description"], &rows.finish());
    }
    if let Some(body) = &operation.body {
        out.push_str(&format!(
            "\n## Request body\n\n{}{}\n",
            code_span(&body.content_type),
            if body.required { ", required" } else { "" }
        ));
        if !body.description.trim().is_empty() {
            out.push_str(&format!("\n{}\n", body.description.trim()));
        }
        let mut rows = Rows::new(&operation.definitions);
        rows.properties("", "body", &body.schema, 0);
        out.push('\n');
        table(&mut out, ["Name", "In", "Type", "Required", "Description"], &rows.finish());
    }
    if !operation.responses.is_empty() {
        out.push_str("\n## Responses\n");
        for response in &operation.responses {
            let types = response.content_types.join(", ");
            out.push_str(&format!("\n### {}\n\n{}\n", one_line(&response.status), response.description.trim()));
            if !types.is_empty() {
                out.push_str(&format!("\n{}\n", code_span(&types)));
            }
            if let Some(schema) = &response.schema {
                let definitions = schema["$defs"].as_object().cloned().unwrap_or_default();
                let mut rows = Rows::new(&definitions);
                rows.properties("", "response", schema, 0);
                out.push('\n');
                table(&mut out, ["Name", "In", "Type", "Required", "Description"], &rows.finish());
            }
        }
    }
    let schemes: Vec<String> =
        operation.security.iter().map(|all| all.join(" and ")).filter(|all| !all.is_empty()).collect();
    if !schemes.is_empty() {
        out.push_str(&format!("\n## Security\n\n{}\n", one_line(&schemes.join(", or "))));
    }
    let mut facets = BTreeMap::from([
        ("api".to_owned(), vec![one_line(&document.title)]),
        ("method".to_owned(), vec![operation.method.as_str().to_lowercase()]),
    ]);
    facets.insert("tag".to_owned(), operation.tags.iter().take(FACET_VALUES_MAX).map(|tag| one_line(tag)).collect());
    for values in facets.values_mut() {
        values.retain(|value| !value.is_empty() && value.len() <= FACET_VALUE_BYTES_MAX);
    }
    facets.retain(|_, values| !values.is_empty());
    Draft { markdown: out, title: Some(title), facets, ..Draft::default() }
}

fn table(out: &mut String, head: [&str; 5], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    out.push_str(&row(&head.map(str::to_owned)));
    out.push_str("\n| --- | --- | --- | --- | --- |\n");
    for cells in rows {
        out.push_str(&row(cells));
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZOO: &str = "openapi: 3.1.0
info: {title: Zoo, version: '2'}
servers: [{url: 'https://zoo.example/v1'}]
paths:
  /animals/{id}:
    get:
      operationId: getAnimal
      tags: [animals]
      summary: Shows an animal
      description: With its keeper.
      parameters: [{name: id, in: path, required: true, schema: {type: string}, description: Its number}]
      responses:
        '200': {description: The animal, content: {application/json: {schema: {$ref: '#/components/schemas/Animal'}}}}
    delete:
      deprecated: true
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {'204': {description: Gone}}
components:
  schemas:
    Animal:
      type: object
      required: [name]
      properties:
        name: {type: string, description: A name}
        parent: {$ref: '#/components/schemas/Animal'}
";

    #[test]
    fn an_api_becomes_a_page_for_each_operation() {
        let pages = read(ZOO.as_bytes()).unwrap();
        let suffixes: Vec<&str> = pages.iter().map(|(suffix, _)| suffix.as_str()).collect();
        assert_eq!(suffixes, ["", "/getAnimal", "/delete-animals-id"]);
        assert!(pages[0].1.markdown.contains("- `GET /v1/animals/{id}`: getAnimal"));
        let page = &pages[1].1;
        assert!(page.markdown.starts_with("# Shows an animal\n\n`GET /v1/animals/{id}`\n"), "{}", page.markdown);
        assert!(page.markdown.contains("| id | path | string | yes |"), "{}", page.markdown);
        assert!(page.markdown.contains("| name | response | string | yes | A name |"), "{}", page.markdown);
        assert_eq!(page.facets["tag"], ["animals"]);
        assert!(pages[2].1.markdown.contains("**Deprecated.**"));
    }

    #[test]
    fn what_is_no_api_is_refused() {
        for wrong in ["", "{}", "openapi: 2.0", "a: ["] {
            assert!(matches!(read(wrong.as_bytes()), Err(ParseError::Api(_))), "{wrong}");
        }
        let old = read(b"swagger: '2.0'\ninfo: {title: T, version: '1'}\npaths: {}\n").unwrap_err().to_string();
        assert_eq!(old.matches("expected").count(), 1, "{old}");
    }

    #[test]
    fn names_are_unique() {
        let mut text = String::from("openapi: 3.0.0\ninfo: {title: T, version: '1'}\npaths:\n");
        for path in ["/a-b", "/a/b", "/a.b", "/a_b"] {
            text.push_str(&format!("  {path}: {{get: {{responses: {{'200': {{description: x}}}}}}}}\n"));
        }
        let pages = read(text.as_bytes()).unwrap();
        let names: HashSet<&String> = pages.iter().map(|(suffix, _)| suffix).collect();
        assert_eq!(names.len(), pages.len());
        assert!(names.contains(&"/get-a-b-2".to_owned()), "{names:?}");
    }
}

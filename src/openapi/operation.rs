//! The document as a whole, and its operations one by one: one that cannot be expressed costs no other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::parameter::{self, Declared};
use super::path::{self, PathTemplate, Server};
use super::schema::{Schemas, Side};
use super::{Dialect, Document, LeftOut, Method, OpenApiError, Operation, Place, SecurityScheme};
use super::{body, clean, hidden, pointer, security, upload};
use crate::base::bound::connector as bound;

/// Why an operation is left out, and where that is.
struct Out {
    pointer: String,
    reason: String,
}

struct Reading<'a> {
    root: &'a Value,
    dialect: Dialect,
    server: Server,
    security: BTreeMap<String, SecurityScheme>,
    /// Told once, however many operations share it.
    left_out: BTreeSet<(String, bool, String)>,
    left_out_more: usize,
    nodes: usize,
}

pub(super) fn document(root: &Value) -> Result<Document, OpenApiError> {
    let dialect = dialect(root)?;
    let Some(paths) = root.get("paths").and_then(Value::as_object) else { return Err(OpenApiError::NoPaths) };
    let count =
        paths.values().filter_map(Value::as_object).flat_map(|item| item.keys()).filter_map(|it| Method::parse(it));
    let found = count.count();
    if found > bound::OPENAPI_OPERATIONS_MAX {
        return Err(OpenApiError::TooLarge { what: "operations", found, most: bound::OPENAPI_OPERATIONS_MAX });
    }
    let mut reading = Reading {
        root,
        dialect,
        server: Server { authority: None, path: String::new() },
        security: security::schemes(root),
        left_out: BTreeSet::new(),
        left_out_more: 0,
        nodes: 0,
    };
    let server = root.pointer("/servers/0");
    match server.map(path::server) {
        Some(Ok(server)) => reading.server = server,
        Some(Err(reason)) => {
            reading.leave_out("/servers/0", false, format!("{reason}; calls go to the base URL itself"));
        }
        None => {}
    }
    let mut operations = Vec::new();
    for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
        let at = pointer::below("/paths", path);
        match pointer::follow(root, item, &at) {
            Ok((item, _)) => reading.item(path, item, &at, &mut operations),
            Err(reason) => reading.leave_out(&at, true, reason),
        }
    }
    if operations.is_empty() && reading.left_out.is_empty() {
        return Err(OpenApiError::NoPaths);
    }
    let info = root.get("info").unwrap_or(&Value::Null);
    let version = info.get("version").map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
    Ok(Document {
        title: clean::field(info, "title", bound::OPENAPI_SUMMARY_CHARS_MAX),
        version: clean::line(&version.unwrap_or_default(), 40),
        dialect,
        server: server.map(|it| clean::field(it, "url", bound::OPENAPI_SUMMARY_CHARS_MAX)).filter(|it| !it.is_empty()),
        operations,
        security: reading.security,
        left_out: reading
            .left_out
            .into_iter()
            .map(|(pointer, operation, reason)| LeftOut { pointer, operation, reason })
            .collect(),
        left_out_more: reading.left_out_more,
        hidden: hidden::texts(root),
    })
}

fn dialect(root: &Value) -> Result<Dialect, OpenApiError> {
    let found = root.get("openapi").or_else(|| root.get("swagger"));
    let found = found.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned)).unwrap_or_default();
    let of = |version: &str| found == version || found.strip_prefix(version).is_some_and(|rest| rest.starts_with('.'));
    match () {
        () if of("3.0") => Ok(Dialect::V30),
        () if of("3.1") => Ok(Dialect::V31),
        () if found.is_empty() => Err(OpenApiError::Version("none".into())),
        () => Err(OpenApiError::Version(clean::line(&found, 40))),
    }
}

impl Reading<'_> {
    fn leave_out(&mut self, pointer: &str, operation: bool, reason: impl Into<String>) {
        let row = (clean::line(pointer, bound::OPENAPI_PATH_BYTES_MAX), operation, reason.into());
        if self.left_out.contains(&row) {
            return;
        }
        // An operation that is missing should be in the report; a detail may be counted only.
        let most = if operation { bound::OPENAPI_OPERATIONS_MAX } else { bound::OPENAPI_LEFT_OUT_MAX };
        if self.left_out.len() < most {
            self.left_out.insert(row);
        } else {
            self.left_out_more += 1;
        }
    }

    fn item(&mut self, path: &str, item: &Value, at: &str, operations: &mut Vec<Operation>) {
        for (name, value) in item.as_object().into_iter().flatten() {
            let at = pointer::below(at, name);
            match (Method::parse(name), name.to_ascii_lowercase().as_str()) {
                (Some(method), _) => match self.operation(method, path, item, value, &at) {
                    Ok(operation) => operations.push(operation),
                    Err(Out { pointer, reason }) => self.leave_out(&pointer, true, reason),
                },
                (None, "options" | "trace") => {
                    self.leave_out(&at, true, "the methods OPTIONS and TRACE are not called");
                }
                _ => {}
            }
        }
    }

    fn operation(
        &mut self,
        method: Method,
        path: &str,
        item: &Value,
        value: &Value,
        at: &str,
    ) -> Result<Operation, Out> {
        let out = |reason: String| Out { pointer: at.to_owned(), reason };
        if self.nodes > bound::OPENAPI_SCHEMAS_NODES_MAX {
            return Err(out("the schemas of the operations before it took all room that a document is given".into()));
        }
        let template = PathTemplate::parse(path).map_err(out)?;
        let server_path = self.server_path(item, value).map_err(out)?;
        let upload = upload::step(value).map_err(out)?;
        let mut schemas = Schemas::new(self.root, self.dialect, Side::In, bound::OPENAPI_SCHEMA_NODES_MAX);
        let many = |_| out(format!("its schemas have more than {} values", bound::OPENAPI_SCHEMA_NODES_MAX));
        let mut parameters = Vec::new();
        for declared in self.declared(item, value, at)? {
            if declared.place == Place::Path && !template.parameters().any(|name| name == declared.name) {
                self.leave_out(&declared.pointer, false, "the path has no such parameter");
                continue;
            }
            if self.is_credential(&declared) {
                self.leave_out(&declared.pointer, false, "it carries the credential, which no argument does");
                continue;
            }
            match parameter::parameter(&declared, &mut schemas).map_err(many)? {
                Ok(parameter) => parameters.push(parameter),
                Err(no) if no.required => return Err(Out { pointer: declared.pointer, reason: no.reason }),
                Err(no) => self.leave_out(&declared.pointer, false, no.reason),
            }
        }
        for name in template.parameters() {
            if !parameters.iter().any(|it| it.place == Place::Path && it.name == name) {
                return Err(out(format!("nothing says what {{{}}} in its path is", pointer::short(name))));
            }
        }
        let mut body = self.body(method, value, at, &mut schemas)?;
        let mut roots: Vec<&mut Value> = parameters.iter_mut().map(|it| &mut it.schema).collect();
        roots.extend(body.as_mut().map(|it| &mut it.schema));
        let finished = schemas.finish(&mut roots).map_err(many)?;
        self.nodes += finished.nodes;
        let mut noted = finished.left_out;
        let (responses, nodes) = body::responses(self.root, self.dialect, value, at, &mut noted);
        self.nodes += nodes;
        for (pointer, reason) in noted {
            self.leave_out(&pointer, false, reason);
        }
        let id =
            value.get("operationId").and_then(Value::as_str).filter(|id| id.len() <= bound::OPENAPI_NAME_BYTES_MAX);
        Ok(Operation {
            method,
            path: path.to_owned(),
            server_path,
            id: id.map(str::to_owned),
            tags: tags(value),
            summary: clean::field(value, "summary", bound::OPENAPI_SUMMARY_CHARS_MAX),
            description: clean::field(value, "description", bound::OPENAPI_DESCRIPTION_CHARS_MAX),
            deprecated: value.get("deprecated") == Some(&Value::Bool(true)),
            parameters,
            body,
            responses,
            definitions: finished.definitions,
            security: security::required(self.root, value),
            upload,
            pointer: at.to_owned(),
        })
    }

    fn body(
        &mut self,
        method: Method,
        value: &Value,
        at: &str,
        schemas: &mut Schemas<'_>,
    ) -> Result<Option<super::Body>, Out> {
        let Some(declared) = value.get("requestBody") else { return Ok(None) };
        let at = pointer::below(at, "requestBody");
        if method.is_safe() {
            self.leave_out(&at, false, "a request that only reads has no body");
            return Ok(None);
        }
        let many = |_| Out {
            pointer: at.clone(),
            reason: format!("its schemas have more than {} values", bound::OPENAPI_SCHEMA_NODES_MAX),
        };
        match body::body(self.root, declared, &at, schemas).map_err(many)? {
            Ok(body) => Ok(Some(body)),
            // Documents say `required` by accident: what is made to send a body makes no sense without one.
            Err(no) if no.required || method != Method::Delete => Err(Out { pointer: at, reason: no.reason }),
            Err(no) => {
                self.leave_out(&at, false, no.reason);
                Ok(None)
            }
        }
    }

    /// The path item's parameters, then the operation's own, which take the place of those with their name.
    fn declared<'b>(&self, item: &'b Value, value: &'b Value, at: &str) -> Result<Vec<Declared<'b>>, Out>
    where
        Self: 'b,
    {
        let mut found: Vec<Declared<'b>> = Vec::new();
        let item_at = at.rsplit_once('/').map_or("", |(before, _)| before);
        for (owner, at) in [(item, item_at), (value, at)] {
            let at = pointer::below(at, "parameters");
            for (n, parameter) in owner.get("parameters").and_then(Value::as_array).into_iter().flatten().enumerate() {
                let at = format!("{at}/{n}");
                match parameter::declared(self.root, parameter, &at) {
                    Ok(declared) => {
                        let same = |other: &Declared<'_>| other.place == declared.place && other.name == declared.name;
                        found.retain(|other| !same(other));
                        found.push(declared);
                    }
                    Err(no) if no.required => return Err(Out { pointer: at, reason: no.reason }),
                    Err(_) => {}
                }
            }
        }
        if found.len() > bound::OPENAPI_PARAMETERS_MAX {
            let reason = format!("it has more than {} parameters", bound::OPENAPI_PARAMETERS_MAX);
            return Err(Out { pointer: at.to_owned(), reason });
        }
        Ok(found)
    }

    /// Whether a parameter is the place where a scheme puts its key.
    fn is_credential(&self, declared: &Declared<'_>) -> bool {
        self.security.values().any(|scheme| match scheme {
            SecurityScheme::ApiKey { name, place } if *place == declared.place => match place {
                Place::Header => name.eq_ignore_ascii_case(declared.name),
                _ => name == declared.name,
            },
            _ => false,
        })
    }

    /// A path item or an operation may name another server; one on another host is not called.
    fn server_path(&self, item: &Value, value: &Value) -> Result<String, String> {
        let own = [value, item].into_iter().find_map(|owner| owner.pointer("/servers/0"));
        let Some(own) = own else { return Ok(self.server.path.clone()) };
        let server = path::server(own)?;
        match server.authority {
            Some(authority) if self.server.authority.as_ref() != Some(&authority) => {
                Err(format!("it is on another server, {}", clean::line(&authority, 80)))
            }
            _ => Ok(server.path),
        }
    }
}

fn tags(value: &Value) -> Vec<String> {
    let tags = value.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    tags.map(|tag| clean::line(tag, 80)).filter(|tag| !tag.is_empty()).take(bound::OPENAPI_TAGS_MAX).collect()
}

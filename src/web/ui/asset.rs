//! Style, script and pictures of the dashboard, out of the binary; each under an address that changes with its content.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use rust_embed::RustEmbed;

use super::super::{Answer, full};
use crate::base::id::hex;
use crate::crypto::digest::sha256;

/// What is beside the templates in `assets/ui`.
#[derive(RustEmbed)]
#[folder = "assets/ui"]
struct Embedded;

/// A file by its name.
pub(super) fn file(name: &str) -> Option<Cow<'static, [u8]>> {
    Embedded::get(name).map(|file| file.data)
}

/// What browsers are given, by file name: the beginning of its digest.
#[derive(Debug)]
pub(super) struct Assets {
    digests: BTreeMap<String, String>,
}

impl Assets {
    pub(super) fn embedded() -> Self {
        let served = Embedded::iter().filter(|name| kind_of(name).is_some());
        let digests = served.filter_map(|name| {
            let digest = hex(&sha256(&[&file(&name)?]));
            Some((name.into_owned(), digest.get(..16)?.to_owned()))
        });
        Self { digests: digests.collect() }
    }

    /// The path of a file, with what it is now.
    pub(super) fn path(&self, name: &str) -> String {
        let digest = self.digests.get(name).map_or("0", String::as_str);
        format!("/ui/assets/{digest}/{name}")
    }

    /// The file behind the rest of such a path. A browser that has it never asks again.
    pub(super) fn answer(&self, path: &str) -> Response<Answer> {
        let found =
            path.split_once('/').filter(|(digest, name)| self.digests.get(*name).is_some_and(|own| own == digest));
        let found = found.and_then(|(_, name)| Some((kind_of(name)?, file(name)?)));
        let Some((kind, bytes)) = found else { return full(StatusCode::NOT_FOUND, String::new()) };
        let mut response = Response::new(Full::new(Bytes::from(bytes.into_owned())).boxed());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        response
    }
}

fn kind_of(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

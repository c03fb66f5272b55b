//! What a search finds, in which order, and that nothing breaks it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::search::{DocumentKey, Found, Index, Passage, Request, SearchError, Writer};

pub(super) fn passage(ordinal: u32, title: &str, heading: &str, text: &str) -> Passage {
    let (title, trail) = (title.to_owned(), vec![title.to_owned(), heading.to_owned()]);
    Passage { ordinal, title, trail, anchor: heading.to_lowercase(), text: text.to_owned() }
}

pub(super) fn put(writer: &mut Writer, path: &str, platform: &str, passages: &[Passage]) {
    let facets = [("platform".to_owned(), platform.to_owned()), ("sdk".to_owned(), "52".to_owned())];
    writer.put(&DocumentKey { library: "expo", path }, &facets, passages).unwrap();
}

fn index() -> Index {
    let index = Index::in_memory().unwrap();
    let mut writer = index.writer().unwrap();
    put(
        &mut writer,
        "guides/camera.md",
        "ios",
        &[
            passage(0, "Camera", "Permissions", "Ask for permission with `useCameraPermissions`."),
            passage(1, "Camera", "Usage", "The camera needs a view.\n```js\nCamera.open()\n```"),
            passage(2, "Camera", "Notes", "A camera is a camera, see foo_bar.baz() and http://localhost:8081."),
        ],
    );
    put(
        &mut writer,
        "guides/audio.md",
        "android",
        &[passage(0, "Audio", "Recording", "Written in C++. To be or not to be.")],
    );
    put(
        &mut writer,
        "sdk/effect.md",
        "web",
        &[passage(0, "エフェクト", "概要", "副作用のクリーンアップについて。構文木")],
    );
    writer
        .put(&DocumentKey { library: "secret", path: "camera.md" }, &[], &[passage(0, "Camera", "x", "camera")])
        .unwrap();
    writer.commit(&BTreeMap::from([("expo".to_owned(), 7)])).unwrap();
    index
}

pub(super) fn search_in(index: &Index, request: Request<'_>) -> Found {
    let found = index.search(&request).unwrap();
    for hit in &found.hits {
        let mut end = 0;
        for it in &hit.highlights {
            assert!(it.start >= end && hit.snippet.get(it.clone()).is_some_and(|it| !it.is_empty()));
            end = it.end;
        }
    }
    found
}

pub(super) fn search(index: &Index, text: &str) -> Found {
    let libraries = ["expo".to_owned()];
    let facets = BTreeMap::new();
    search_in(index, asking(text, &libraries, &facets))
}

/// A request for the first ten.
pub(super) fn asking<'a>(
    text: &'a str,
    libraries: &'a [String],
    facets: &'a BTreeMap<String, Vec<String>>,
) -> Request<'a> {
    Request { text, libraries, path_prefix: None, facets, limit: 10, offset: 0, explain: false }
}

pub(super) fn places(found: &Found) -> Vec<String> {
    found.hits.iter().map(|it| format!("{}#{}", it.path, it.ordinal)).collect()
}

/// The first hit of each query.
#[test]
fn the_best_passage_comes_first() {
    let index = index();
    let check = |text: &str, first: &str| {
        assert_eq!(places(&search(&index, text)).first().map_or("", String::as_str), first, "{text}");
    };
    check("ask for camera permission", "guides/camera.md#0");
    check("useCameraPermissions", "guides/camera.md#0");
    check("usecamerapermissions", "guides/camera.md#0");
    check("foo_bar.baz()", "guides/camera.md#2");
    check("http://localhost:8081", "guides/camera.md#2");
    check("Camera.open", "guides/camera.md#1");
    check("C++", "guides/audio.md#0");
    check("c", "");
    check("to be or not to be", "guides/audio.md#0");
    check("to xyzzy", "guides/audio.md#0");
    check("xyzzy", "");
    check("recordi", "guides/audio.md#0");
    check("副作用", "sdk/effect.md#0");
    check("副作用 xyzzy", "sdk/effect.md#0");
    check("ｸﾘｰﾝｱｯﾌﾟ", "sdk/effect.md#0");
    check("木", "sdk/effect.md#0");
    check("用", "sdk/effect.md#0");
    for nothing in ["", " ", "?!", "🚀", "\0", "\u{301}", "。、"] {
        assert_eq!(search(&index, nothing), Found::default());
    }
}

#[test]
fn a_hit_tells_all_about_its_passage() {
    let found = search(&index(), "permission");
    let hit = &found.hits[0];
    assert_eq!((hit.library.as_str(), hit.title.as_str(), hit.anchor.as_str()), ("expo", "Camera", "permissions"));
    assert_eq!(hit.trail, ["Camera", "Permissions"]);
    assert_eq!(hit.facets, [("platform".to_owned(), "ios".to_owned()), ("sdk".to_owned(), "52".to_owned())]);
    assert_eq!(hit.snippet, "Ask for permission with `useCameraPermissions`.");
    let marked: Vec<_> = hit.highlights.iter().map(|it| &hit.snippet[it.clone()]).collect();
    assert_eq!(marked, ["permission", "Permissions"]);
}

#[test]
fn only_what_is_named_is_seen() {
    let index = index();
    let count = |libraries: &[&str], path_prefix: Option<&str>, facets: &[(&str, &[&str])]| {
        let libraries: Vec<_> = libraries.iter().map(|it| (*it).to_owned()).collect();
        let facets = facets
            .iter()
            .map(|(name, values)| ((*name).to_owned(), values.iter().map(|it| (*it).to_owned()).collect()));
        let facets: BTreeMap<_, Vec<_>> = facets.collect();
        let text = "camera recording 副作用";
        let found = search_in(&index, Request { path_prefix, ..asking(text, &libraries, &facets) });
        found.total
    };
    assert_eq!(count(&[], None, &[]), 0);
    assert_eq!(count(&["exp"], None, &[]), 0);
    assert_eq!(count(&["expo"], None, &[]), 5);
    assert_eq!(count(&["secret"], None, &[]), 1);
    assert_eq!(count(&["secret", "expo", "expo", "gone"], None, &[]), 6);
    assert_eq!(count(&["expo"], Some("guides/"), &[]), 4);
    assert_eq!(count(&["expo"], Some("guides/cam"), &[]), 3);
    assert_eq!(count(&["expo"], Some("cam"), &[]), 0);
    assert_eq!(count(&["expo"], Some("guides/camera.md/"), &[]), 0);
    assert_eq!(count(&["expo"], None, &[("platform", &["ios", "web"])]), 4);
    assert_eq!(count(&["expo"], None, &[("platform", &["ios", "web"]), ("sdk", &["52"])]), 4);
    assert_eq!(count(&["expo"], None, &[("platform", &["ios"]), ("sdk", &["51"])]), 0);
    assert_eq!(count(&["expo"], None, &[("platform", &[])]), 0);
}

#[test]
fn documents_are_folded_and_the_total_stays_honest() {
    let index = index();
    let found = search(&index, "camera");
    assert_eq!((found.total, found.hits.len()), (3, 2));
    let libraries = ["expo".to_owned()];
    let facets = BTreeMap::new();
    let path_prefix = Some("guides/camera.md");
    let within = Request { path_prefix, ..asking("camera", &libraries, &facets) };
    assert_eq!(search_in(&index, within).hits.len(), 3);
}

#[test]
fn pages_fit_together_and_ties_are_ordered_by_path() {
    let index = Index::in_memory().unwrap();
    // Three commits make three segments: the order must not follow them.
    for part in [2, 0, 1] {
        let mut writer = index.writer().unwrap();
        for number in (0..60).filter(|it| it % 3 == part) {
            let passages: Vec<_> = (0..4).map(|it| passage(it, "Same", "Words", "equal in all")).collect();
            put(&mut writer, &format!("p/{number:02}.md"), "ios", &passages);
        }
        writer.commit(&BTreeMap::new()).unwrap();
    }
    let libraries = ["expo".to_owned()];
    let facets = BTreeMap::new();
    let page = |limit, offset| {
        let request = Request { limit, offset, ..asking("equal", &libraries, &facets) };
        let found = search_in(&index, request);
        assert_eq!(found.total, 240);
        places(&found)
    };
    let expect: Vec<_> = (0..60).flat_map(|it| [format!("p/{it:02}.md#0"), format!("p/{it:02}.md#1")]).collect();
    let pages: Vec<_> = (0..18).flat_map(|it| page(7, it * 7)).collect();
    assert_eq!(pages, expect);
    assert_eq!(page(0, 0).len(), 0);
    assert_eq!(page(usize::MAX, 0).len(), 100);
    assert_eq!(page(10, usize::MAX).len(), 0);
}

/// A passage is found before its equals where its document says the rest of the query.
#[test]
fn a_document_speaks_for_its_passages() {
    let index = Index::in_memory().unwrap();
    let same = "what is set up is cleaned up by the cleanup";
    // Two commits make two segments: the score of a document is found in each.
    for (whole, half) in [("b.md", "a.md"), ("d.md", "c.md")] {
        let mut writer = index.writer().unwrap();
        put(&mut writer, half, "ios", &[passage(0, "x", "x", same), passage(1, "x", "x", "a paragraph about others")]);
        put(
            &mut writer,
            whole,
            "ios",
            &[passage(0, "x", "x", same), passage(1, "x", "x", "a paragraph about effects")],
        );
        writer.commit(&BTreeMap::new()).unwrap();
    }
    let mut found = places(&search(&index, "effect cleanup"));
    found.retain(|it| it.ends_with("#0"));
    assert_eq!(found, ["b.md#0", "d.md#0", "a.md#0", "c.md#0"]);
}

/// BM25 panics where more documents hold a term than there are, and a document that was replaced is still counted.
#[test]
fn a_document_is_replaced_often_in_one_commit() {
    let index = Index::in_memory().unwrap();
    let mut writer = index.writer().unwrap();
    for _ in 0..9 {
        put(&mut writer, "a.md", "ios", &[passage(0, "Camera", "x", "the camera")]);
    }
    writer.commit(&BTreeMap::new()).unwrap();
    assert_eq!(places(&search(&index, "camera")), ["a.md#0"]);
}

#[test]
fn a_word_in_prose_and_code_counts_once() {
    let index = Index::in_memory().unwrap();
    let mut writer = index.writer().unwrap();
    put(&mut writer, "a.md", "ios", &[passage(0, "x", "x", "The camera.\n```\ncamera\n```")]);
    put(&mut writer, "c.md", "ios", &[passage(0, "x", "x", "The lens.\n```\ncamera\n```")]);
    put(&mut writer, "b.md", "ios", &[passage(0, "x", "x", "The camera.")]);
    writer.commit(&BTreeMap::new()).unwrap();
    let hits = search(&index, "camera").hits;
    assert_eq!(hits[0].score.to_bits(), hits[1].score.to_bits());
}

#[test]
fn long_queries_are_read_in_part() {
    let index = index();
    let many: Vec<_> = (0..1000).map(|it| format!("w{it}")).collect();
    assert!(search(&index, &many.join(" ")).partial);
    assert!(search(&index, &format!("camera {}", "x".repeat(10_000))).partial);
    assert!(!search(&index, &"camera ".repeat(100)).partial);
}

#[test]
fn a_document_is_replaced_and_removed() {
    let index = index();
    assert_eq!(index.passages(), 6);
    let mut writer = index.writer().unwrap();
    assert!(matches!(index.writer(), Err(SearchError::Busy)));
    put(&mut writer, "guides/camera.md", "ios", &[passage(0, "Lens", "x", "nothing else")]);
    drop(writer);
    assert_eq!(search(&index, "camera").total, 3, "dropped without commit");
    let mut writer = index.writer().unwrap();
    put(&mut writer, "guides/camera.md", "ios", &[passage(0, "Lens", "x", "nothing else")]);
    writer.remove(&DocumentKey { library: "expo", path: "guides/audio.md" }).unwrap();
    writer.commit(&BTreeMap::new()).unwrap();
    assert_eq!(places(&search(&index, "camera recording lens")), ["guides/camera.md#0"]);
    let mut writer = index.writer().unwrap();
    writer.remove_library("expo").unwrap();
    writer.commit(&BTreeMap::new()).unwrap();
    assert_eq!(index.passages(), 1);
    let mut writer = index.writer().unwrap();
    for (library, path) in [("", "a"), ("a", ""), ("a\0", "b"), ("a", "\0")] {
        assert!(matches!(writer.remove(&DocumentKey { library, path }), Err(SearchError::Key { .. })));
    }
    assert!(writer.remove(&DocumentKey { library: "a", path: &"b".repeat(9000) }).is_err());
}

#[test]
fn an_index_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Index>();
    sent::<Writer>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_query_is_an_error(texts in prop::collection::vec("(?s)(.|camera |[+:\"()*~^?\\[\\]{}-]|[副作用木]){0,40}", 8)) {
        let index = index();
        for text in texts {
            let found = search(&index, &text);
            prop_assert!(found.total >= found.hits.len() as u64);
        }
    }
}

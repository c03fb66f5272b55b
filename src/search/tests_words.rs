//! What a word of a query stands for: misspelt, joined, split, in other languages, called otherwise; and which edition
//! of a page is shown.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::search::tests::{asking, passage, places, put, search, search_in};
use crate::search::{DocumentKey, Found, How, Index, Request, Synonyms};

/// Each document has one passage.
fn index(documents: &[(&str, &str, &str)]) -> Index {
    let index = Index::in_memory().unwrap();
    let mut writer = index.writer().unwrap();
    for (path, title, text) in documents {
        put(&mut writer, path, "ios", &[passage(0, title, title, text)]);
    }
    writer.commit(&BTreeMap::new()).unwrap();
    index
}

fn guides() -> Index {
    index(&[
        ("camera.md", "Camera", "Ask for the camera permission before a photo is taken."),
        ("splash.md", "Splash screen", "Change the splash screen image. The environment counts."),
        ("fonts.md", "Fonts", "The hook useFonts loads them. See E0308 and p53, and error 8081."),
        ("notes.md", "Notes", "A notification is sent. The bundler starts."),
    ])
}

/// The paths of a query's hits.
fn check(index: &Index, text: &str, expect: &[&str]) {
    let found: Vec<_> = search(index, text).hits.into_iter().map(|it| it.path).collect();
    assert_eq!(found, expect, "{text}");
}

#[test]
fn a_misspelt_word_finds_what_was_meant() {
    let index = guides();
    for camera in ["camra", "camerra", "cemera", "cmaera", "kamera", "amera"] {
        check(&index, camera, &["camera.md"]);
    }
    // The ending is wrong, so the stem is another one altogether.
    check(&index, "permissoin", &["camera.md"]);
    check(&index, "notifcatoin", &["notes.md"]);
    check(&index, "enviroment varibles", &["splash.md"]);
    check(&index, "useFnots", &["fonts.md"]);
    // Three letters have too many neighbours, and three edits are another word.
    check(&index, "hok", &[]);
    check(&index, "notfcatoins", &[]);
}

/// A pasted stack trace of unknown words must not cost a walk through the dictionary for each of them.
#[test]
fn only_the_first_unknown_words_are_guessed() {
    let index = guides();
    check(&index, "aaaaaaaa bbbbbbbb cccccccc dddddddd eeeeeeee ffffffff gggggggg camra", &["camera.md"]);
    check(&index, "aaaaaaaa bbbbbbbb cccccccc dddddddd eeeeeeee ffffffff gggggggg hhhhhhhh camra", &[]);
}

#[test]
fn numbers_and_codes_are_never_misspelt() {
    let index = guides();
    for code in ["8082", "808", "p54", "E0309", "E308", "v53"] {
        check(&index, code, &[]);
    }
    check(&index, "8081", &["fonts.md"]);
    // In capitals among small letters it is a code; where all is in capitals it is a loud word.
    check(&index, "xyzzy CAMRA", &[]);
    check(&index, "CAMRA", &["camera.md"]);
}

#[test]
fn what_has_the_word_itself_comes_first() {
    let index = index(&[
        ("many.md", "Format", "A format is a format: format, format, format."),
        (
            "one.md",
            "Other",
            "Long text in which the word formas stands once, among many words that are not sought at all.",
        ),
        ("two.md", "Formats", "format"),
    ]);
    let found = search(&index, "formas");
    assert_eq!(places(&found).first().map(String::as_str), Some("one.md#0"));
    assert_eq!((found.total, found.hits.len()), (3, 3));
    let scores: Vec<_> = found.hits.iter().map(|it| it.score).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
}

#[test]
fn few_hits_are_widened_the_same_on_each_page() {
    let documents: Vec<_> = (0..8).map(|it| (format!("a{it}.md"), format!("formas {}", "x ".repeat(it)))).collect();
    let more: Vec<_> = (0..30).map(|it| (format!("b{it}.md"), format!("format {}", "x ".repeat(it)))).collect();
    let all: Vec<_> = documents.iter().chain(&more).map(|(path, text)| (path.as_str(), "x", text.as_str())).collect();
    let index = index(&all);
    let (libraries, facets) = (["expo".to_owned()], BTreeMap::new());
    let page =
        |limit, offset| places(&search_in(&index, Request { limit, offset, ..asking("formas", &libraries, &facets) }));
    let whole = page(100, 0);
    assert_eq!(whole.len(), 38);
    assert!(whole.iter().take(8).all(|it| it.starts_with('a')) && whole.iter().skip(8).all(|it| it.starts_with('b')));
    let parts: Vec<_> = (0..6).flat_map(|it| page(7, it * 7)).collect();
    assert_eq!(parts, whole);
}

#[test]
fn words_are_split_and_joined() {
    let index = index(&[
        ("split.md", "A", "Change the splash screen image."),
        ("apart.md", "B", "The screen made a splash."),
        ("joined.md", "C", "Call useFonts, or read a webhook."),
    ]);
    check(&index, "splashscreen", &["split.md"]);
    check(&index, "web hook", &["joined.md"]);
    check(&index, "use fonts", &["joined.md"]);
    // What is unknown in both ways finds nothing.
    check(&index, "splashxyzzy", &[]);
}

#[test]
fn words_take_the_endings_of_their_language() {
    let index = index(&[
        ("de.md", "Kamera", "Die Häuser und die Berechtigungen werden mit der Kamera nicht für Sie geprüft."),
        (
            "ru.md",
            "Камера",
            "Приложение запрашивает разрешение на камеру, если это не было сделано при запуске и для вас.",
        ),
        ("en.md", "Camera", "The houses and the permissions are checked with the camera for you."),
    ]);
    check(&index, "Berechtigung", &["de.md"]);
    check(&index, "haus", &["de.md"]);
    check(&index, "разрешения", &["ru.md"]);
    check(&index, "permission", &["en.md"]);
    check(&index, "house", &["en.md"]);
    let hit = &search(&index, "Haus").hits[0];
    let marked: Vec<_> = hit.highlights.iter().map(|it| &hit.snippet[it.clone()]).collect();
    assert_eq!((hit.title.as_str(), marked.as_slice()), ("Kamera", &["Häuser"][..]));
    assert_eq!(hit.trail, ["Kamera", "Kamera"]);
}

#[test]
fn one_edition_of_a_page_is_shown() {
    let text = "The camera takes photos, and the flash is bright.";
    let index = index(&[
        ("versions/unversioned/sdk/camera.md", "Camera", text),
        ("versions/v51.0.0/sdk/camera.md", "Camera", text),
        ("versions/v53.0.0/sdk/camera.md", "Camera", text),
        (
            "versions/v52.0.0/sdk/camera.md",
            "Camera",
            "The camera takes photos, and the flash is bright. The torch was never there.",
        ),
        ("guides/camera.md", "Guide", text),
    ]);
    let first = |query: &str| search(&index, query).hits.into_iter().map(|it| it.path).collect::<Vec<_>>();
    let sorted = |mut paths: Vec<String>| {
        paths.sort();
        paths
    };
    assert_eq!(sorted(first("camera flash")), ["guides/camera.md", "versions/v53.0.0/sdk/camera.md"]);
    assert_eq!(sorted(first("camera flash SDK 51")), ["guides/camera.md", "versions/v51.0.0/sdk/camera.md"]);
    // Another edition says what the newest does not.
    assert_eq!(first("torch"), ["versions/v52.0.0/sdk/camera.md"]);
    let (libraries, facets) = (["expo".to_owned()], BTreeMap::new());
    let path_prefix = Some("versions/v51.0.0/");
    let found = search_in(&index, Request { path_prefix, ..asking("camera flash", &libraries, &facets) });
    assert_eq!(places(&found), ["versions/v51.0.0/sdk/camera.md#0"]);
}

#[test]
fn a_library_says_what_it_calls_the_same() {
    let index = guides();
    check(&index, "snapshot", &[]);
    index.set_synonyms("expo", Synonyms::new([["snapshot", "photo"], ["launch picture", "splash screen"]]));
    check(&index, "snapshot", &["camera.md"]);
    check(&index, "launch picture", &["splash.md"]);
    check(&index, "launch", &[]);
    index.set_synonyms("expo", Synonyms::default());
    check(&index, "snapshot", &[]);
}

fn explained(index: &Index, text: &str) -> Found {
    let (libraries, facets) = (["expo".to_owned()], BTreeMap::new());
    search_in(index, Request { explain: true, ..asking(text, &libraries, &facets) })
}

#[test]
fn an_explanation_adds_up_to_the_score() {
    let index = guides();
    index.set_synonyms("expo", Synonyms::new([["snapshot", "photo"]]));
    let how = |text: &str| -> Vec<How> { explained(&index, text).hits[0].shares.iter().map(|it| it.how).collect() };
    assert!(how("splash screen").contains(&How::Neighbours));
    assert!(how("camra").contains(&How::Typo));
    assert!(how("splashscreen").contains(&How::Split));
    assert!(how("notificat").contains(&How::Ending));
    assert!(how("snapshot").contains(&How::Synonym));
    assert!(how("camera").contains(&How::Document) && how("camera").contains(&How::Word));
    assert!(search(&index, "camera").hits[0].shares.is_empty());
    // `camera bundler`: a word whose passages all come after the other's.
    for text in [
        "ask for camera permission",
        "camra permision",
        "camera bundler",
        "splash screen image",
        "useFonts hook",
        "bundlr",
    ] {
        for hit in explained(&index, text).hits {
            let sum: f32 = hit.shares.iter().map(|it| it.score).sum();
            assert!((sum - hit.score).abs() < 0.02, "{text}: {sum} of {}", hit.score);
        }
    }
}

/// Who may see one library is told nothing of the others, neither by scores nor by what counts as misspelt.
#[test]
fn other_libraries_change_nothing() {
    let index = guides();
    let asked = ["camra permission", "splash screen image", "notificat", "splashscreen", "fonts hook"];
    let before: Vec<_> = asked.iter().map(|text| explained(&index, text)).collect();
    let mut writer = index.writer().unwrap();
    for number in 0..40 {
        let text =
            "Camra permission splash, notificat splashscreen. The fonts of a hook, and many other words beside it.";
        let key = DocumentKey { library: "secret", path: &format!("{number}.md") };
        writer.put(&key, &[], &[passage(0, "Camra", "Splash", text), passage(1, "Hook", "Fonts", text)]).unwrap();
    }
    writer.commit(&BTreeMap::new()).unwrap();
    for (text, before) in asked.iter().zip(before) {
        assert!(!before.hits.is_empty());
        assert_eq!(explained(&index, text), before, "{text}");
    }
}

/// However many languages there are: a document is found by its own words.
#[test]
fn every_language_is_looked_for() {
    let texts = [
        ("de.md", "Die Häuser der Straße sind nicht mit den Büchern auf dem Platz.", "Häuser"),
        ("fr.md", "Les permissions de la caméra sont dans votre application pour que vous les ayez.", "permissions"),
        ("es.md", "Los archivos que están en el teléfono son para la aplicación como una cosa más.", "archivos"),
        ("it.md", "Il telefono che non è nel cassetto con gli altri della casa sono più.", "cassetti"),
        ("nl.md", "De huizen van het dorp zijn niet op een kaart voor deze reis.", "huizen"),
        ("sv.md", "Och husen är inte det som en bok på hyllan för att läsa av med till.", "husen"),
        ("tr.md", "Bu evler ve bir araba için çok daha güzel olan gibi değil.", "evler"),
        ("ru.md", "Приложение запрашивает разрешения на камеру, если это не было сделано при запуске.", "разрешения"),
        ("el.md", "Και το σπίτι του που είναι από την πόλη με για τα παιδιά.", "σπίτι"),
    ];
    let documents: Vec<_> = texts.iter().map(|(path, text, _)| (*path, "Page", *text)).collect();
    let index = index(&documents);
    for (path, _, word) in texts {
        check(&index, word, &[path]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever word is asked for, and however wide: what has the word itself stays in front.
    #[test]
    fn no_stand_in_comes_before_the_word(texts in prop::collection::vec("(camra|camera|splash|screen|8081|v5|[a-z]{3,9}|副作用){1,2}", 8)) {
        let index = guides();
        for text in texts {
            let found = explained(&index, &text);
            let exact: Vec<_> = found.hits.iter().map(|it| it.shares.iter().any(|it| it.how == How::Word)).collect();
            prop_assert!(exact.is_sorted_by(|a, b| a >= b), "{text}: {exact:?}");
        }
    }
}

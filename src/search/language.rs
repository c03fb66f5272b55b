//! Which language a document is written in, as far as stemming needs to know.
//!
//! Function words tell: `der`, `und`, `nicht` stand in every third place of a German text and nowhere else. What has
//! too few of any is treated as English, whose rules leave other words mostly alone; so is text in scripts without
//! spaces, for the Latin words in it are English ones.

use std::cmp::Reverse;
use std::collections::HashMap;

use tantivy::tokenizer::Language;

use crate::search::choice::{Choice, Choices};

/// A language that words are stemmed in: its place in `TONGUES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tongue(u8);

pub(super) const ENGLISH: Tongue = Tongue(0);

/// Words of a text that are looked at: enough to tell, and a long document costs no more than a short one.
const WORDS_READ: usize = 400;
/// Fewer function words than this say nothing.
const EVIDENCE_MIN: usize = 3;

/// Code, rules, and the words that betray it; none of them is a common word of another one's technical prose.
const TONGUES: [(&str, Language, &str); 18] = [
    ("en", Language::English, "the and of to is that with this for are you from it be when your"),
    ("de", Language::German, "der die das und nicht ist mit den von ein eine sie für auf werden wird zu sich"),
    ("fr", Language::French, "le les des est une dans pour vous que qui avec sur pas du par sont et la"),
    ("es", Language::Spanish, "el los las que una con para por del como más pero está son su la es en"),
    ("it", Language::Italian, "il che di della per non una con sono gli nel questo più delle è alla del la"),
    ("pt", Language::Portuguese, "que não uma para com os do da em são mais você pode como seu ao das o"),
    ("nl", Language::Dutch, "de het een van en niet dat met voor zijn op deze wordt je aan ook kan te"),
    ("sv", Language::Swedish, "och att det som en är för på inte av med till den kan ett du om har"),
    ("da", Language::Danish, "og det at en er til på af ikke for med som kan du den der et har"),
    ("no", Language::Norwegian, "og det er på ikke å som til av for med en kan du jeg fra har seg"),
    ("fi", Language::Finnish, "ja on ei se että ovat tai kun mutta joka voi ole sen myös kuin niin"),
    ("hu", Language::Hungarian, "a az és hogy nem egy is ez van meg csak azt mint lehet vagy kell"),
    ("ro", Language::Romanian, "și de în nu este pe cu la care din pentru sunt mai sau că să"),
    ("tr", Language::Turkish, "ve bir bu için ile da de çok olarak daha olan gibi kadar değil sonra"),
    ("ru", Language::Russian, "и в не на что с как это для по из если при вы то от или может"),
    ("el", Language::Greek, "και το να του η της με για την είναι από που σε δεν τα ο"),
    ("ar", Language::Arabic, "في من على أن إلى هذا التي عن ما لا مع هو هذه كان أو"),
    ("ta", Language::Tamil, "ஒரு மற்றும் இந்த என்று இது என்ற அந்த உள்ள இருந்து செய்ய"),
];

/// The first of a row of private characters. One of them stands in front of each indexed text and says how its words
/// are stemmed: tantivy's tokenizers are told nothing else.
const MARKS: u32 = 0xe000;

impl Tongue {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..).map(Self).take(TONGUES.len())
    }

    fn row(self) -> (&'static str, Language, &'static str) {
        TONGUES.get(usize::from(self.0)).copied().unwrap_or(("en", Language::English, ""))
    }

    pub(super) fn code(self) -> &'static str {
        self.row().0
    }

    pub(super) fn rules(self) -> Language {
        self.row().1
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn mark(self) -> char {
        char::from_u32(MARKS + u32::from(self.0)).unwrap_or(' ')
    }

    /// Whether a word is one that this language's rules are for.
    pub(super) fn takes(self, word: &str) -> bool {
        match self {
            ENGLISH => word.bytes().all(|it| it.is_ascii_lowercase()),
            _ => word.chars().all(char::is_alphabetic),
        }
    }
}

/// The text behind its mark.
pub(super) fn unmarked(text: &str) -> (Tongue, &str) {
    let mut chars = text.chars();
    match chars.next().and_then(|mark| Tongue::all().find(|it| it.mark() == mark)) {
        Some(tongue) => (tongue, chars.as_str()),
        None => (ENGLISH, text),
    }
}

/// Knows the words that betray a language; make one and ask it of many documents.
#[derive(Debug)]
pub(super) struct Detector {
    /// Function word -> the languages that have it, a bit each.
    words: HashMap<&'static str, u32>,
}

impl Detector {
    pub(super) fn new(choices: Choices) -> Self {
        let mut words = HashMap::new();
        for tongue in Tongue::all().filter(|_| choices.has(Choice::Languages)) {
            for word in tongue.row().2.split(' ') {
                *words.entry(word).or_default() |= 1_u32 << tongue.0;
            }
        }
        Self { words }
    }

    /// Tells the language of running text.
    pub(super) fn detect<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Tongue {
        let mut counts = [0_usize; TONGUES.len()];
        let mut lower = String::new();
        let words = texts.flat_map(|it| it.split(|char: char| !char.is_alphabetic()));
        for word in words.filter(|it| !it.is_empty()).take(WORDS_READ) {
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            let known = self.words.get(lower.as_str()).copied().unwrap_or_default();
            for (place, count) in counts.iter_mut().enumerate().filter(|_| known != 0) {
                *count += usize::from(known & (1 << place) != 0);
            }
        }
        let best = Tongue::all().zip(counts).max_by_key(|(tongue, count)| (*count, Reverse(*tongue)));
        let english = counts.first().copied().unwrap_or_default();
        match best {
            // Clearly more than English: its pages are full of names, and a quoted sentence decides nothing.
            Some((tongue, count)) if count >= EVIDENCE_MIN && count > 2 * english => tongue,
            _ => ENGLISH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(Detector::new(Choices::default()).detect(std::iter::once(text)).code(), expect, "{text}");
    }

    #[test]
    fn function_words_tell_the_language() {
        check("Ask for the camera permission when your app starts.", "en");
        check("Fragen Sie nach der Berechtigung für die Kamera, wenn die App startet, und nicht früher.", "de");
        check("Demandez la permission de la caméra dans votre application pour que les photos soient prises.", "fr");
        check("La aplicación pide permiso para usar la cámara del teléfono y los archivos que están en él.", "es");
        check("Vraag om toestemming voor de camera, want het is een deel van de app en niet van het systeem.", "nl");
        check("Приложение запрашивает разрешение на камеру, если это не было сделано при запуске.", "ru");
        check("Appen frågar om tillstånd att använda kameran, och det är inte möjligt att hoppa över.", "sv");
        check("副作用のクリーンアップについて useEffect を使う", "en");
        check("expo-camera CameraView", "en");
        check("", "en");
    }

    #[test]
    fn marks_come_off_and_nothing_else_does() {
        for tongue in Tongue::all() {
            assert_eq!(unmarked(&format!("{}a b", tongue.mark())), (tongue, "a b"));
        }
        assert_eq!(unmarked("a"), (ENGLISH, "a"));
        assert_eq!(unmarked(""), (ENGLISH, ""));
    }
}

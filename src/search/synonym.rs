//! Words that mean the same in one library, as its profile says: whoever asks for one is also shown the others.

use std::collections::HashMap;

use crate::base::bound::search::{QUERY_SYNONYMS_MAX, SYNONYM_GROUPS_MAX, SYNONYM_WORDS_MAX, SYNONYMS_MAX};
use crate::search::analyze::Stems;
use crate::search::cut::{Cutter, Kind};
use crate::search::language::ENGLISH;
use crate::search::reading::Reading;

/// A table of synonyms: groups of words and phrases that mean the same.
#[derive(Clone, Debug, Default)]
pub struct Synonyms {
    groups: Vec<Vec<Vec<String>>>,
    /// The first word of a member -> the groups that it is in.
    firsts: HashMap<String, Vec<usize>>,
}

/// A synonym of something in a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Synonym {
    /// Its words as they are indexed.
    pub(super) terms: Vec<String>,
    /// Which clue of the query it stands for (the first, of a phrase).
    pub(super) clue: usize,
}

impl Synonyms {
    /// Takes groups such as `["push notification", "remote notification"]`. What is empty, longer than its bound or
    /// alone in its group is left out.
    pub fn new<G: IntoIterator<Item = S>, S: AsRef<str>>(groups: impl IntoIterator<Item = G>) -> Self {
        let mut table = Self::default();
        let (mut cutter, mut stems) = (Cutter::default(), Stems::default());
        for group in groups.into_iter().take(SYNONYM_GROUPS_MAX) {
            let mut members: Vec<Vec<String>> = Vec::new();
            for member in group.into_iter().take(SYNONYMS_MAX) {
                let mut terms = Vec::new();
                cutter.cut(member.as_ref(), |cut| {
                    if !matches!(cut.kind, Kind::Whole | Kind::Tail) {
                        terms.push(stems.stem(&cut, ENGLISH));
                    }
                });
                if (1..=SYNONYM_WORDS_MAX).contains(&terms.len()) && !members.contains(&terms) {
                    members.push(terms);
                }
            }
            if members.len() > 1 {
                for first in members.iter().filter_map(|it| it.first()) {
                    let groups = table.firsts.entry(first.clone()).or_default();
                    if groups.last() != Some(&table.groups.len()) {
                        groups.push(table.groups.len());
                    }
                }
                table.groups.push(members);
            }
        }
        table
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// What else a query may be asking for. A phrase must stand in it word by word.
    pub(super) fn of(&self, reading: &Reading) -> Vec<Synonym> {
        let words: Vec<_> = (0..).zip(&reading.clues).filter(|(_, it)| it.kind != Kind::Whole).collect();
        let mut found: Vec<Synonym> = Vec::new();
        for (at, (clue, word)) in words.iter().enumerate() {
            let groups = self.firsts.get(&word.term).into_iter().flatten();
            for group in groups.filter_map(|it| self.groups.get(*it)) {
                let said = |member: &&Vec<String>| {
                    let here = words.iter().skip(at).map(|(_, it)| &it.term);
                    member.len() <= words.len() - at && here.zip(*member).all(|(a, b)| a == b)
                };
                if !group.iter().any(|it| said(&it)) {
                    continue;
                }
                let anywhere = |member: &[String]| {
                    words.windows(member.len()).any(|it| it.iter().zip(member).all(|((_, a), b)| a.term == *b))
                };
                for terms in group.iter().filter(|it| !anywhere(it)).cloned() {
                    let synonym = Synonym { terms, clue: *clue };
                    if found.len() < QUERY_SYNONYMS_MAX && !found.iter().any(|it| it.terms == synonym.terms) {
                        found.push(synonym);
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::choice::Choices;
    use crate::search::reading::read;

    fn check(query: &str, expect: &str) {
        let table = Synonyms::new([
            vec!["push notifications", "remote notification"],
            vec!["OTA", "over-the-air", "update"],
            vec!["alone"],
            vec!["", "?"],
            vec!["検索", "サーチ"],
        ]);
        let reading = read(query, &mut Cutter::default(), &mut Stems::default(), &[], Choices::default()).unwrap();
        let found: Vec<_> = table.of(&reading).iter().map(|it| format!("{}@{}", it.terms.join(" "), it.clue)).collect();
        assert_eq!(found.join(", "), expect, "{query}");
    }

    #[test]
    fn a_query_takes_the_others_of_its_group() {
        check("send push notification", "remot notif@1");
        check("push a notification", "");
        check("ota", "over the air@0, updat@0");
        check("updates over the air", "ota@0");
        check("alone", "");
        check("検索する", "サー ーチ@0");
    }
}

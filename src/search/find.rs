//! One search from its text to a page of hits: as asked, and once more widely where that found next to nothing.

use std::sync::Arc;

use tantivy::query::EnableScoring;
use tantivy::{DocSet, TantivyDocument, Term};

use crate::base::bound::search::{EXPLANATION_SHARES_MAX, HITS_FEW};
use crate::base::bound::{HITS_MAX, RANKED_HITS_MAX};
use crate::search::analyze::Stems;
use crate::search::choice::Choice;
use crate::search::cut::Cutter;
use crate::search::index::Index;
use crate::search::language::{ENGLISH, Tongue};
use crate::search::page::{PageScores, score_pages};
use crate::search::query::{Ground, Part, Plan, plan};
use crate::search::rank::{Ranked, RankedHit, Ranking};
use crate::search::reading::{Reading, read};
use crate::search::schema::{Fields, key_term};
use crate::search::scope::Scope;
use crate::search::snippet::{Snippet, Snippets};
use crate::search::synonym::Synonyms;
use crate::search::{Found, Hit, How, Passage, Request, SearchError, Share};

/// Parts of a score that are smaller than this are rounding.
const SHARE_MIN: f32 = 0.005;

impl Index {
    /// Searches; blocks for about a millisecond over thousands of passages, without a lock: not for an async thread.
    pub fn search(&self, request: &Request<'_>) -> Result<Found, SearchError> {
        let choices = self.choices;
        let mut cutter = Cutter::new(choices);
        let mut stems = Stems::new(choices);
        let searcher = self.reader.searcher();
        let scope = Scope::new(&searcher, &self.fields, request.libraries)?;
        let tongues = tongues(&scope, &self.fields)?;
        let Some(reading) = read(request.text, &mut cutter, &mut stems, &tongues, choices) else {
            return Ok(Found::default());
        };
        let nothing = Found { partial: reading.partial, ..Found::default() };
        if request.libraries.is_empty() || request.facets.values().any(Vec::is_empty) {
            return Ok(nothing);
        }
        let synonyms = self.synonyms_of(request.libraries);
        let synonyms: Vec<&Synonyms> = synonyms.iter().map(Arc::as_ref).collect();
        let ground = Ground {
            searcher: &searcher,
            scope: &scope,
            fields: &self.fields,
            tongues: &tongues,
            synonyms: &synonyms,
            choices,
        };
        let skip = request.offset.min(RANKED_HITS_MAX);
        let end = (skip + request.limit.min(HITS_MAX)).min(RANKED_HITS_MAX);

        let mut found = plan(ground, &mut stems, &reading, request, false)?;
        let mut ranked = match &found {
            Some(plan) => rank(ground, plan, &reading, request, end, Vec::new())?,
            None => Ranked { total: 0, hits: Vec::new() },
        };
        // A page that is not full may be so for a misspelling that is a word of the index by chance.
        if ranked.total < HITS_FEW
            && choices.has(Choice::Wider)
            && let Some(wide) = plan(ground, &mut stems, &reading, request, true)?
        {
            let pinned = match &found {
                Some(plan) if choices.has(Choice::ExactFirst) => {
                    rank(ground, plan, &reading, request, RANKED_HITS_MAX, Vec::new())?.hits
                }
                _ => Vec::new(),
            };
            ranked = rank(ground, &wide, &reading, request, end, pinned)?;
            found = Some(wide);
        }
        let Some(Plan { worth, parts, .. }) = found else {
            return Ok(nothing);
        };

        let mut snippets = Snippets::new(&worth, cutter, stems, &tongues);
        let mut hits = Vec::with_capacity(end - skip);
        for hit in ranked.hits.into_iter().take(end).skip(skip) {
            let stored = self.fields.stored(&searcher.doc::<TantivyDocument>(hit.address)?);
            let Passage { ordinal, title, trail, anchor, text } = stored.passage;
            let Snippet { text: snippet, highlights } = snippets.make(&text);
            let (library, path, facets, score) = (stored.library, stored.path, stored.facets, hit.score);
            let shares = if request.explain { explain(ground, &parts, hit)? } else { Vec::new() };
            let url = None;
            let hit =
                Hit { library, path, title, trail, anchor, ordinal, score, snippet, highlights, facets, url, shares };
            hits.push(hit);
        }
        Ok(Found { total: ranked.total, hits, partial: reading.partial })
    }
}

/// The languages beside English that the libraries are written in, those of most documents first.
pub(super) fn tongues(scope: &Scope<'_>, fields: &Fields) -> tantivy::Result<Vec<Tongue>> {
    let mut known: Vec<(u64, Tongue)> = Vec::new();
    for tongue in Tongue::all().filter(|it| *it != ENGLISH) {
        let documents = scope.count(&Term::from_field_text(fields.language, tongue.code()))?;
        if documents > 0 {
            known.push((documents, tongue));
        }
    }
    known.sort_unstable_by(|a, b| b.cmp(a));
    Ok(known.into_iter().map(|it| it.1).collect())
}

fn rank(
    ground: Ground<'_>,
    plan: &Plan,
    reading: &Reading,
    request: &Request<'_>,
    count: usize,
    pinned: Vec<RankedHit>,
) -> Result<Ranked, SearchError> {
    let Ground { searcher, scope: count_in, fields, .. } = ground;
    let prefix = request.path_prefix.unwrap_or_default();
    let mut scopes: Vec<_> = request.libraries.iter().map(|it| key_term(it, prefix)).collect();
    scopes.sort_unstable();
    scopes.dedup();
    // A prefix that is a document's whole path asks to search within it.
    let whole = scopes.clone();
    let pages = if ground.choices.has(Choice::Documents) {
        score_pages(searcher, count_in, fields.page, plan.pages.as_ref())?
    } else {
        PageScores::default()
    };
    let editions = ground.choices.has(Choice::Editions);
    let segments = searcher.segment_readers().len();
    let versions = reading.versions();
    let ranking = Ranking { count: count.max(1), scopes, whole, pages, pinned, versions, editions, segments };
    Ok(searcher.search_with_statistics_provider(plan.query.as_ref(), &ranking, count_in)?)
}

/// What a hit's score is made of: it adds up.
fn explain(ground: Ground<'_>, parts: &[Part], hit: RankedHit) -> Result<Vec<Share>, SearchError> {
    let Ground { searcher, scope, .. } = ground;
    let mut shares = Vec::new();
    for part in parts {
        let weight = part.query.weight(EnableScoring::enabled_from_statistics_provider(scope, searcher))?;
        let mut scorer = weight.scorer(searcher.segment_reader(hit.address.segment_ord), 1.0)?;
        // A scorer begins at its first passage and goes forward only.
        let sought = hit.address.doc_id;
        let found = if scorer.doc() < sought { scorer.seek(sought) } else { scorer.doc() };
        if found == sought {
            let (word, how, field, score) = (part.word.clone(), part.how, part.field, scorer.score());
            shares.push(Share { word, how, field, score });
        }
    }
    shares.sort_by(|a, b| b.score.total_cmp(&a.score));
    shares.truncate(EXPLANATION_SHARES_MAX);
    let other = |how, score| Share { word: String::new(), how, field: "document", score };
    shares.push(other(How::Document, hit.page));
    // What has the words themselves stands in front, and all else is held below it.
    let rest = hit.score - shares.iter().map(|it| it.score).sum::<f32>();
    if rest.abs() > SHARE_MIN {
        shares.push(other(How::Order, rest));
    }
    Ok(shares)
}

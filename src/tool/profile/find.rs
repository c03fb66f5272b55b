//! Finding pages for a profile: synonyms widen the query, boosts weigh, versions of a page are folded into one.

use std::collections::{BTreeMap, HashMap};

use super::Desk;
use crate::base::bound::profile as bound;
use crate::base::refusal::Refusal;
use crate::library::ask::Query;
use crate::operation::Cx;
use crate::profile::page::Fold;
use crate::profile::synonym;
use crate::search::{Counts, Hit};

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) text: String,
    /// As it was asked for, by facet.
    pub(super) filters: BTreeMap<String, Vec<String>>,
    pub(super) platform: Option<String>,
    /// Pages at the most.
    pub(super) pages: usize,
}

/// Pages, each by its best passage, and how many documents have which facets.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) hits: Vec<Hit>,
    pub(super) total: u64,
    pub(super) counts: Counts,
    pub(super) partial: bool,
}

impl Desk {
    /// Pages that a text finds, best first; none if the caller may see no library of the profile.
    pub(super) async fn find(&self, cx: &Cx, wanted: &Wanted) -> Result<Pages, Refusal> {
        let Some(query) = self.query(cx, wanted)? else { return Ok(Pages::default()) };
        let found = self.view(cx).search(query).await?;
        let hits = self.rank(found.hits, wanted);
        for hit in &hits {
            cx.meter.read_file()?;
            cx.meter.hold(hit.snippet.len())?;
        }
        Ok(Pages { hits, total: found.total, counts: Counts::new(), partial: found.partial })
    }

    /// As [`Desk::find`], with how many documents have which facets.
    pub(super) async fn find_and_count(&self, cx: &Cx, wanted: &Wanted) -> Result<Pages, Refusal> {
        let mut pages = self.find(cx, wanted).await?;
        if let Some(query) = self.query(cx, wanted)? {
            let names = self.profile.manifest.facets.iter().map(|facet| facet.name.clone()).collect();
            pages.counts = self.view(cx).count(query, names).await?;
        }
        Ok(pages)
    }

    fn query(&self, cx: &Cx, wanted: &Wanted) -> Result<Option<Query>, Refusal> {
        let libraries = self.library_names(cx)?;
        if libraries.is_empty() {
            return Ok(None);
        }
        let manifest = &self.profile.manifest;
        let mut asked = wanted.filters.clone();
        if let (Some(facet), Some(platform)) = (&manifest.platform_facet, &wanted.platform) {
            asked.insert(facet.clone(), vec![platform.clone()]);
        }
        let facets = asked.into_iter().map(|(name, values)| {
            let facet = manifest.facets.iter().find(|facet| facet.name == name);
            let widened = facet.map_or_else(|| values.clone(), |facet| facet.widened(&values));
            (name, widened)
        });
        Ok(Some(Query {
            text: synonym::widen(&manifest.synonyms, &wanted.text),
            libraries,
            path_prefix: None,
            facets: facets.collect(),
            limit: bound::PROFILE_HITS_MAX,
            offset: 0,
            explain: false,
        }))
    }

    fn asks_for_versions(&self, wanted: &Wanted) -> bool {
        self.profile.manifest.fold.as_ref().is_some_and(|fold| wanted.filters.contains_key(&fold.facet))
    }

    fn rank(&self, hits: Vec<Hit>, wanted: &Wanted) -> Vec<Hit> {
        let manifest = &self.profile.manifest;
        let fold = manifest.fold.as_ref().filter(|_| !self.asks_for_versions(wanted));
        let mentioned = fold.and_then(|fold| fold.mentioned(&wanted.text));
        let mut weighed: Vec<Hit> = hits
            .into_iter()
            .map(|mut hit| {
                let boosts = manifest.boosts.iter().filter(|boost| boost.fits(&hit.path, &hit.facets));
                hit.score *= boosts.map(|boost| boost.factor).product::<f32>();
                if let (Some(fold), Some((value, factor))) = (fold, &mentioned)
                    && fold.is_of(&hit.facets, value)
                {
                    hit.score *= factor;
                }
                hit
            })
            .collect();
        weighed.sort_by(|one, other| other.score.total_cmp(&one.score));
        // Where a page stands is decided by its best version, and which version is shown by what is preferred.
        let version = mentioned.as_ref().map(|(value, _)| value.as_str());
        let mut places: HashMap<(String, String), usize> = HashMap::new();
        let mut ranked: Vec<Hit> = Vec::new();
        for hit in weighed {
            let page = fold.map_or_else(|| hit.path.clone(), |fold| fold.page(&hit.path));
            match places.get(&(hit.library.clone(), page.clone())).and_then(|at| ranked.get_mut(*at)) {
                None => {
                    places.insert((hit.library.clone(), page), ranked.len());
                    ranked.push(hit);
                }
                Some(shown) => {
                    let better = |fold: &Fold| fold.rank(&hit.facets, version) < fold.rank(&shown.facets, version);
                    if fold.is_some_and(better) {
                        *shown = Hit { score: shown.score, ..hit };
                    }
                }
            }
        }
        ranked.truncate(wanted.pages);
        ranked
    }
}

//! Data: rows cut into three splits, the facts about them, and how they are prepared.
//!
//! A row is read by position, wherever it is needed, and prepared for the model: x, and what travels with it.

use super::condition;
use super::dataset::{Dataset, Labels};
use super::rows::Preparation;
use super::scan::Audit;
use super::settings::Flip;
use super::{DataError, Facts, Rows, SampleShape, Split, UNKNOWN_CLASS, known};

/// A data set cut into train, validation and test.
pub struct Data {
    pub(super) sources: Vec<Source>,
    /// The ids of each split's rows, ascending.
    pub(super) splits: [Vec<u64>; 3],
    pub(super) preparation: Preparation,
    pub(super) facts: Facts,
    /// Where a row that is read holds the numbers of x; none where all of it is x.
    pub(super) kept: Option<Vec<usize>>,
    pub(super) audit: Audit,
    pub(super) workers: usize,
    /// Whether any value is missing.
    pub(super) has_gaps: bool,
    /// Whether rows count by a weight.
    pub(super) is_weighted: bool,
}

/// A reader and the ids of its rows: `first` and those that follow.
pub(super) struct Source {
    pub(super) rows: Box<dyn Dataset>,
    pub(super) first: u64,
    pub(super) labels: Option<Vec<u32>>,
    /// What is told of each row as the model sees it, a list for each attribute: see [`condition::standardised`].
    pub(super) told: Vec<Vec<f32>>,
}

impl Data {
    /// How many threads prepare rows.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// What is known about the data.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How many numbers a row of x has.
    pub fn features(&self) -> usize {
        self.facts.shape.features()
    }

    /// How many rows a split has.
    pub fn len(&self, split: Split) -> usize {
        self.ids(split).len()
    }

    /// Whether training images are shown in a mirror, too.
    pub fn is_mirrored(&self) -> bool {
        self.preparation.flip == Flip::Horizontal
    }

    /// Whether a split has no row.
    pub fn is_empty(&self, split: Split) -> bool {
        self.ids(split).is_empty()
    }

    /// The ids of a split's rows, by position: unique across splits, the same for each opening.
    pub fn ids(&self, split: Split) -> &[u64] {
        &self.splits[split as usize]
    }

    /// The name of the row with that id, where rows have names: the path of its file within a folder of images.
    pub fn name(&self, id: u64) -> Option<String> {
        let source = self.source(id);
        source.rows.name(id - source.first)
    }

    /// Whether the rows of a split have labels, all of them.
    pub fn has_labels(&self, split: Split) -> bool {
        !self.is_empty(split) && self.ids(split).iter().all(|id| self.label(*id).is_some())
    }

    /// The class of each row of a split, without reading x; empty where any row has none.
    pub fn labels(&self, split: Split) -> Vec<u32> {
        self.ids(split).iter().map(|id| self.label(*id)).collect::<Option<_>>().unwrap_or_default()
    }

    /// The class of each row of a split, where it has one.
    pub fn known_labels(&self, split: Split) -> Vec<Option<u32>> {
        self.ids(split).iter().map(|id| self.label(*id)).collect()
    }

    /// What is told of the row with that id, as [`Facts::condition`] has it: the place of a class, a standardised number, or NaN
    /// where it is unknown; empty for a row that is none of these.
    pub fn told(&self, id: u64) -> Vec<f32> {
        let source = self.source(id);
        source.told.iter().filter_map(|values| values.get((id - source.first) as usize).copied()).collect()
    }

    /// Rows to train on: as [`rows`](Self::rows), mirrored by chance where `data.flip` says so, with each attribute of the condition hidden by chance, as
    /// `data.condition_dropout` has it, and with the classes that are known where not all are. What is hidden is a function of the
    /// row and the epoch.
    pub(super) fn rows_to_learn(
        &self,
        split: Split,
        positions: &[usize],
        epoch: u64,
    ) -> Result<Rows, DataError> {
        let mut rows = self.rows(split, positions, epoch)?;
        if split == Split::Train
            && self.is_mirrored()
            && let SampleShape::Image { width, .. } = self.facts.shape
        {
            rows.mirror(width, |id| self.preparation.is_mirrored(id, epoch));
        }
        if split == Split::Train && rows.labels.is_empty() && !self.facts.classes.is_empty() {
            rows.labels = rows.ids.iter().map(|&id| self.label(id).unwrap_or(UNKNOWN_CLASS)).collect();
        }
        let dropout = self.preparation.condition_dropout;
        let width = self.facts.condition_width();
        if split != Split::Train || dropout == 0.0 || width == 0 {
            return Ok(rows);
        }
        let key = self.preparation.key.fold("condition dropout").fold(epoch);
        let mut uniforms = vec![0.0; self.facts.condition.len()];
        for (&id, c) in rows.ids.iter().zip(rows.condition.chunks_exact_mut(width)) {
            key.fold(id).uniforms(&mut uniforms);
            let mut c = c;
            for (attribute, &uniform) in self.facts.condition.iter().zip(&uniforms) {
                let (own, rest) = c.split_at_mut(attribute.width());
                if uniform < dropout {
                    let mut hidden = Vec::with_capacity(own.len());
                    attribute.append(f32::NAN, &mut hidden);
                    own.copy_from_slice(&hidden);
                }
                c = rest;
            }
        }
        Ok(rows)
    }

    /// The rows at these positions of a split, prepared for the model: normalised and binarised.
    /// `epoch` selects dynamic bits of training rows and changes nothing elsewhere.
    ///
    /// # Errors
    /// [`DataError::Position`] beyond the split's end; [`DataError::Changed`] if a file is not what it was when the
    /// data was opened.
    pub fn rows(&self, split: Split, positions: &[usize], epoch: u64) -> Result<Rows, DataError> {
        for source in &self.sources {
            source.rows.check_unchanged()?;
        }
        let features = self.features();
        let gaps = if self.has_gaps { positions.len() * features } else { 0 };
        let x = vec![0.0; positions.len() * features];
        let mut rows = Rows { x, mask: vec![0.0; gaps], ..Rows::default() };
        let (mut whole, mut values) = (Vec::new(), vec![0.0; features]);
        let mut masks = rows.mask.chunks_exact_mut(features);
        for (&position, x) in positions.iter().zip(rows.x.chunks_exact_mut(features)) {
            let ids = self.ids(split);
            let &id = ids.get(position).ok_or(DataError::Position { split, position, rows: ids.len() })?;
            self.read(id, &mut whole, &mut values)?;
            self.preparation.prepare(&values, x, masks.next().unwrap_or_default(), id, split, epoch);
            let source = self.source(id);
            let label = source.label(id);
            condition::append(&self.facts.condition, source.told(id), &mut rows.condition);
            if self.is_weighted {
                rows.weight.push(source.weight(id));
            }
            rows.ids.push(id);
            if split != Split::Train {
                rows.content.extend(self.preparation.content(&values));
            }
            rows.labels.extend(label);
        }
        // A split may draw on data with labels and on data without: then there are none.
        if rows.labels.len() != rows.ids.len() {
            rows.labels.clear();
        }
        Ok(rows)
    }

    /// The values of x of the rows at these positions of a split, in the user's units, NaN where cells are empty.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub fn values(&self, split: Split, positions: &[usize]) -> Result<Vec<f64>, DataError> {
        let features = self.features();
        let (mut whole, mut all) = (Vec::new(), vec![0.0; positions.len() * features]);
        let ids = self.ids(split);
        for (&position, values) in positions.iter().zip(all.chunks_exact_mut(features.max(1))) {
            let &id = ids.get(position).ok_or(DataError::Position { split, position, rows: ids.len() })?;
            self.read(id, &mut whole, values)?;
        }
        Ok(all)
    }

    /// The name of the column of identifiers of a mixed table, and those of a split's rows.
    pub fn identifiers(&self, split: Split) -> Option<(String, Vec<String>)> {
        let ids = self.ids(split);
        let (name, _) = self.source(*ids.first()?).rows.identifiers()?;
        let of = |id: &u64| {
            let source = self.source(*id);
            source.rows.identifiers()?.1.get((id - source.first) as usize).cloned()
        };
        Some((name.to_string(), ids.iter().map(of).collect::<Option<_>>()?))
    }

    /// The well-known test set that the test split is (at least half of), if it is one. A model whose
    /// training facts list it under [`overlaps`](Facts::overlaps) must not be judged on it.
    pub fn test_is_known(&self) -> Option<&'static str> {
        (self.audit.fashion[1] >= 5000).then_some(known::FASHION_TEST)
    }

    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    fn source(&self, id: u64) -> &Source {
        source_of(&self.sources, id)
    }

    fn label(&self, id: u64) -> Option<u32> {
        self.source(id).label(id)
    }

    /// Reads the values of x of a row; `whole` is room for those that are read with them.
    pub(super) fn read(&self, id: u64, whole: &mut Vec<f64>, values: &mut [f64]) -> Result<(), DataError> {
        let source = self.source(id);
        let Some(kept) = &self.kept else { return source.rows.read(id - source.first, values) };
        whole.resize(source.rows.shape().features(), 0.0);
        source.rows.read(id - source.first, whole)?;
        values.iter_mut().zip(kept).for_each(|(value, &at)| *value = whole[at]);
        Ok(())
    }
}

impl Source {
    pub(super) fn label(&self, id: u64) -> Option<u32> {
        let labels = self.labels.as_ref()?;
        Some(labels[(id - self.first) as usize]).filter(|label| *label != Labels::UNKNOWN)
    }

    fn told(&self, id: u64) -> impl Iterator<Item = f32> {
        self.told.iter().map(move |values| values[(id - self.first) as usize])
    }

    pub(super) fn weight(&self, id: u64) -> f32 {
        self.rows.weight().map_or(1.0, |weight| weight[(id - self.first) as usize])
    }
}

/// The source that holds the row `id`.
pub(super) fn source_of(sources: &[Source], id: u64) -> &Source {
    let after = sources.partition_point(|source| source.first <= id);
    &sources[after.saturating_sub(1)]
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Data").field("facts", &self.facts).finish_non_exhaustive()
    }
}

//! Subsets for costly estimators: rows in an order whose every beginning holds the classes in their shares, and as many of
//! them as the time allows.

use std::time::Instant;

use crate::batch::Batch;
use crate::data::{Data, Split};
use crate::error::Result;
use crate::key::Key;
use crate::model::Model;
use crate::model::ModelError;

/// The positions of a split in a keyed order. With labels, row j of a class of m stands at (j + u)/m of the way, u keyed by
/// class, so that each beginning of the order is stratified.
pub(crate) fn stratified(data: &Data, split: Split, key: Key) -> Vec<usize> {
    let order = key.fold("subset").permutation(data.len(split));
    let labels = data.labels(split);
    if labels.len() != order.len() {
        return order;
    }
    let mut sizes = std::collections::BTreeMap::new();
    labels.iter().for_each(|&label| *sizes.entry(label).or_insert(0usize) += 1);
    let mut placed: std::collections::BTreeMap<u32, usize> = std::collections::BTreeMap::new();
    let mut ranked: Vec<(f64, usize)> = order
        .into_iter()
        .map(|position| {
            let label = labels[position];
            let place = placed.entry(label).or_default();
            let mut offset = [0.0];
            key.fold("stratum").fold(u64::from(label)).uniforms(&mut offset);
            let rank = (*place as f64 + f64::from(offset[0])) / sizes[&label] as f64;
            *place += 1;
            (rank, position)
        })
        .collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    ranked.into_iter().map(|(_, position)| position).collect()
}

/// Rows in memory at once.
const PART: usize = 32;

/// Passes rows at these positions through `each`, a part at a time; tells `done` the share that is.
pub(crate) fn for_batches(
    model: &Model,
    (data, split): (&Data, Split),
    positions: &[usize],
    done: &dyn Fn(f64),
    mut each: impl FnMut(&Batch) -> Result<()>,
) -> Result<()> {
    for (part, positions_of_part) in positions.chunks(PART).enumerate() {
        each(&read(model, (data, split), positions_of_part)?)?;
        done(((part + 1) * PART).min(positions.len()) as f64 / positions.len() as f64);
    }
    Ok(())
}

/// The rows at these positions, on the model's device.
///
/// # Errors
/// [`ModelError::Foreign`] if they are no rows of the model's; what reading says.
pub(crate) fn read(model: &Model, (data, split): (&Data, Split), positions: &[usize]) -> Result<Batch> {
    let (ours, theirs) = (model.functions.sample, data.facts().shape);
    if ours != theirs {
        return Err(ModelError::Foreign {
            what: format!("a row of {} is {theirs}, and the model's rows are {ours}", data.facts().source),
            remedy: "open the data with `Model::open`, which fits it to the model".into(),
        }
        .into());
    }
    Ok(Batch::new(data.rows(split, positions, 0)?, ours.features(), model.weights.device()))
}

/// How long a call takes, in seconds: the second of two, since the first warms up.
pub(crate) fn seconds_of(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    call()?;
    let start = Instant::now();
    call()?;
    Ok(start.elapsed().as_secs_f64().max(1e-6))
}

/// How many rows fit into `seconds` (all where there is no limit), at least `least` and at most `most`, of `rows` there are.
pub(crate) fn rows_within(
    seconds: Option<f64>,
    per_row: f64,
    [least, most]: [usize; 2],
    rows: usize,
) -> usize {
    match seconds {
        None => rows,
        Some(seconds) => ((seconds / per_row) as usize).clamp(least, most).min(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Layers;

    #[test]
    fn each_beginning_holds_the_classes_in_their_shares() {
        let mut layers = Layers::default();
        layers.set("data.source=embedded").unwrap();
        let data = Data::open(&layers.data().unwrap(), Key::from_seed(1), &mut |_| {}).unwrap();
        let order = stratified(&data, Split::Train, Key::from_seed(2));
        let labels = data.labels(Split::Train);
        for n in [10, 50, 200, 3000] {
            for class in 0..10 {
                let found = order[..n].iter().filter(|&&position| labels[position] == class).count() as f64;
                let share =
                    labels.iter().filter(|&&label| label == class).count() as f64 / labels.len() as f64;
                assert!((found - share * n as f64).abs() < 2.0, "class {class} of {n}: {found}");
            }
        }
        assert_ne!(order, stratified(&data, Split::Train, Key::from_seed(3)));
        let mut all = order;
        all.sort_unstable();
        assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
    }

    #[test]
    fn rows_are_as_many_as_the_time_allows() {
        assert_eq!(rows_within(None, 1.0, [8, 100], 5000), 5000);
        assert_eq!(rows_within(Some(50.0), 1.0, [8, 100], 5000), 50);
        assert_eq!(rows_within(Some(5000.0), 1.0, [8, 100], 5000), 100);
        assert_eq!(rows_within(Some(1.0), 1.0, [8, 100], 5000), 8);
        assert_eq!(rows_within(Some(1.0), 1.0, [8, 100], 3), 3);
    }
}

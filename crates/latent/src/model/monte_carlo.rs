//! How likely is x? Plain Monte Carlo from the prior:
//!
//! P(x) = E_{z ~ p(z)} p(x|z) ≈ 1/k Σ_d p(x|z_d),  z_d ~ p(z)
//!
//! Unbiased, and hopeless in more than a few dimensions: the codes that explain x hold a share of the prior of about
//! e^−rate, so that it takes some e^rate draws until one of them is hit. Until then the estimate is far too low.
//! Importance sampling ([`score`](super::score())) draws where q(z|x) says the codes are.

use super::score::{PART_ROWS, Weighed};
use super::{Score, View};
use crate::batch::{Batch, Given, Noise};
use crate::device::host_f64;
use crate::key::Key;

/// log P(x) of each row by `k` draws from the prior, which all rows of one condition share; needs no encoder. A part of the
/// draws at a time, so that memory stays flat. The first draws of a longer series are those of a shorter one.
pub fn plain_monte_carlo(view: &View<'_>, batch: &Batch, k: usize, key: Key) -> Vec<Score> {
    let mut sums = vec![Weighed::default(); batch.len()];
    for rows in batch.by_condition() {
        let part = batch.select(&rows);
        let mut own = vec![Weighed::default(); rows.len()];
        of_one_condition(view, &part, k, key, &mut own);
        rows.into_iter().zip(own).for_each(|(row, sum)| sums[row] = sum);
    }
    sums.iter().map(Weighed::score).collect()
}

fn of_one_condition(view: &View<'_>, batch: &Batch, k: usize, key: Key, sums: &mut [Weighed]) {
    let n = batch.len();
    let shared = batch.condition.as_ref().map(|condition| condition.clone().narrow(0, 0, 1));
    let given = Given { ids: &[], condition: shared.as_ref() };
    let prior = view.prior(given);
    let part = (PART_ROWS / n.max(1)).clamp(1, k.max(1));
    let mut first = 0;
    while first < k {
        // Codes are drawn and decoded once for all rows, in larger parts than they are compared in.
        let count = PART_ROWS.min(k - first);
        let ids: Vec<u64> = (first..first + count).map(|draw| draw as u64).collect();
        let outputs = view.decode(&prior.draw(1, Noise::new(key, &ids)).z, given);
        let width = outputs.dims()[1];
        for start in (0..count).step_by(part) {
            let draws = part.min(count - start);
            // Code c against row i stands at c·n + i.
            let outputs = outputs.clone().narrow(0, start, draws).reshape([draws, 1, width]);
            let outputs = outputs.expand([draws, n, width]);
            let outputs = outputs.reshape([draws * n, width]);
            let log_p = view.model.likelihood.log_density(view, outputs, batch);
            for (index, log_p) in host_f64(&log_p).into_iter().enumerate() {
                sums[index % n].add(log_p);
            }
        }
        first += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Data, Split};
    use crate::device::Device;
    use crate::generate::first_rows;
    use crate::member::Registry;
    use crate::model::log_density_by_enumeration;
    use crate::run::{Layers, resolve};

    #[test]
    fn plain_monte_carlo_agrees_with_enumeration() {
        let mut layers = Layers::default();
        for setting in [
            "data.source=embedded",
            "data.limit=100",
            "data.binarize=threshold",
            "network={kind=\"mlp\", hidden=[16]}",
            "posterior={kind=\"bits\", latent=3}",
            "prior.kind=bits",
        ] {
            layers.set(setting).unwrap();
        }
        let data = Data::open(&layers.data().unwrap(), Key::from_seed(1), &mut |_| {}).unwrap();
        let registry = Registry::default();
        let (checked, _) = resolve(&layers, data.facts(), &registry).unwrap();
        let (model, weights) = checked.build(&Device::cpu().double()).unwrap();
        let view = View::evaluation(&model, &weights);
        let batch = Batch::new(first_rows(&data, Split::Train, 3).unwrap(), 784, weights.device());
        let exact = host_f64(&log_density_by_enumeration(&view, &batch).unwrap());
        let key = Key::from_seed(2);
        let found = plain_monte_carlo(&view, &batch, 5000, key);
        for (exact, found) in exact.iter().zip(&found) {
            let off = (found.log_p_lower - exact).abs();
            assert!(found.standard_error < 0.1 && off < 4.0 * found.standard_error, "{exact} {found:?}");
        }
        // One draw is the likelihood of one code, and parts of the draws are no other draws.
        let short = plain_monte_carlo(&view, &batch, 1, key);
        assert!(short.iter().all(|score| score.effective_samples == 1.0 && score.log_p_lower < 0.0));
        assert_eq!(plain_monte_carlo(&view, &batch, 5000, key), found);
    }
}

//! How codes are drawn: at which temperature, how far out, of which class, how closely they follow what rows are told.
//!
//! The temperature τ multiplies the standard deviation of every normal that noise enters by (Kingma & Dhariwal,
//! arXiv 1807.03039); for bits it divides log-odds. Truncation at t draws each normal number again until it lies in
//! [−t, t] (Brock et al., arXiv 1809.11096). Both trade variety for typical samples: what is drawn is then no longer p̂(z).
//! Guidance w moves codes from p̂(z) beyond p̂(z|c), as samplers that learned both can: p̂(z|c)^w / p̂(z)^{w − 1} in spirit (Ho &
//! Salimans, arXiv 2207.12598).

use rand_distr::{Distribution, StandardNormal};

use super::SamplerError;
use crate::batch::Noise;

/// What is asked of a draw; by default the distribution as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct How {
    /// τ, 1 for the distribution as it is.
    pub temperature: f64,
    /// The greatest standard normal number that enters.
    pub truncation: Option<f64>,
    /// The number of the class that codes shall be of.
    pub class: Option<usize>,
    /// w, 1 for codes as rows that are told the same have them; 0 passes over what rows are told.
    pub guidance: f64,
}

impl Default for How {
    fn default() -> Self {
        Self { temperature: 1.0, truncation: None, class: None, guidance: 1.0 }
    }
}

/// Truncation closer to 0 than this would be drawn again too often.
const LEAST_TRUNCATION: f64 = 0.01;

/// More than this throws codes far from where any are.
const MOST_GUIDANCE: f64 = 20.0;

impl How {
    /// Refuses numbers that make no sense.
    ///
    /// # Errors
    /// [`SamplerError::Request`] for a temperature that is not positive, a truncation too close to 0, and a guidance that is
    /// negative or has no end.
    pub fn check(&self) -> Result<(), SamplerError> {
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(SamplerError::Request {
                what: format!("{} is not a temperature", self.temperature),
                remedy: "give a positive number: 1 draws the distribution as it is, 0.7 more typical codes"
                    .into(),
            });
        }
        if let Some(truncation) = self.truncation
            && !(truncation.is_finite() && truncation >= LEAST_TRUNCATION)
        {
            return Err(SamplerError::Request {
                what: format!("normal numbers cannot be cut off at {truncation}"),
                remedy: format!("give {LEAST_TRUNCATION} or more; 2 leaves 95 % of them as they are"),
            });
        }
        if !(0.0..=MOST_GUIDANCE).contains(&self.guidance) {
            return Err(SamplerError::Request {
                what: format!("samples cannot be guided by {}", self.guidance),
                remedy: format!(
                    "give 0 to {MOST_GUIDANCE}: 1 draws what rows of the class look like, 2 what tells them from others"
                ),
            });
        }
        Ok(())
    }

    /// Whether the distribution is drawn as it is.
    pub fn is_plain(&self) -> bool {
        self.temperature == 1.0 && self.truncation.is_none()
    }

    /// Refuses truncation where no normal number enters.
    ///
    /// # Errors
    /// [`SamplerError::Request`] where truncation is asked for.
    pub fn without_truncation(&self, sampler: &str) -> Result<(), SamplerError> {
        match self.truncation {
            None => Ok(()),
            Some(_) => Err(SamplerError::Request {
                what: format!("{sampler} draws no normal numbers that could be cut off"),
                remedy: "leave truncation out, or lower the temperature".into(),
            }),
        }
    }

    /// `rows × dims` normal numbers, cut off and scaled as asked.
    pub fn normals(&self, noise: Noise<'_>, dims: usize) -> Vec<f32> {
        let mut values = vec![0.0; noise.ids.len() * dims];
        for (&id, row) in noise.ids.iter().zip(values.chunks_mut(dims.max(1))) {
            let key = noise.key.fold(id).fold(noise.first);
            key.normals(row);
            if let Some(most) = self.truncation {
                let mut again = key.fold("again").generator();
                for value in row.iter_mut() {
                    while f64::from(value.abs()) > most {
                        *value = StandardNormal.sample(&mut again);
                    }
                }
            }
            if self.temperature != 1.0 {
                row.iter_mut().for_each(|v| *v *= self.temperature as f32);
            }
        }
        values
    }
}

/// `rows × dims` uniform numbers in (0, 1).
pub(super) fn uniforms(noise: Noise<'_>, dims: usize) -> Vec<f32> {
    let mut values = vec![0.0; noise.ids.len() * dims];
    for (&id, row) in noise.ids.iter().zip(values.chunks_mut(dims.max(1))) {
        noise.key.fold(id).fold(noise.first).uniforms(row);
    }
    values
}

/// One of `weights` (which sum to 1) for each row, by inverting their cumulative sum.
pub(super) fn choices(noise: Noise<'_>, weights: &[f64]) -> Vec<usize> {
    let pick = |u: f32| {
        let mut below = 0.0;
        let reached = |w: &f64| {
            below += w;
            f64::from(u) < below
        };
        weights.iter().position(reached).unwrap_or(weights.len().saturating_sub(1))
    };
    uniforms(Noise { key: noise.key.fold("component"), ..noise }, 1).into_iter().map(pick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[test]
    fn a_cut_normal_stays_within_and_has_the_variance_of_the_truncated_law() {
        let ids: Vec<u64> = (0..40_000).collect();
        let how = How { truncation: Some(1.0), ..How::default() };
        let values = how.normals(Noise::new(Key::from_seed(3), &ids), 2);
        assert!(values.iter().all(|v| v.abs() <= 1.0));
        let variance = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64;
        // 1 − 2 φ(1) / (2 Φ(1) − 1)
        let expected = 1.0 - 2.0 * 0.241_970_724_519_143_4 / 0.682_689_492_137_085_9;
        assert!((variance - expected).abs() < 0.005, "{variance} {expected}");
        let cool = How { temperature: 0.5, ..How::default() }.normals(Noise::new(Key::from_seed(3), &ids), 2);
        let plain = How::default().normals(Noise::new(Key::from_seed(3), &ids), 2);
        assert!(cool.iter().zip(&plain).all(|(a, b)| (a - 0.5 * b).abs() < 1e-7));
    }

    #[test]
    fn nonsense_is_refused_with_a_remedy() {
        for how in [
            How { temperature: 0.0, ..How::default() },
            How { temperature: f64::NAN, ..How::default() },
            How { truncation: Some(0.0), ..How::default() },
            How { truncation: Some(f64::INFINITY), ..How::default() },
            How { guidance: -1.0, ..How::default() },
            How { guidance: f64::NAN, ..How::default() },
        ] {
            assert!(how.check().is_err_and(|error| error.to_string().contains("; give ")), "{how:?}");
        }
    }

    #[test]
    fn choices_follow_their_weights() {
        let ids: Vec<u64> = (0..20_000).collect();
        let chosen = choices(Noise::new(Key::from_seed(5), &ids), &[0.2, 0.0, 0.8]);
        let share = chosen.iter().filter(|&&c| c == 0).count() as f64 / 20_000.0;
        assert!((share - 0.2).abs() < 5.0 * (0.16f64 / 20_000.0).sqrt(), "{share}");
        assert!(!chosen.contains(&1));
    }
}

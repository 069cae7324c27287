//! A number from chance, and how sure it is: the word that every room which measures shares.

use serde::{Deserialize, Deserializer, Serialize};

/// A mean over rows and its standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// sd / √n
    pub error: f64,
}

impl Mean {
    /// The mean of these numbers.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len().max(1) as f64;
        let value = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - value).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        Self { value, error: (variance / n).sqrt() }
    }
}

/// A number with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// The lower end of the interval.
    #[serde(deserialize_with = "number")]
    pub low: f64,
    /// The upper end of the interval.
    #[serde(deserialize_with = "number")]
    pub high: f64,
}

/// JSON has no NaN: it is null there.
fn number<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(source)?.unwrap_or(f64::NAN))
}

/// 97.5 % of a standard normal lie below this.
pub const Z_95: f64 = 1.959_963_984_540_054;

impl Estimate {
    /// A number that holds no chance: a count, a closed form.
    pub fn exact(value: f64) -> Self {
        Self { value, low: value, high: value }
    }

    /// value ± 1.96 standard errors.
    pub fn normal(value: f64, error: f64) -> Self {
        Self { value, low: value - Z_95 * error, high: value + Z_95 * error }
    }

    /// With ends no further than what the number can be: a value that is surely in there loses nothing.
    #[must_use]
    pub fn within(self, least: f64, most: f64) -> Self {
        Self { low: self.low.max(least), high: self.high.min(most), ..self }
    }

    /// The mean of independent rows, ± 1.96 sd/√n.
    pub fn mean(values: &[f64]) -> Self {
        let mean = Mean::of(values);
        Self::normal(mean.value, mean.error)
    }

    /// The estimate from all rows, and from all but one of several equal blocks of them (the delete-a-group jackknife):
    /// error² = (g − 1)/g Σ (θ_i − θ̄)². Unlike a bootstrap it repeats no row, which distances between sets would mistake
    /// for likeness (Shao & Wu, *Annals of Statistics* 17, 1989).
    pub fn jackknife(value: f64, without_group: &[f64]) -> Self {
        let g = without_group.len() as f64;
        let mean = without_group.iter().sum::<f64>() / g;
        let squares: f64 = without_group.iter().map(|v| (v - mean).powi(2)).sum();
        Self::normal(value, ((g - 1.0) / g * squares).sqrt())
    }
}

impl std::fmt::Display for Estimate {
    /// `−223.4 [−225.0, −221.9]`, with as many decimals as the interval's width gives a meaning to.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let half = (self.high - self.low) / 2.0;
        let whole = half == 0.0 && self.value.fract() == 0.0;
        let scale = if half > 0.0 && half.is_finite() { half } else { self.value.abs() * 1e-2 };
        // Two digits of the half width; at most six decimals.
        let decimals = match scale > 0.0 && !whole {
            true => (1.0 - scale.log10().floor()).clamp(0.0, 6.0) as usize,
            false => 0,
        };
        let number = |value: f64| format!("{value:.decimals$}").replace('-', "−");
        f.write_str(&number(self.value))?;
        if half != 0.0 {
            write!(f, " [{}, {}]", number(self.low), number(self.high))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_decimals_that_their_intervals_give_a_meaning_to() {
        let text = |value, low, high| Estimate { value, low, high }.to_string();
        assert_eq!(text(-223.4567, -225.02, -221.9), "−223.5 [−225.0, −221.9]");
        assert_eq!(text(0.123456, 0.1220, 0.1249), "0.1235 [0.1220, 0.1249]");
        assert_eq!(text(12345.6, 12000.0, 12700.0), "12346 [12000, 12700]");
        assert_eq!(text(0.5, 0.5, 0.5), "0.5000");
        assert_eq!(text(0.0, 0.0, 0.0), "0");
        assert_eq!(text(17.0, 17.0, 17.0), "17");
    }
}

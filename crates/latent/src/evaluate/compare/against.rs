//! Claims against one method, from few training seeds: is each other method better or worse than it?
//!
//! t = (a − b) / (s √(1/n_a + 1/n_b)),   s² = Σ_i (n_i − 1) s_i² / Σ_i (n_i − 1)
//!
//! Three seeds hardly tell a method's own variance, and the pairs of ten methods are forty-five questions. So the variance
//! over seeds is pooled over all methods (which takes it to be about the same for all; two degrees of freedom become twenty),
//! and each method is held against the named one alone, with Holm's correction over these.

use super::{Better, Cell, Comparison, Found, compared, holm, seeds, student_quantile, student_tail};
use crate::evaluate::{Estimate, Mean, Section};

/// Methods × measures over seeds, each method held against `reference`; none where no run is of that method.
pub fn compare_against(runs: &[(String, Vec<Section>)], reference: &str) -> Option<Comparison> {
    let methods = seeds::methods(runs.iter().map(|(name, _)| name.as_str()));
    let against = methods.iter().position(|(name, _)| *name == reference)?;
    let names = methods.iter().map(|(name, _)| (*name).to_string()).collect();
    let test = format!(
        "against {reference}: t over training seeds with their variance pooled over methods, Holm-corrected"
    );
    let values = |found: &[Option<Found<'_>>]| -> Vec<Vec<f64>> {
        let of = |members: &[usize]| {
            members.iter().filter_map(|&run| found[run].map(|f| f.measure.estimate.value)).collect()
        };
        methods.iter().map(|(_, members)| of(members)).collect()
    };
    let of_row = |found: &[Option<Found<'_>>], better: Better, ranks: bool| {
        let cells = cells(&values(found), against, better);
        let unranked = |cell: Cell| Cell { p: None, differs: None, ..cell };
        cells.into_iter().map(|cell| if ranks { cell } else { cell.map(unranked) }).collect()
    };
    Some(Comparison { against: Some(reference.into()), ..compared(runs, names, &test, &of_row) })
}

/// The mean of each method's values over its seeds, with the interval that the pooled variance gives.
fn cells(values: &[Vec<f64>], against: usize, better: Better) -> Vec<Option<Cell>> {
    let means: Vec<Mean> = values.iter().map(|values| Mean::of(values)).collect();
    let freedom: f64 = values.iter().map(|v| (v.len() as f64 - 1.0).max(0.0)).sum();
    // n times the squared error of the mean is s_i².
    let squares = values.iter().zip(&means).filter(|(v, _)| v.len() > 1);
    let sum: f64 = squares.map(|(v, m)| (v.len() as f64 - 1.0) * v.len() as f64 * m.error.powi(2)).sum();
    let pooled = if freedom > 0.0 { (sum / freedom).sqrt() } else { f64::NAN };
    let half = student_quantile(0.05, freedom.max(1.0));
    let error = |n: usize| pooled / (n as f64).sqrt();
    let p = |i: usize| {
        let (a, b) = (values[i].len(), values[against].len());
        let t = (means[i].value - means[against].value) / error(a).hypot(error(b));
        (i != against && a > 0 && b > 0 && pooled > 0.0 && t.is_finite()).then(|| student_tail(t, freedom))
    };
    let asked: Vec<(usize, f64)> = (0..values.len()).filter_map(|i| Some((i, p(i)?))).collect();
    let corrected = holm(&asked.iter().map(|(_, p)| *p).collect::<Vec<_>>());
    let found = |i: usize| asked.iter().position(|(at, _)| *at == i).map(|at| corrected[at]);
    let cell = |i: usize| {
        let (n, value) = (values[i].len(), means[i].value);
        let reach = if pooled > 0.0 { half * error(n) } else { 0.0 };
        let estimate = Estimate { value, low: value - reach, high: value + reach };
        let less = value < means[against].value;
        let differs = found(i).filter(|p| *p < super::LEVEL).map(|_| less == (better == Better::Lower));
        (n > 0).then(|| Cell { estimate, n, best: false, p: found(i), differs })
    };
    (0..values.len()).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: s² = (2·1 + 2·4 + 2·1)/6 = 2, six degrees of freedom; a difference of 4 has t = 4/(√2 √(2/3)) = 3.4641 and
    /// p = 0.0134, one of 1 has t = 0.8660 and p = 0.4198; Holm doubles the first.
    #[test]
    fn the_test_is_as_by_hand() {
        let values = [vec![1.0, 2.0, 3.0], vec![4.0, 6.0, 8.0], vec![2.0, 3.0, 4.0], vec![]];
        let found = cells(&values, 0, Better::Higher);
        let p = |i: usize| found[i].unwrap().p;
        assert!((p(1).unwrap() - 2.0 * 0.013_386).abs() < 1e-4 && (p(2).unwrap() - 0.419_753).abs() < 1e-4);
        assert!(p(0).is_none() && found[3].is_none());
        assert_eq!([1, 2].map(|i| found[i].unwrap().differs), [Some(true), None]);
        assert_eq!(cells(&values, 0, Better::Lower)[1].unwrap().differs, Some(false));
        // t(0.975, 6) = 2.44691; √2/√3 = 0.81650.
        let e = found[1].unwrap().estimate;
        assert!((e.high - 6.0 - 2.446_912 * 0.816_497).abs() < 1e-4 && e.value == 6.0, "{e:?}");
        // One seed each: nothing is known of seeds.
        let single = cells(&[vec![1.0], vec![2.0]], 0, Better::Higher);
        assert!(single[1].unwrap().p.is_none() && single[1].unwrap().estimate == Estimate::exact(2.0));
    }

    /// Student's own variance of three seeds would claim nothing of a difference that the pooled one shows.
    #[test]
    fn methods_are_held_against_the_named_one_alone() {
        use crate::evaluate::Measure;
        let run = |name: &str, seed: usize, value: f64| {
            let measure =
                Measure::new("elbo", "elbo", "nats", Estimate::normal(value, 1.0), 9, Better::Higher);
            let mut section = Section::new("likelihood", "How likely?");
            section.add(measure);
            (format!("{name}-seed{seed}"), vec![section])
        };
        let of = |name: &'static str, mean: f64| (1..4).map(move |seed| run(name, seed, mean + seed as f64));
        let runs: Vec<_> = of("vae", -90.0).chain(of("other", -80.0)).chain(of("close", -89.5)).collect();
        let found = compare_against(&runs, "vae").unwrap();
        assert_eq!(found.runs, ["vae", "other", "close"]);
        assert_eq!(
            found.rows[0].cells.iter().map(|c| c.unwrap().differs).collect::<Vec<_>>(),
            [None, Some(true), None]
        );
        let text = found.text(false);
        assert!(text.contains("−78.0 ± 1.4+") && text.contains("against vae"), "{text}");
        assert!(found.csv().contains(",true\n") && compare_against(&runs, "nobody").is_none());
    }
}

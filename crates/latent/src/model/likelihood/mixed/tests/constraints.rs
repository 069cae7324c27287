//! Rows that obey have all the probability, and are drawn by it.

use super::*;

/// A table of few values with an order, a map and a sum, gaps in all that they decide; and x of each row that obeys.
struct Bound {
    model: LatentModel,
    weights: Weights,
    table: Arc<Table>,
    /// Values, NaN for a gap: sum, low, high, word, group, part.
    rows: Vec<[f64; 6]>,
    p: Vec<f64>,
}

impl Bound {
    fn new() -> Self {
        let nan = f64::NAN;
        let mut rows = Vec::new();
        for (low, word) in [1.0, 2.0, 3.0].into_iter().flat_map(|low| [0, 1, 2].map(|word| (low, word))) {
            for high in [1.0, 2.0, 3.0, nan].into_iter().filter(|high| high.is_nan() || *high >= low) {
                for group in [f64::from(word / 2), nan] {
                    for part in [0.0, 1.0, 2.0, nan] {
                        let sums = if part.is_nan() {
                            vec![1.0, 2.0, 3.0, 4.0, 5.0, nan]
                        } else {
                            vec![low + part, nan]
                        };
                        rows.extend(
                            sums.into_iter().map(|sum| [sum, low, high, f64::from(word), group, part]),
                        );
                    }
                }
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let number = |value: f64| if value.is_nan() { String::new() } else { format!("{value}") };
        let word = |value: f64, words: [&str; 3]| {
            if value.is_nan() { "" } else { words[value as usize] }.to_string()
        };
        let line = |row: &[f64; 6]| {
            let words = [word(row[3], ["x", "y", "z"]), word(row[4], ["p", "q", ""])];
            format!(
                "{},{},{},{},{},{}",
                number(row[0]),
                number(row[1]),
                number(row[2]),
                words[0],
                words[1],
                number(row[5])
            )
        };
        let lines: Vec<String> = rows.iter().map(line).collect();
        std::fs::write(&path, format!("sum,low,high,word,group,part\n{}\n", lines.join("\n"))).unwrap();
        let constraints = ["low <= high", "word -> group", "sum = low + part", "part in 0..2"];
        let (model, weights, table) = built_with(&path, &constraints);
        // The places of words in their lists.
        for row in &mut rows {
            for (at, words) in [(3, ["x", "y", "z"]), (4, ["p", "q", ""])] {
                if !row[at].is_nan() {
                    row[at] = table.columns[at].value(words[row[at] as usize]).unwrap();
                }
            }
        }
        let view = View::evaluation(&model, &weights);
        let x = Self::x(&table, &rows);
        let outputs = outputs(rows.len());
        let p = host_f64(&model.likelihood.log_density(&view, outputs, &batch(&x, 6)));
        let p = p.into_iter().map(f64::exp).collect();
        Self { model, weights, table, rows, p }
    }

    fn x(table: &Table, rows: &[[f64; 6]]) -> Vec<f32> {
        let mut x = vec![0.0; 6 * rows.len()];
        table.x_from_value(&rows.concat(), &mut x);
        x
    }

    /// The row of all that these x are, before anything is settled.
    fn place(&self, x: &[f32]) -> Option<usize> {
        let scales = self.table.modelled().filter_map(|column| column.scale.as_ref());
        let value = |(x, scale): (&f32, &Scale)| if *x < 0.0 { f64::NAN } else { scale.value_from_x(*x) };
        let values: Vec<f64> = x.iter().zip(scales).map(value).collect();
        let is_same =
            |row: &[f64; 6]| row.iter().zip(&values).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
        self.rows.iter().position(is_same)
    }
}

#[test]
fn rows_that_obey_have_all_the_probability_and_are_drawn_by_it() {
    let bound = Bound::new();
    let all: f64 = bound.p.iter().sum();
    assert!((all - 1.0).abs() < 1e-4, "{all}");
    let view = View::evaluation(&bound.model, &bound.weights);
    let n = 30_000;
    let ids: Vec<u64> = (0..n as u64).collect();
    let noise = Noise::new(Key::from_seed(4), &ids);
    let drawn = host(&bound.model.likelihood.draw(&view, outputs(n), noise));
    let mut counts = vec![0.0; bound.rows.len()];
    for x in drawn.chunks(6) {
        let row = bound.place(x).unwrap_or_else(|| panic!("{x:?} breaks a constraint"));
        counts[row] += 1.0;
    }
    for (row, (count, p)) in counts.iter().zip(&bound.p).enumerate() {
        let (expected, most) = (p * n as f64, 6.0 * (p * n as f64).sqrt() + 4.0);
        assert!((count - expected).abs() < most, "{:?}: {count} {expected}", bound.rows[row]);
    }
}

#[test]
fn conditions_weigh_by_the_share_of_rows_that_obey_and_meet_them() {
    let bound = Bound::new();
    let view = View::evaluation(&bound.model, &bound.weights);
    let n = 30_000;
    let ids: Vec<u64> = (0..n as u64).collect();
    let level = |at: usize, value: f64| bound.table.columns[at].scale.as_ref().unwrap().level_of(value);
    let only = |at: usize, values: &[f64], gap: bool| {
        let mut levels = vec![false; bound.table.columns[at].scale.as_ref().unwrap().levels()];
        values.iter().for_each(|value| levels[level(at, *value)] = true);
        Some(Allowed { levels, range: None, gap })
    };
    let q = bound.table.columns[4].value("q").unwrap();
    type Case = (Vec<(usize, Option<Allowed>)>, fn(&[f64; 6], f64) -> bool);
    let cases: [Case; 4] = [
        // A sum with a hole in it; what an order leaves; the words of a group; all at once.
        (vec![(0, only(0, &[2.0, 4.0], false))], |row, _| row[0] == 2.0 || row[0] == 4.0),
        (vec![(2, only(2, &[1.0, 2.0], false))], |row, _| row[2] == 1.0 || row[2] == 2.0),
        (vec![(4, only(4, &[q], true))], |row, q| row[4].is_nan() || row[4] == q),
        (
            vec![(0, only(0, &[3.0], false)), (2, only(2, &[2.0], false)), (4, only(4, &[q], false))],
            |row, q| row[0] == 3.0 && row[2] == 2.0 && row[4] == q,
        ),
    ];
    for (case, (asked, meets)) in cases.into_iter().enumerate() {
        let mut evidence = Evidence::nothing(n, 6);
        evidence.weigh = true;
        // In the order of the file, in which probabilities are.
        evidence.allowed = vec![Some(Allowed::anything()); 6];
        asked.into_iter().for_each(|(at, allowed)| evidence.allowed[at] = allowed);
        let noise = Noise::new(Key::from_seed(5).fold(case as u64), &ids);
        let found = bound.model.likelihood.complete(&view, outputs(n), &evidence, noise).unwrap();
        let weights: Vec<f64> = found.log_weight.iter().map(|weight| weight.exp()).collect();
        let share: f64 =
            bound.rows.iter().zip(&bound.p).filter(|(row, _)| meets(row, q)).map(|(_, p)| p).sum();
        let mean = weights.iter().sum::<f64>() / n as f64;
        let spread = weights.iter().map(|weight| (weight - mean).powi(2)).sum::<f64>() / n as f64;
        let error = (spread / n as f64).sqrt();
        assert!((mean - share).abs() < 5.0 * error + 1e-5, "{case}: {mean} {share} ± {error}");
        let mut weighed = vec![0.0; bound.rows.len()];
        for (x, weight) in found.x.chunks(6).zip(&weights).filter(|(_, weight)| **weight > 0.0) {
            let row = bound.place(x).unwrap_or_else(|| panic!("{case}: {x:?} breaks a constraint"));
            assert!(meets(&bound.rows[row], q), "{case}: {:?}", bound.rows[row]);
            weighed[row] += weight / (mean * n as f64);
        }
        for ((row, found), p) in bound.rows.iter().zip(weighed).zip(&bound.p) {
            let expected = if meets(row, q) { p / share } else { 0.0 };
            assert!((found - expected).abs() < 0.02, "{case}: {row:?} {found} {expected}");
        }
    }
}

#[test]
fn known_cells_bind_the_others() {
    let bound = Bound::new();
    let view = View::evaluation(&bound.model, &bound.weights);
    let n = 2000;
    let ids: Vec<u64> = (0..n as u64).collect();
    let mut u = vec![0.0; 7 * n];
    Key::from_seed(6).uniforms(&mut u);
    for no_gaps in [false, true] {
        // Rows with some cells hidden are completed to rows that obey, whichever are left.
        let has_gap = |row: &[f64; 6]| row.iter().any(|value| value.is_nan());
        let from: Vec<[f64; 6]> =
            bound.rows.iter().copied().filter(|row| !no_gaps || !has_gap(row)).collect();
        let mut x = Vec::new();
        for u in u.chunks_exact(7) {
            let at = ((u[6] * from.len() as f32) as usize).min(from.len() - 1);
            let own = Bound::x(&bound.table, &from[at..=at]);
            x.extend(own.into_iter().zip(u).map(|(x, u)| if *u < 0.5 || x < 0.0 { UNKNOWN } else { x }));
        }
        let evidence = Evidence { x: x.clone(), no_gaps, ..Evidence::nothing(n, 6) };
        let noise = Noise::new(Key::from_seed(7), &ids);
        let found = bound.model.likelihood.complete(&view, outputs(n), &evidence, noise).unwrap();
        for (found, given) in found.x.chunks(6).zip(x.chunks(6)) {
            assert!(found.iter().zip(given).all(|(found, given)| *given < 0.0 || found == given));
            assert!(!no_gaps || found.iter().all(|x| *x >= 0.0), "{found:?}");
            assert!(bound.place(found).is_some(), "{given:?} became {found:?}");
        }
    }
}

/// A sum of few values is no sum of its parts: the last part is the rest, and where no rest would obey it is empty.
#[test]
fn the_rest_of_a_sum_is_made_and_obeys() {
    let nan = f64::NAN;
    let some = [0.0, 1.0, 2.0, 3.0, 4.0];
    let (mut rows, mut seen) = (Vec::new(), Vec::new());
    for (top, used) in [2.0, 4.0, nan].into_iter().flat_map(|top| some.map(|used| (top, used))) {
        let rest = top - used;
        let free = match () {
            () if top.is_nan() => [&some[..], &[nan]].concat(),
            () if rest < 0.0 => vec![nan],
            () => vec![rest, nan],
        };
        for free in free {
            rows.push([top, used, free]);
            if top.is_nan() || rest >= 0.0 {
                seen.push([top, used, free]);
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let cell = |value: &f64| if value.is_nan() { String::new() } else { format!("{value}") };
    let line = |row: &[f64; 3]| row.iter().map(cell).collect::<Vec<_>>().join(",");
    let lines: Vec<String> = seen.iter().cycle().take(6 * seen.len()).map(line).collect();
    std::fs::write(&path, format!("top,used,free\n{}\n", lines.join("\n"))).unwrap();
    let (model, weights, table) = built_with(&path, &["top = used + free", "free in 0.."]);
    assert_eq!(table.constraints[0].rule.made(), Some((2, vec![(0, 1.0), (1, -1.0)])));
    let view = View::evaluation(&model, &weights);
    let mut x = vec![0.0; 3 * rows.len()];
    table.x_from_value(&rows.concat(), &mut x);
    let p = host_f64(&model.likelihood.log_density(&view, outputs(rows.len()), &batch(&x, 3)));
    let p: Vec<f64> = p.into_iter().map(f64::exp).collect();
    let all: f64 = p.iter().sum();
    assert!((all - 1.0).abs() < 1e-4, "{all}");
    let n = 20_000;
    let ids: Vec<u64> = (0..n as u64).collect();
    let drawn = host(&model.likelihood.draw(&view, outputs(n), Noise::new(Key::from_seed(4), &ids)));
    let mut counts = vec![0.0; rows.len()];
    for drawn in drawn.chunks(3) {
        let level = |x: f32| if x < 0.0 { GAP } else { x.floor() };
        let is_same = |known: &[f32]| known.iter().zip(drawn).all(|(a, b)| level(*a) == level(*b));
        let row = x.chunks(3).position(is_same).unwrap_or_else(|| panic!("{drawn:?} breaks a constraint"));
        counts[row] += 1.0;
    }
    for ((row, count), p) in rows.iter().zip(counts).zip(p) {
        let expected = p * n as f64;
        assert!((count - expected).abs() < 6.0 * expected.sqrt() + 4.0, "{row:?}: {count} {expected}");
    }
}

/// Within a level that both columns share, the lesser lies anywhere and the greater evenly above it.
#[test]
fn the_density_of_ordered_real_columns_integrates_to_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let mut u = vec![0.0; 2 * 700];
    Key::from_seed(8).uniforms(&mut u);
    let lines: Vec<String> = u
        .chunks_exact(2)
        .map(|u| (f64::from(u[0]).sqrt() * 10.0, f64::from(u[1])))
        .map(|(a, more)| format!("{a:.12},{:.12}", a + more * more * 4.0))
        .collect();
    std::fs::write(&path, format!("a,b\n{}\n", lines.join("\n"))).unwrap();
    let (model, weights, table) = {
        // All of it numbers: constraints make a mixed table of it.
        built_with(&path, &["a <= b"])
    };
    let view = View::evaluation(&model, &weights);
    let [a, b] = [0, 1].map(|at| table.columns[at].scale.clone().unwrap());
    // The inner integral, over b, is exact in each level; the outer one by the midpoint rule.
    let steps = 8;
    let (mut x, mut sizes) = (Vec::new(), Vec::new());
    for (level_a, step) in (0..a.levels()).flat_map(|level| (0..steps).map(move |step| (level, step))) {
        let fraction = (step as f64 + 0.5) / steps as f64;
        let value = a.low[level_a] + fraction * a.width(level_a);
        for level_b in (0..b.levels()).filter(|level| b.high[*level] > value) {
            let from = b.low[level_b].max(value);
            let at = (0.5 * (from + b.high[level_b]) - b.low[level_b]) / b.width(level_b);
            x.extend([(level_a as f64 + fraction) as f32, (level_b as f64 + at) as f32]);
            sizes.push(a.width(level_a) / steps as f64 * (b.high[level_b] - from));
        }
    }
    let p = host_f64(&model.likelihood.log_density(&view, outputs(sizes.len()), &batch(&x, 2)));
    let sum: f64 = p.iter().zip(&sizes).map(|(p, size)| p.exp() * size).sum();
    assert!((sum - 1.0).abs() < 0.02, "{sum}");
}

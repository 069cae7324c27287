//! Bits and categories that mean a class: the term against its formula on the host, whose labels it may see, what it refuses, and what a few labels do.

use std::collections::BTreeSet;

use latent::batch::Batch;
use latent::data::{Data, DataSettings, Examples, Facts, Memory, Split, UNKNOWN_CLASS, ValueKind};
use latent::device::{Device, host_f64, scalar};
use latent::member::Progress;
use latent::model::View;
use latent::objective::Pass;
use latent::{Key, Layers, Options, Training};

use crate::common::*;

const X: usize = 4;

fn classes(count: usize) -> Facts {
    Facts {
        classes: (0..count).map(|class| format!("class {class}")).collect(),
        ..facts(vector(X), ValueKind::Binary)
    }
}

/// A linear model of three bits with this label term.
fn made(term: &str, facts: &Facts) -> Result<Made, latent::config::ConfigError> {
    let text = format!(
        "likelihood.kind = 'bernoulli'\nposterior = {{ kind = 'bits', latent = 3 }}\nprior.kind = 'bits'\nnetwork.kind = 'linear'\n\
         objective.terms = {{ distortion = {{}}, rate = {{}}, label = {{ {term} }} }}"
    );
    try_make(&text, facts, &double())
}

/// Rows with these classes, and their logits under the model's linear encoder.
fn rows(made: &Made, labels: &[u32]) -> (Batch, Vec<f64>) {
    let n = labels.len();
    let x: Vec<f64> =
        uniforms(Key::from_seed(160), n * X).into_iter().map(|u| f64::from(u8::from(u < 0.5))).collect();
    let (w, b) = (made.get("encoder.0.weight"), made.get("encoder.0.bias"));
    let logit =
        |row: usize, bit: usize| b[bit] + (0..X).map(|j| x[row * X + j] * w[j * 3 + bit]).sum::<f64>();
    let logits = (0..n * 3).map(|at| logit(at / 3, at % 3)).collect();
    (Batch { labels: Some(labels.to_vec()), ..batch(x, X) }, logits)
}

fn values_of(made: &Made, view: View<'_>, rows: &Batch) -> Option<(Vec<f64>, Option<Vec<f64>>)> {
    let pass = Pass::new(view, rows, 2, Key::from_seed(161));
    let term = made.objective.terms.iter().find(|term| term.name == "label").unwrap();
    let value = term.term.value(&pass)?;
    Some((host_f64(&value.log), value.penalty.as_ref().map(host_f64)))
}

const LABELS: [u32; 6] = [0, 1, 2, UNKNOWN_CLASS, 2, 0];

/// The bit that is 1 in each class named.
const NAMED: [(usize, u32); 2] = [(2, 2), (0, 0)];

#[test]
fn the_term_is_the_cross_entropy_of_the_bits_that_have_a_name() {
    let made = made("classes = ['class 2', 0], bits = [3, 1]", &classes(3))
        .expect("a sound configuration")
        .randomised(Key::from_seed(162), 1.0);
    let (rows, logits) = rows(&made, &LABELS);
    let wanted: Vec<f64> = LABELS
        .iter()
        .enumerate()
        .map(|(row, label)| {
            // −ln q(y) = softplus of the logit that is against it.
            let bit = |&(bit, class): &(usize, u32)| {
                let logit = logits[row * 3 + bit];
                softplus(if *label == class { -logit } else { logit })
            };
            if *label == UNKNOWN_CLASS { 0.0 } else { NAMED.iter().map(bit).sum() }
        })
        .collect();
    let (log, penalty) = values_of(&made, made.training(), &rows).expect("a value");
    all_close(&log, &wanted, 1e-12);
    assert!(penalty.is_none());
    // Held-out rows are shown, the mean over those that have a label, and count nothing.
    let (log, penalty) = values_of(&made, made.view(), &rows).expect("a value");
    close(log.iter().sum::<f64>() / 6.0, wanted.iter().sum::<f64>() / 5.0, 1e-12);
    assert_eq!(penalty, Some(vec![0.0; 6]));
    assert!(values_of(&made, made.view(), &Batch { labels: None, ..rows }).is_none());
}

#[test]
fn its_gradient_is_that_of_the_cross_entropy() {
    let made = made("classes = ['class 2', 0], bits = [3, 1]", &classes(3))
        .expect("a sound configuration")
        .randomised(Key::from_seed(163), 1.0);
    let (rows, logits) = rows(&made, &LABELS);
    let tracked = made.weights.tracked(|_| true);
    let pass =
        Pass::new(View::training(&made.model, &tracked, Key::from_seed(0)), &rows, 1, Key::from_seed(0));
    let term = made.objective.terms.iter().find(|term| term.name == "label").unwrap();
    let mut gradients = term.term.value(&pass).expect("a value").log.sum().backward();
    let id = tracked.iter().find(|(_, weight)| weight.path() == "encoder.0.weight").unwrap().0;
    let found = host_f64(&tracked.gradient(id, &mut gradients).expect("a gradient"));
    let x = host_f64(&rows.x);
    // ∂/∂w = Σ x (q(1) − y); none for the bit without a name.
    let wanted = (0..X * 3).map(|at| {
        let (feature, bit) = (at / 3, at % 3);
        let Some((_, class)) = NAMED.iter().find(|(named, _)| *named == bit) else { return 0.0 };
        let known = LABELS.iter().enumerate().filter(|(_, label)| **label != UNKNOWN_CLASS);
        known
            .map(|(row, label)| {
                x[row * X + feature] * (sigmoid(logits[row * 3 + bit]) - f64::from(u8::from(label == class)))
            })
            .sum()
    });
    all_close(&found, &wanted.collect::<Vec<f64>>(), 1e-12);
}

/// Rows of three classes of unequal size in four dimensions, of which each fourth has no label.
fn data(seed: u64) -> Data {
    let n = 1000;
    let class = |row: usize| {
        if row % 10 < 5 {
            0
        } else if row % 10 < 8 {
            1
        } else {
            2
        }
    };
    let x: Vec<f32> = normals(Key::from_seed(164), n * X).into_iter().map(|v| v as f32).collect();
    let labels = (0..n).map(|row| if row % 4 == 3 { String::new() } else { format!("class {}", class(row)) });
    let memory = Memory::new(vector(X), x).labels(labels);
    let settings = DataSettings { seed: Some(seed), ..DataSettings::default() };
    Data::from_memory(memory, &settings, Key::from_seed(1), &mut |_| {}).expect("sound data")
}

/// The training rows that the label term sees, with their classes and what each counts: those whose value is not 0.
fn seen(labelled: f64, seed: u64, data_seed: u64) -> (Vec<(u64, u32)>, f64, usize) {
    let mut layers = Layers::default();
    let settings = format!(
        "posterior={{kind='bits',latent=3}}\nprior.kind='bits'\nnetwork.kind='linear'\nseed={seed}\ndata.seed={data_seed}\n\
         objective.terms={{distortion={{}},rate={{}},label={{labelled={labelled:?}}}}}"
    );
    settings.lines().for_each(|line| layers.set(line).unwrap());
    let training =
        Training::in_memory(&layers, data(data_seed), Options::default(), &mut |_| {}).expect("a run");
    let data = &training.data;
    let n = data.len(Split::Train);
    let rows = Examples::rows(data.as_ref(), Split::Train, &(0..n).collect::<Vec<_>>(), 3).unwrap();
    let batch = Batch::new(rows, X, &Device::cpu());
    let task = &training.task;
    let view = View::training(&task.model, &task.weights, Key::from_seed(0));
    let pass = Pass::new(view, &batch, 1, Key::from_seed(0));
    let term = task.objective.terms.iter().find(|term| term.name == "label").unwrap();
    let value = host_f64(&term.term.value(&pass).expect("a value").log);
    let labels = batch.labels.as_ref().expect("labels");
    let seen: Vec<(u64, u32)> =
        (0..n).filter(|&row| value[row] != 0.0).map(|row| (batch.ids[row], labels[row])).collect();
    // The mean over all rows is the mean over those that are seen.
    let q = host_f64(&pass.q.parameters()[0].1);
    let of = |row: usize| -> f64 {
        (0..3)
            .map(|bit| {
                let logit = q[row * 3 + bit];
                softplus(if labels[row] == bit as u32 { -logit } else { logit })
            })
            .sum()
    };
    let rows = (0..n).filter(|&row| seen.iter().any(|(id, _)| *id == batch.ids[row]));
    let mean = rows.map(of).sum::<f64>() / seen.len() as f64;
    close(value.iter().sum::<f64>() / n as f64, mean, 1e-5);
    let known = data.known_labels(Split::Train).iter().flatten().count();
    (seen, mean, known)
}

#[test]
fn a_share_of_each_class_is_seen_and_it_is_the_same_each_time() {
    let (all, _, known) = seen(1.0, 1, 7);
    assert_eq!(all.len(), known);
    assert!(known < 800 * 4 / 5, "{known}");
    assert!(all.iter().all(|(_, class)| *class != UNKNOWN_CLASS));
    let of = |rows: &[(u64, u32)], class: u32| rows.iter().filter(|(_, of)| *of == class).count();
    for labelled in [0.1, 60.0] {
        let (some, _, _) = seen(labelled, 1, 7);
        let share = if labelled > 1.0 { labelled / known as f64 } else { labelled };
        for class in 0..3 {
            let wanted = share * of(&all, class) as f64;
            assert!((of(&some, class) as f64 - wanted).abs() <= 1.0, "{class}: {wanted} {some:?}");
        }
        assert!((some.len() as f64 - share * known as f64).abs() <= 1.0);
        // Another seed of the run, and data that is opened again: the same rows; another seed of the data: others.
        assert_eq!(some, seen(labelled, 2, 7).0);
        let other: BTreeSet<u64> = seen(labelled, 1, 8).0.into_iter().map(|(id, _)| id).collect();
        assert!(some.iter().filter(|(id, _)| other.contains(id)).count() < some.len() / 2);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refusal = |term: &str, facts: &Facts| made(term, facts).err().expect("a refusal").to_string();
    let three = classes(3);
    for (term, facts, said) in [
        ("", classes(0), "the data has 0"),
        ("", classes(4), "classes 4, bits 3; set posterior.latent = 4"),
        ("classes = ['clas 1']", three.clone(), "did you mean \"class 1\""),
        ("classes = ['class 1', 1]", three.clone(), "named twice"),
        (
            "classes = ['class 1'], bits = [4]",
            three.clone(),
            "z4 is no bit of the code; the bits are 1, 2, 3",
        ),
        ("classes = ['class 1'], bits = [0]", three.clone(), "z0 is no bit"),
        ("bits = [1, 1, 2]", three.clone(), "z1 is named twice"),
        ("bits = [1, 2]", three.clone(), "classes 3, bits 2; name as many"),
        ("classes = ['class 1'], bits = [1, 2]", three.clone(), "classes 1, bits 2; name as many"),
        ("labelled = 0.0", three.clone(), "neither a share"),
        ("labelled = 2.5", three.clone(), "neither a share"),
    ] {
        let found = refusal(term, &facts);
        assert!(found.contains(said), "{term}: {found}");
    }
    let text = "posterior.kind = 'diagonal-normal'\nnetwork.kind = 'linear'\nobjective.terms.label = {}";
    let found = try_make(text, &three, &double()).err().expect("a refusal").to_string();
    assert!(found.contains("posterior.kind = \"bits\""), "{found}");
}

/// Rows whose largest split is not their class: x₁ is ±3 by chance, x₂ is ±1 by class. One bit.
fn agreement(label: &str) -> (f64, f64) {
    let n = 2000;
    let key = Key::from_seed(165);
    let chance = uniforms(key.fold("chance"), n);
    let noise = normals(key.fold("noise"), 2 * n);
    let class = |row: usize| row % 2;
    let side = |is: bool| if is { 1.0 } else { -1.0 };
    let x = (0..n).flat_map(|row| {
        let (a, b) = (3.0 * side(chance[row] < 0.5), side(class(row) == 1));
        [(a + 0.3 * noise[2 * row]) as f32, (b + 0.3 * noise[2 * row + 1]) as f32]
    });
    let memory = Memory::new(vector(2), x.collect::<Vec<f32>>()).labels((0..n).map(class));
    let mut layers = Layers::default();
    let settings = format!(
        "data.normalise='none'\nlikelihood={{kind='normal',scale='fixed',sigma=0.5}}\nposterior={{kind='bits',latent=1}}\nprior.kind='bits'\n\
         network={{kind='mlp',hidden=[16]}}\nobjective.terms={{distortion={{}},rate={{}}{label}}}\ntrain.batch=64\ntrain.epochs=20\ntrain.keep='last'\n\
         train.optimizer.learning_rate=3e-3"
    );
    settings.lines().for_each(|line| layers.set(line).unwrap());
    let data =
        Data::from_memory(memory, &layers.data().unwrap(), Key::from_seed(1), &mut |_| {}).expect("data");
    let mut training = Training::in_memory(&layers, data, Options::default(), &mut |_| {}).expect("a run");
    training.train(&Default::default(), &mut |_| {}).expect("trained");
    let data = training.data.clone();
    // The label of held-out rows is no part of their loss.
    let rows =
        data.rows(Split::Validation, &(0..data.len(Split::Validation)).collect::<Vec<_>>(), 0).unwrap();
    let batch = Batch::new(rows, 2, &Device::cpu());
    let task = &training.task;
    let terms = |labels: Option<Vec<u32>>| {
        let rows = Batch { labels, ..batch.clone() };
        let view = View::evaluation(&task.model, &task.weights);
        let pass = Pass::new(view, &rows, 1, Key::from_seed(2));
        scalar(&task.objective.loss(&pass, None::<Progress>).total)
    };
    assert_eq!(terms(batch.labels.clone()), terms(None));
    let rows = data.rows(Split::Test, &(0..data.len(Split::Test)).collect::<Vec<_>>(), 0).unwrap();
    let labels = rows.labels.clone();
    let model = training.into_model().expect("a model");
    let codes = model.encode(&rows).expect("codes").mean;
    let same = labels.iter().enumerate().filter(|(row, label)| codes.row(*row)[0] == **label as f32).count();
    let share = same as f64 / labels.len() as f64;
    (share, share.max(1.0 - share))
}

#[test]
fn a_few_labels_make_a_bit_mean_a_class_that_explains_less() {
    let (_, without) = agreement("");
    let (with, _) = agreement(",label={labelled=0.05,weight=50.0}");
    println!("agreement of bit and class: {without:.3} without labels, {with:.3} with 5 %");
    assert!(without < 0.6, "{without}");
    assert!(with > 0.95, "{with}");
}

#[test]
fn a_category_with_a_name_pays_for_the_class_alone() {
    // One category of four and a number; three classes, of which the last row's is not known.
    let text = "posterior={kind='blocks',blocks={y={kind='gumbel',latent=1,categories=4},z={kind='diagonal-normal',latent=1}}}\n\
                prior={kind='blocks',blocks={y={kind='categorical'},z={kind='standard-normal'}}}\n\
                likelihood.kind='normal'\nnetwork.kind='linear'\n\
                objective.terms={distortion={},rate={},label={}}";
    let made = make(text, &Facts { kind: ValueKind::Real, ..classes(3) });
    let labels = vec![2, 0, 1, UNKNOWN_CLASS];
    let n = labels.len();
    let x: Vec<f64> = (0..n * X).map(|i| (i as f64 * 0.7).sin()).collect();
    let rows = Batch { labels: Some(labels.clone()), ..batch(x, X) };
    let q = made.view().encode(&rows);
    let logits = host_f64(&q.parameters()[0].1);
    let term = made.objective.terms.iter().find(|term| term.name == "label").unwrap();
    let pass = Pass::new(made.view(), &rows, 1, Key::from_seed(1));
    let found = host_f64(&term.term.value(&pass).unwrap().log);
    for (row, label) in labels.iter().enumerate() {
        let own = &logits[row * 4..row * 4 + 4];
        let log_sum = own.iter().map(|l| l.exp()).sum::<f64>().ln();
        // Held-out rows: the mean over those that have a label.
        let wanted = match *label {
            UNKNOWN_CLASS => 0.0,
            label => (log_sum - own[label as usize]) * n as f64 / 3.0,
        };
        close(found[row], wanted, 1e-6);
    }
}

//! How a term's weight gets where it ends.

use latent::Key;
use latent::data::ValueKind;
use latent::device::scalar;
use latent::member::Progress;
use latent::objective::{Pass, Schedule};

use crate::common::*;

fn at(step: u64) -> Progress {
    Progress { step, steps_per_epoch: 10, total: 100 }
}

#[test]
fn linear_rises_over_its_epochs() {
    let linear = Schedule::Linear { epochs: 2.0 };
    for (step, factor) in [(0, 0.0), (5, 0.25), (10, 0.5), (20, 1.0), (99, 1.0)] {
        close(linear.factor(at(step)), factor, 1e-12);
    }
    assert_eq!(Schedule::Linear { epochs: 0.0 }.factor(at(0)), 1.0);
    assert_eq!(Schedule::Linear { epochs: 0.5 }.factor(at(5)), 1.0);
    assert_eq!(Schedule::Constant.factor(at(0)), 1.0);
}

#[test]
fn falling_ends_at_the_weight_itself() {
    let falling = Schedule::Falling { from: 100.0 };
    for (step, factor) in [(0, 100.0), (50, 10.0), (75, 10f64.sqrt()), (100, 1.0), (200, 1.0)] {
        close(falling.factor(at(step)), factor, 1e-9);
    }
}

#[test]
fn cyclic_rises_anew_in_each_cycle() {
    // Four cycles of 25 steps, each rising for half of it.
    let cyclic = Schedule::Cyclic { cycles: 4, ratio: 0.5 };
    for (step, factor) in
        [(0, 0.0), (5, 0.4), (13, 1.0), (24, 1.0), (25, 0.0), (30, 0.4), (99, 1.0), (100, 1.0)]
    {
        close(cyclic.factor(at(step)), factor, 1e-12);
    }
    // More cycles than steps is no division by zero.
    assert!((0.0..=1.0).contains(&Schedule::Cyclic { cycles: 1000, ratio: 0.01 }.factor(at(3))));
}

#[test]
fn the_loss_weighs_terms_as_the_schedule_says_and_logs_them_whole() {
    let text = "posterior.latent = 2\nnetwork.kind = 'linear'\nlikelihood = { kind = 'normal', scale = 'fixed' }\n\
                objective.terms.rate = { weight = 3.0, schedule = { kind = 'linear', epochs = 2.0 } }";
    let made = make(text, &facts(vector(3), ValueKind::Real)).randomised(Key::from_seed(90), 0.5);
    let rows = batch(normals(Key::from_seed(91), 4 * 3), 3);
    let pass = Pass::new(made.training(), &rows, 1, Key::from_seed(92));
    for (progress, weight) in [(Some(at(0)), 0.0), (Some(at(10)), 1.5), (Some(at(50)), 3.0), (None, 3.0)] {
        let loss = made.objective.loss(&pass, progress);
        let named = |name: &str| scalar(&loss.terms.iter().find(|(n, _)| n == name).unwrap().1);
        close(scalar(&loss.total), named("distortion") + weight * named("rate"), 1e-12);
        close(named("loss"), scalar(&loss.total), 0.0);
    }
    assert!(!made.objective.settled(at(10)) && made.objective.settled(at(20)));
}

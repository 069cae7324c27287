//! The search after the first number that is not finite: the keyed step is replayed and every tensor looked at.

use super::optimizer::FlatGradients;
use super::trainable::{Finding, Moment, Trainable};
use crate::batch::Batch;
use crate::device::host;
use crate::error::Result;

/// How many rows a finding names.
const ROWS_NAMED: usize = 10;

/// The first bad tensor of the step, in the order: weights, forward pass, gradients.
pub(super) fn find(
    task: &dyn Trainable,
    batch: &Batch,
    moment: Moment,
    step: u64,
    gradients: &FlatGradients,
) -> Result<Finding> {
    for traced in task.trace(task.weights(), batch, moment)? {
        let bad = |v: &f32| !v.is_finite();
        if !traced.values.iter().any(bad) {
            continue;
        }
        let mut rows = Vec::new();
        if traced.width > 0 {
            for (row, values) in traced.values.chunks(traced.width).enumerate() {
                let id = batch.ids[row % batch.len()];
                if values.iter().any(bad) && !rows.contains(&id) && rows.len() < ROWS_NAMED {
                    rows.push(id);
                }
            }
        }
        return Ok(Finding { tensor: traced.name, step: step + 1, rows });
    }
    let bad_gradient = gradients.iter().find(|(_, g)| host(g).iter().any(|v| !v.is_finite()));
    let tensor = match bad_gradient {
        Some((id, _)) => {
            let path =
                task.weights().iter().find(|(known, _)| known == id).map(|(_, w)| w.path().to_string());
            format!("gradient of {}", path.unwrap_or_default())
        }
        // Each gradient is finite and their sum of squares is not.
        None => "norm of all gradients".into(),
    };
    Ok(Finding { tensor, step: step + 1, rows: Vec::new() })
}

//! What a run of version 0.1 did where it had no key for it yet, written into its table as one.

use toml::{Table, Value};

/// Completes the table of an older run: weight decay acted on all weights. Its data has no seed of its own, and stays
/// without one ([`DataSettings::seed`](crate::data::DataSettings::seed)).
pub(super) fn complete(run: &mut Table) {
    for section in ["train", "objective"] {
        if let Some(Value::Table(section)) = run.get_mut(section) {
            complete_optimizers(section);
        }
    }
}

/// The optimisers in a table, those of terms included.
fn complete_optimizers(table: &mut Table) {
    for (key, value) in table {
        let Value::Table(inner) = value else { continue };
        if key == "optimizer" && !inner.contains_key("decay") {
            inner.insert("decay".into(), "all".into());
        }
        complete_optimizers(inner);
    }
}

/// As a configuration of a new run: its data has the seed that drew its splits, the run's.
pub(super) fn as_configuration(run: &mut Table) {
    complete(run);
    let seed = run.get("seed").cloned().unwrap_or(Value::Integer(1));
    if let Some(Value::Table(data)) = run.get_mut("data")
        && !data.contains_key("seed")
    {
        data.insert("seed".into(), seed);
    }
}

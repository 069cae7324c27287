//! Whether two runs hold the same rows out.

use super::Run;
use crate::data::{DataSettings, Facts};
use crate::model::Model;

/// What a run should hear whose weights come from a model that learned from other rows, or from others of these; nothing
/// where both hold out the same.
pub(super) fn differ(from: &Model, run: &Run, facts: &Facts) -> Option<String> {
    let seeds = [from.data.split_seed(from.seed), run.data.split_seed(run.seed)];
    let cut = |data: &DataSettings| DataSettings { seed: None, workers: 0, ..data.clone() };
    // The hash of a run of version 0.1 has no word of the seed.
    let same = from.facts.hash == facts.hash
        || (from.data.seed.is_some() != run.data.seed.is_some()
            && from.facts.rows == facts.rows
            && cut(&from.data) == cut(&run.data));
    if same && seeds[0] == seeds[1] {
        return None;
    }
    let source = &from.facts.source;
    Some(if *source == facts.source && seeds[0] != seeds[1] {
        format!(
            "splits: the weights come from a run that split {source} by seed {}, and this one splits it by {}: rows that they \
             were trained on are among the validation and test rows here. Set data.seed = {} to hold out the same",
            seeds[0], seeds[1], seeds[0]
        )
    } else {
        format!(
            "splits: the weights come from a run on other rows ({source}, {} for training): those of them that are here, too, \
             may stand among the validation and test rows",
            from.facts.rows[0]
        )
    })
}

//! The few numbers of each section that answer its question: what a screen has room for. The others stand in the report.

use super::{Evaluation, Measure, Section};

/// Measures of a section, the most telling first: of each group one, the first that there is. `*` stands for the sampler that
/// `latent sample` draws from.
const TELLING: [(&str, &[&[&str]]); 7] = [
    (
        "likelihood",
        &[
            &["log_p", "ais_encoder", "iw_5000", "iw_50", "elbo", "distortion"],
            &["bits_per_dimension", "bits_per_dimension_elbo"],
            &["train_test_gap"],
        ],
    ),
    (
        "latents",
        &[
            &["active_units", "bits_in_use", "codes_used"],
            &["rate", "perplexity"],
            &["bit_class_information", "nearest_neighbours", "linear_probe"],
        ],
    ),
    ("reconstruction", &[&["psnr", "mse"], &["feature_distance"]]),
    ("samples", &[&["frechet:*"], &["frechet:prior"], &["frechet:posterior"], &["frechet:held-out"]]),
    ("memorisation", &[&["near-copies-pixels:*", "near-copies-columns:*"], &["near-copies-features:*"]]),
    ("anomaly", &[]),
    ("disentanglement", &[]),
];

/// So many where nobody chose, those of the sampler that is drawn from first.
const FIRST: usize = 3;

impl Evaluation {
    /// The telling measures of each section, `sampler` being the one that is drawn from.
    pub fn headlines(&self, sampler: &str) -> Vec<(&Section, Vec<&Measure>)> {
        self.sections.iter().map(|section| (section, telling(section, sampler))).collect()
    }
}

fn telling<'a>(section: &'a Section, sampler: &str) -> Vec<&'a Measure> {
    let groups = TELLING.iter().find(|(name, _)| *name == section.name).map_or(&[][..], |(_, groups)| groups);
    let of = |group: &&[&str]| group.iter().find_map(|name| section.get(&name.replace('*', sampler)));
    let mut found: Vec<&Measure> = Vec::new();
    for measure in groups.iter().filter_map(of) {
        // The prior may be the sampler.
        if found.iter().all(|known| known.name != measure.name) {
            found.push(measure);
        }
    }
    if found.is_empty() {
        let other = |name: &str| name.rsplit_once(':').is_some_and(|(_, set)| set != sampler);
        let (own, others): (Vec<_>, Vec<_>) = section.measures.iter().partition(|m| !other(&m.name));
        found = own.into_iter().chain(others).take(FIRST).collect();
    }
    found
}

/// A first clause that is shorter only names what the warning is about, such as a sampler.
const NAME: usize = 25;

/// What a warning is about: its first clause.
pub fn gist(warning: &str) -> &str {
    let ends = [": ", ". ", "; "].iter().flat_map(|mark| warning.match_indices(mark).map(|(at, _)| at));
    let end = ends.filter(|at| *at > NAME || warning[*at..].starts_with(". ")).min().unwrap_or(warning.len());
    warning[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::super::{Better, Estimate};
    use super::*;

    #[test]
    fn the_sampler_that_is_drawn_from_stands_first_and_nothing_twice() {
        let mut section = Section::new("samples", "How like?");
        for name in ["frechet:prior", "kid:prior", "frechet:maf", "frechet:posterior"] {
            section.add(Measure::new(name, "", "", Estimate::exact(1.0), 9, Better::Lower));
        }
        let names = |sampler: &str| -> Vec<&str> {
            telling(&section, sampler).into_iter().map(|measure| measure.name.as_str()).collect()
        };
        assert_eq!(names("maf"), ["frechet:maf", "frechet:prior", "frechet:posterior"]);
        assert_eq!(names("prior"), ["frechet:prior", "frechet:posterior"]);
    }

    #[test]
    fn a_section_that_nobody_knows_shows_its_first_numbers() {
        let mut section = Section::new("own", "What?");
        for name in ["a", "b", "c", "d"] {
            section.add(Measure::new(name, "", "", Estimate::exact(1.0), 9, Better::Lower));
        }
        assert_eq!(telling(&section, "prior").len(), FIRST);
    }

    #[test]
    fn a_warning_is_cut_after_its_first_clause() {
        assert_eq!(
            gist("The importance-weighted bound is loose: of 5000 1.4 count."),
            "The importance-weighted bound is loose"
        );
        assert_eq!(
            gist("prior: samples are near training rows: look at them."),
            "prior: samples are near training rows"
        );
        assert_eq!(gist("No unit is active."), "No unit is active");
    }
}

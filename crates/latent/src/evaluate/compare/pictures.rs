//! What runs look like beside each other: the figures that their reports left in `figures/`.

use std::path::Path;

use crate::figure::{Figure, Report, Section};

/// The figures that are compared: name, heading, caption.
const SHOWN: [(&str, &str, &str); 4] = [
    ("samples", "Samples", "What each run draws, by the sampler that its title names"),
    (
        "samples-nearest",
        "Samples and their nearest training rows",
        "Samples above the training rows nearest to them",
    ),
    ("reconstructions", "Reconstructions", "Held-out rows above what comes back of their codes"),
    ("columns", "Columns", "Each column of held-out rows beside samples"),
];

/// Runs whose figures are shown, at most: a page of more is read by nobody.
const MOST: usize = 8;

/// The page with the figures of each run, by name and folder. Runs without a figure (trained with `--no-report`) have none here,
/// and it is said.
pub(super) fn with_pictures(mut page: Report, runs: &[(&str, &Path)]) -> Report {
    for (file, heading, caption) in SHOWN {
        let of = |folder: &Path| std::fs::read_to_string(folder.join(format!("figures/{file}.svg"))).ok();
        let mut figures = Vec::new();
        let (mut names, mut missing) = (Vec::new(), Vec::new());
        for (name, folder) in runs.iter().take(MOST) {
            // One that somebody has broken is as good as none.
            match of(folder).map(|svg| Figure { svg }).filter(|figure| figure.size().is_ok()) {
                Some(figure) => {
                    figures.push(figure);
                    names.push(*name);
                }
                None => missing.push(*name),
            }
        }
        if figures.is_empty() {
            continue;
        }
        let mut caption = format!("{caption}. In this order: {}.", names.join(", "));
        if !missing.is_empty() {
            caption.push_str(&format!(
                " Without such a figure: {} (`latent report RUN` draws it).",
                missing.join(", ")
            ));
        }
        let alt = format!("{caption} One picture a run");
        page = page.section(Section::new(heading).panels(figures, caption, alt));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_side_by_side_and_what_is_missing_is_named() {
        let root = tempfile::tempdir().unwrap();
        for run in ["one", "two"] {
            std::fs::create_dir_all(root.path().join(run).join("figures")).unwrap();
        }
        let svg = r#"<svg xmlns="http://www.w3.org/2000/svg" width="60" height="20"></svg>"#;
        for figure in
            ["one/figures/samples.svg", "two/figures/samples.svg", "one/figures/reconstructions.svg"]
        {
            std::fs::write(root.path().join(figure), svg).unwrap();
        }
        std::fs::write(root.path().join("two/figures/reconstructions.svg"), "broken").unwrap();
        let folders = ["one", "two"].map(|run| (run, root.path().join(run)));
        let runs: Vec<(&str, &Path)> = folders.iter().map(|(name, path)| (*name, path.as_path())).collect();
        let html = with_pictures(Report::new("Comparison"), &runs).html().unwrap();
        assert_eq!(html.matches("<img").count(), 3);
        assert!(html.contains("In this order: one, two.") && html.contains("Without such a figure: two"));
        assert!(!html.contains("<h2>Columns"));
    }
}

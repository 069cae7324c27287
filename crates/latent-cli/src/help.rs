//! `latent --help`: the commands in the order of the work, each with its own line.

/// What is done when, and by which commands.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Start", &["demo", "textbook", "presets", "settings", "devices"]),
    ("Learn", &["data", "train", "import", "report", "inspect"]),
    (
        "Generate",
        &["fit-sampler", "refine", "sample", "interpolate", "traverse", "edit", "decode", "impute", "export"],
    ),
    ("Understand", &["explore", "evaluate", "judge", "compare", "score", "encode", "reconstruct"]),
];

const FIRST_STEPS: &str = "\
First steps:
  1.  latent demo                                     a trained model and its pictures in two minutes
  2.  latent train --data DATA --out runs/mine        the same on your data
  3.  latent sample runs/mine --out samples.png       new samples like it

`latent COMMAND --help` shows the options of a command, with examples.";

/// The command with its subcommands in groups; one that no group names stands under `More`.
pub fn grouped(command: clap::Command) -> clap::Command {
    let about = |name: &str| {
        let found = command.get_subcommands().find(|sub| sub.get_name() == name);
        found.and_then(clap::Command::get_about).map(ToString::to_string)
    };
    let line = |name: &str| about(name).map(|about| format!("  {name:12} {about}\n")).unwrap_or_default();
    let mut text = String::new();
    for (title, names) in GROUPS {
        text.push_str(&format!("{title}:\n"));
        names.iter().for_each(|name| text.push_str(&line(name)));
        text.push('\n');
    }
    let known = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let more: String =
        command.get_subcommands().map(|sub| sub.get_name()).filter(|n| !known(n)).map(line).collect();
    if !more.is_empty() {
        text.push_str(&format!("More:\n{more}\n"));
    }
    let template = format!(
        "{{about-with-newline}}\nUsage: latent COMMAND [OPTIONS]\n\n{text}Options:\n{{options}}\n\n{FIRST_STEPS}\n"
    );
    command.help_template(template)
}

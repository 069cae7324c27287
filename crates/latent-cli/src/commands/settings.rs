//! `latent settings`: every key that a run may have, with what it takes, its default and its meaning.

use std::process::ExitCode;

use clap::Args;
use latent::Registry;
use latent::config::{Setting, nearest};
use latent::run::{Section, find, meant, sections};
use toml::Value;

use crate::failure::{Done, Failure};
use crate::options::Seeded;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent settings
  latent settings posterior
  latent settings iaf
  latent settings train.optimizer
  latent settings objective.terms.rate.weight

A key is set by --set KEY=VALUE or in the file of --config. NAME stands for a
name of yours. With --json each section is a line, for programs.";

/// List what can be set, with defaults and meanings
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("seed", |seed| seed.hide(true)))]
pub struct Settings {
    /// A section, a key or what a key begins with, or a member such as iaf [default: everything]
    section: Option<String>,
    // Nothing is drawn: --seed is taken for uniformity.
    #[command(flatten)]
    _seeded: Seeded,
}

impl Settings {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let all = sections(&Registry::default());
        let chosen = match &self.section {
            None => all,
            Some(name) => {
                let chosen = choose(&all, name);
                if chosen.is_empty() {
                    let names = all.iter().flat_map(|s| s.members.iter().map(|m| m.kind).chain([s.name]));
                    let near = nearest(name, names).or_else(|| meant(&all, name));
                    let remedy = match near {
                        Some(near) => format!("did you mean {near}?"),
                        None => "`latent settings` lists all".into(),
                    };
                    return Err(Failure::flag(
                        "SECTION",
                        format!("{name:?} is no section, key or member"),
                        remedy,
                    ));
                }
                chosen
            }
        };
        for section in &chosen {
            out.result(text(section), section);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The part of the listing that is called so: whole sections, else keys, else a member.
fn choose(all: &[Section], name: &str) -> Vec<Section> {
    let is_below =
        |path: &str| path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let whole: Vec<Section> = all.iter().filter(|section| is_below(section.name)).cloned().collect();
    if !whole.is_empty() {
        return whole;
    }
    let known: Vec<&Setting> = find(all, name).iter().map(|found| found.setting).collect();
    let keys = |section: &Section| {
        let mut some = section.clone();
        let wanted = |setting: &Setting| is_below(&setting.key) || known.contains(&setting);
        some.settings.retain(wanted);
        some.members.iter_mut().for_each(|member| member.settings.retain(wanted));
        some.members.retain(|member| !member.settings.is_empty());
        (!some.settings.is_empty() || !some.members.is_empty()).then_some(some)
    };
    let some: Vec<Section> = all.iter().filter_map(keys).collect();
    if !some.is_empty() {
        return some;
    }
    let member = |section: &Section| {
        let mut one = section.clone();
        one.settings.clear();
        one.members.retain(|member| member.kind == name);
        (!one.members.is_empty()).then_some(one)
    };
    all.iter().filter_map(member).collect()
}

/// For people: keys as they would be written, what they take in brackets, the meaning below.
fn text(section: &Section) -> String {
    let mut lines = Vec::new();
    let title = if section.name.is_empty() { String::new() } else { format!("[{}] ", section.name) };
    lines.push(format!("{title}{}", section.about));
    if let Some(other) = section.same_as {
        lines.push(format!("  {0}.KEY for each {other}.KEY", section.name));
    }
    section.settings.iter().for_each(|setting| say(setting, "  ", &mut lines));
    // A member without keys stands in the list of kinds.
    let is_alone = section.settings.is_empty();
    for member in section.members.iter().filter(|member| is_alone || !member.settings.is_empty()) {
        lines.push(format!("  kind = {:?}: {}", member.kind, member.about));
        member.settings.iter().for_each(|setting| say(setting, "    ", &mut lines));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn say(setting: &Setting, indent: &str, lines: &mut Vec<String>) {
    let value = match &setting.default {
        Some(Value::String(text)) => format!(" = {text}"),
        Some(value) => format!(" = {value}"),
        None => String::new(),
    };
    let mut takes = setting.takes.clone();
    if setting.required {
        takes.push_str(", required in its table");
    }
    if !setting.kinds.is_empty() {
        takes.push_str(&format!(", of {}", setting.kinds.join(", ")));
    }
    lines.push(format!("{indent}{}{value}  ({takes})", setting.key));
    let below = format!("{indent}    ");
    wrap(&setting.meaning, &below, &below, lines);
    let widest = setting.choices.iter().map(|choice| choice.name.chars().count()).max().unwrap_or(0);
    if setting.choices.iter().all(|choice| choice.meaning.is_empty()) {
        let names: Vec<&str> = setting.choices.iter().map(|choice| choice.name.as_str()).collect();
        wrap(&names.join(", "), &below, &below, lines);
        return;
    }
    for choice in &setting.choices {
        let first = format!("{below}{:widest$}  ", choice.name);
        wrap(&choice.meaning, &first, &" ".repeat(first.chars().count()), lines);
    }
}

/// Breaks a text into lines of 80 columns.
fn wrap(text: &str, first: &str, others: &str, lines: &mut Vec<String>) {
    let mut line = first.to_string();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > 80 {
            lines.push(std::mem::replace(&mut line, others.to_string()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    if !is_empty {
        lines.push(line);
    }
}

//! How training looks while it runs: a bar on a terminal, plain lines elsewhere, JSON lines for programs.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use latent::train::{CollapseWatch, Event, Line};
use latent::words::duration;
use serde_json::json;

use crate::output::Output;

/// Watches a run.
pub struct Progress<'a> {
    out: &'a Output,
    bar: Option<ProgressBar>,
    /// When the run is cut, whatever is left; 0 for never.
    minutes: f64,
    begun: Instant,
    first: u64,
    last: u64,
    total: u64,
    said: Instant,
    watch: CollapseWatch,
}

/// Away from a terminal a line this often shows that it lives.
const EVERY: Duration = Duration::from_secs(10);

impl<'a> Progress<'a> {
    /// A watcher that has seen nothing yet, of a run that may last `minutes` (0 for no limit).
    pub fn new(out: &'a Output, minutes: f64) -> Self {
        let now = Instant::now();
        Self {
            out,
            bar: None,
            minutes,
            begun: now,
            first: 0,
            last: 0,
            total: 0,
            said: now,
            watch: CollapseWatch::default(),
        }
    }

    /// Steps taken.
    pub fn step(&self) -> u64 {
        self.last
    }

    /// Steps in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Shows what happened.
    pub fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { step, total, steps_per_epoch } => self.start(*step, *total, *steps_per_epoch),
            Event::Step { line, .. } => self.stepped(line),
            Event::Validated { line, best } => self.validated(line, *best),
            Event::Recovered { why, step } => self.say(
                &format!("warning: {why}\ngoing on from the checkpoint before it, at step {step}; the run ends the same"),
                &json!({ "recovered": why, "step": step }),
            ),
            Event::Guard { finding, back_to, rate_factor } => self.say(
                &format!(
                    "a number was not finite, {finding}: back to step {back_to}, learning rate × {rate_factor}"
                ),
                &json!({ "guard": finding.to_string(), "back_to": back_to, "rate_factor": rate_factor }),
            ),
        }
    }

    /// Takes the bar away.
    pub fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn start(&mut self, step: u64, total: u64, steps_per_epoch: u64) {
        (self.begun, self.first, self.last, self.total) = (Instant::now(), step, step, total);
        if std::io::stderr().is_terminal() && !self.out.is_json() {
            let bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_position(step);
            self.bar = Some(bar);
        } else if step < total {
            let on = if step > 0 { format!(", going on from step {step}") } else { String::new() };
            let text = format!("training: {total} steps, {steps_per_epoch} an epoch{on}");
            self.say(&text, &json!({ "started": step, "total": total, "steps_per_epoch": steps_per_epoch }));
        }
    }

    fn stepped(&mut self, line: &Line) {
        self.last = line.step;
        if let Some(bar) = &self.bar {
            bar.set_position(line.step);
            bar.set_message(format!("{}  {}", self.pace(), terms(line, 0)));
        } else if self.said.elapsed() >= EVERY {
            let text = format!("step {}/{}  {}  {}", line.step, self.total, self.pace(), terms(line, 0));
            let value = json!({
                "step": line.step, "total": self.total, "epoch": line.epoch, "training": values(line),
                "seconds_left": self.seconds_left()
            });
            self.say(&text, &value);
        }
    }

    fn validated(&mut self, line: &Line, best: bool) {
        let mark = if best { "  best" } else { "" };
        let text = format!("epoch {:>6.1}  validation  {}{mark}", line.epoch, terms(line, 9));
        let value = json!({
            "step": line.step, "epoch": line.epoch, "validation": values(line), "best": best
        });
        self.say(&text, &value);
        if let Some(warning) = self.watch.warning(line) {
            self.say(&format!("warning: {warning}"), &json!({ "step": line.step, "warning": warning }));
        }
    }

    /// Steps a second since the start, validations included, and what is left at that pace.
    fn pace(&self) -> String {
        let Some(left) = self.seconds_left() else { return String::new() };
        let pace = (self.last - self.first) as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
        let digits = if pace < 10.0 { 1 } else { 0 };
        format!("{pace:.digits$} steps/s, {} left", duration(left))
    }

    fn seconds_left(&self) -> Option<f64> {
        let taken = self.last.checked_sub(self.first).filter(|taken| *taken > 0)?;
        let elapsed = self.begun.elapsed().as_secs_f64();
        let left = elapsed / taken as f64 * self.total.saturating_sub(self.last) as f64;
        Some(if self.minutes > 0.0 { left.min((60.0 * self.minutes - elapsed).max(0.0)) } else { left })
    }

    fn say(&mut self, text: &str, value: &impl serde::Serialize) {
        self.said = Instant::now();
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.out.is_json() => self.out.result("", value),
            None => self.out.note(text),
        }
    }
}

/// How far a long computation has come.
pub struct Bar {
    bar: Option<ProgressBar>,
    json: bool,
    said: std::cell::RefCell<(String, Instant)>,
}

impl Bar {
    /// A bar on a terminal, a line now and then elsewhere.
    pub fn new(out: &Output) -> Self {
        let bar = (std::io::stderr().is_terminal() && !out.is_json()).then(|| {
            let style = ProgressStyle::with_template("{bar:24} {percent:>3} %  {wide_msg}");
            let bar = ProgressBar::new(1000);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, json: out.is_json(), said: std::cell::RefCell::new((String::new(), Instant::now())) }
    }

    /// Shows what is done and how far, from 0 to 1.
    pub fn show(&self, what: &str, part: f64) {
        if let Some(bar) = &self.bar {
            if bar.is_finished() {
                bar.reset();
            }
            bar.set_position((1000.0 * part.clamp(0.0, 1.0)) as u64);
            bar.set_message(what.to_string());
            return;
        }
        let mut said = self.said.borrow_mut();
        if said.0 != what || said.1.elapsed() >= EVERY {
            *said = (what.to_string(), Instant::now());
            if self.json {
                eprintln!("{}", json!({ "doing": what, "part": part }));
            } else {
                eprintln!("{what}: {:.0} %", 100.0 * part);
            }
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The terms of a line.
fn named(line: &Line) -> impl Iterator<Item = &(String, f64)> {
    line.values
        .iter()
        .filter(|(name, _)| !name.ends_with("gradient_norm") && !name.ends_with("learning_rate"))
}

/// The terms by name, each number at least `width` wide.
fn terms(line: &Line, width: usize) -> String {
    let each: Vec<String> = named(line)
        .map(|(name, value)| match name.as_str() {
            // A count, not a term.
            "active_units" => format!("active {value:.0}"),
            _ => format!("{name} {value:>width$.2}"),
        })
        .collect();
    each.join("  ")
}

/// The terms for programs; what is not finite is null.
fn values(line: &Line) -> serde_json::Map<String, serde_json::Value> {
    named(line).map(|(name, value)| (name.clone(), (*value).into())).collect()
}

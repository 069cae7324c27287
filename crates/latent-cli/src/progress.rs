//! How training looks while it runs: a bar on a terminal, plain lines elsewhere, JSON lines for programs.

use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use latent::train::{Event, Line};

use crate::output::Output;

/// Watches a run.
pub struct Progress<'a> {
    out: &'a Output,
    bar: Option<ProgressBar>,
    begun: Instant,
    first: u64,
    total: u64,
    said: Instant,
}

impl<'a> Progress<'a> {
    /// A watcher that has seen nothing yet.
    pub fn new(out: &'a Output) -> Self {
        let now = Instant::now();
        Self { out, bar: None, begun: now, first: 0, total: 0, said: now }
    }

    /// Shows what happened.
    pub fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { step, total, steps_per_epoch } => self.start(*step, *total, *steps_per_epoch),
            Event::Step { line, .. } => self.step(line),
            Event::Validated { line, best } => self.validated(line, *best),
            Event::Guard { finding, back_to, rate_factor } => self.say(
                &format!(
                    "a number was not finite, {finding}: back to step {back_to}, learning rate × {rate_factor}"
                ),
                &serde_json::json!({ "guard": finding.to_string(), "back_to": back_to, "rate_factor": rate_factor }),
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
        (self.begun, self.first, self.total) = (Instant::now(), step, total);
        if std::io::stderr().is_terminal() && !self.out.is_json() {
            let bar = ProgressBar::new(total);
            let style =
                ProgressStyle::with_template("{bar:28} {pos}/{len} steps  {per_sec}  {eta} left  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_position(step);
            bar.reset_eta();
            self.bar = Some(bar);
        } else {
            let text = format!(
                "training: {total} steps, {steps_per_epoch} an epoch{}",
                match step {
                    0 => String::new(),
                    step => format!(", going on from step {step}"),
                }
            );
            self.say(&text, &serde_json::json!({ "started": step, "total": total }));
        }
    }

    fn step(&mut self, line: &Line) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(line.step);
                bar.set_message(terms(line));
            }
            // Away from a terminal a line every ten seconds shows that it lives.
            None if !self.out.is_json() && self.said.elapsed().as_secs() >= 10 => {
                let text =
                    format!("step {}/{}  {}  {}", line.step, self.total, terms(line), self.left(line.step));
                self.say(&text, &());
            }
            None => {}
        }
    }

    fn validated(&mut self, line: &Line, best: bool) {
        let star = if best { "  (best)" } else { "" };
        let text = format!("epoch {:>5.1}  validation: {}{star}", line.epoch, terms(line));
        let values: serde_json::Map<_, _> =
            line.values.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
        let value = serde_json::json!({
            "step": line.step, "epoch": line.epoch, "validation": values, "best": best
        });
        self.say(&text, &value);
    }

    fn left(&self, step: u64) -> String {
        let rate = self.begun.elapsed().as_secs_f64() / (step - self.first).max(1) as f64;
        let seconds = rate * (self.total - step.min(self.total)) as f64;
        format!("{:.0} steps/s, {} left", 1.0 / rate.max(1e-9), duration(seconds))
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

/// The terms of a line, by name.
fn terms(line: &Line) -> String {
    line.values
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "gradient_norm" | "learning_rate"))
        .map(|(name, value)| format!("{name} {value:.2}"))
        .collect::<Vec<_>>()
        .join("  ")
}

/// Seconds as people say them.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

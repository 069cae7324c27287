//! `latent encode`: the code of each row.

use std::process::ExitCode;

use clap::Args;
use latent::data::{Column, StoredType, write_csv, write_npy};
use serde_json::json;

use crate::failure::Done;
use crate::options::{Conditions, Writing, text};
use crate::output::{Output, json_path, path};
use crate::target::Kind;

const EXAMPLES: &str = "\
Examples:
  latent encode runs/one --out z.npy
  latent encode runs/one --data embedded --with-deviation --out z.csv

A .csv has a line for each row: z1, z2, …, with --with-deviation sd1, sd2, …, then what the row is called: its identifier in
a table or its file in a folder, and its class under `label`. `latent decode` takes such a file as it is.";

/// Write the code of each row
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("out", |out| out.help("Where to: z.npy or z.csv")))]
#[command(mut_arg("seed", |seed| seed.help("Taken for uniformity; codes are means and draw nothing")))]
pub struct Encode {
    /// Rows to encode; by default the model's own held-out rows
    #[arg(long, value_parser = text())]
    data: Option<String>,
    /// Write the standard deviation of q(z|x) beside its mean
    #[arg(long)]
    with_deviation: bool,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    files: Writing,
}

impl Encode {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = self.files.target(&Kind::NUMBERS)?;
        let model = self.files.model()?;
        let chosen = self.conditions.open(&model, self.data.as_deref(), out)?;
        let dims = model.functions.latent.dims();
        let mut width = dims;
        let mut values: Vec<f32> = Vec::new();
        chosen.each(|rows| {
            let codes = model.encode(&self.conditions.told(&model, rows)?)?;
            let deviation = codes.deviation.filter(|_| self.with_deviation);
            width = if deviation.is_some() { 2 * dims } else { dims };
            for row in 0..codes.mean.rows() {
                values.extend(codes.mean.row(row));
                if let Some(deviation) = &deviation {
                    values.extend(deviation.row(row));
                }
            }
            Ok(())
        })?;
        let rows = values.len() / width.max(1);
        target.ready()?;
        if target.kind == Kind::Array {
            write_npy(&target.path, &[rows, width], StoredType::F32, &values)?;
        } else {
            let mut header: Vec<String> = (1..=dims).map(|d| format!("z{d}")).collect();
            if width > dims {
                header.extend((1..=dims).map(|d| format!("sd{d}")));
            }
            let mut columns: Vec<Column> = (0..width)
                .map(|d| Column::Numbers(values.iter().skip(d).step_by(width).map(|&z| z.into()).collect()))
                .collect();
            for (name, words) in chosen.about() {
                header.push(name);
                columns.push(Column::Names(words));
            }
            write_csv(&target.path, &header, &columns)?;
        }
        out.result(
            format!(
                "{rows} codes of {dims} dimensions{}: {}",
                if width > dims { ", each mean with its standard deviation" } else { "" },
                path(&target.path)
            ),
            &json!({ "rows": rows, "dims": dims, "columns": width, "out": json_path(&target.path), "seed": self.files.seed() }),
        );
        Ok(ExitCode::SUCCESS)
    }
}

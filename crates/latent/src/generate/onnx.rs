//! A trained model as two ONNX files, which other runtimes run without us: x → code, and code → x.
//!
//! Both speak the user's units: the encoder normalises, the decoder undoes it, with the columns that never change put back.
//! Whole numbers are not rounded, so that the files compute the same function everywhere. The size of a batch stays open.
//!
//! ```text
//! encoder   x [batch, …] (and condition [batch, c])     →  code [batch, dims], the centre of q(z|x), and its deviation
//! decoder   code [batch, dims] (and condition)          →  x [batch, …], the mean of p(x|z)
//! ```
//!
//! The parts are traced by the members that they are made of; what one of them cannot say is refused with the reason.

use std::path::Path;

use serde_json::json;
use toml::Table;

use super::error::Result;
use crate::data::{Attribute, Binarize, SampleShape, StoredType};
use crate::files::write_whole;
use crate::model::Model;
use crate::store::StoreError;
use crate::store::onnx::{Element, Graph, Node};

impl Model {
    /// Writes encoder and decoder, each whole or not at all; none is written where either is refused.
    ///
    /// # Errors
    /// As [`Model::encoder_onnx`] and [`Model::decoder_onnx`]; what the file system says.
    pub fn export_onnx(&self, encoder: &Path, decoder: &Path) -> Result<()> {
        let (f, g) = (self.encoder_onnx()?, self.decoder_onnx()?);
        for (path, bytes) in [(encoder, f), (decoder, g)] {
            write_whole(path, |out| out.write_all(&bytes))
                .map_err(|source| StoreError::Io { path: path.into(), source })?;
        }
        Ok(())
    }

    /// The bytes of an ONNX file of x → q(z|x): its centre and, where it has one, its deviation.
    ///
    /// # Errors
    /// [`StoreError::NoGraph`] where a member has no graph, or bits are drawn of x.
    pub fn encoder_onnx(&self) -> Result<Vec<u8>> {
        self.has_graph()?;
        let facts = &self.facts;
        let mut graph = Graph::default();
        let x = graph.input("x", self.element(), &self.user_shape());
        let condition = self.condition(&mut graph);
        let x = graph.rows(x);
        let x = match facts.constant.is_empty() {
            true => x,
            false => graph.pick(&x, &facts.places().collect::<Vec<_>>()),
        };
        let x = graph.cast(&x, Element::F64);
        let (offset, scale) = (&facts.normalisation.offset, &facts.normalisation.scale);
        let x = graph.with_wide("Sub", &x, offset, &[offset.len()]);
        let x = graph.with_wide("Div", &x, scale, &[scale.len()]);
        let x = graph.cast(&x, Element::F32);
        let x = match self.data.binarize {
            Binarize::None => x,
            Binarize::Threshold => graph.above(&x, self.data.threshold, true),
            Binarize::Static | Binarize::Dynamic => {
                let what = "an encoder whose data.binarize draws bits of x at random";
                let remedy = "export the decoder alone, or train with data.binarize = \"threshold\"";
                return Err(StoreError::no_graph(what, remedy).into());
            }
        };
        let outputs = self.functions.encoder.trace(&self.weights, &mut graph, x, condition.as_ref())?;
        let (code, deviation) = self.functions.posterior.trace(&self.weights, &mut graph, &outputs)?;
        graph.output("code", Element::F32, &code);
        if let Some(deviation) = deviation {
            graph.output("deviation", Element::F32, &deviation);
        }
        self.notes(&mut graph);
        Ok(graph.bytes("encoder"))
    }

    /// The bytes of an ONNX file of code → the mean of p(x|z).
    ///
    /// # Errors
    /// [`StoreError::NoGraph`] where a member has no graph.
    pub fn decoder_onnx(&self) -> Result<Vec<u8>> {
        self.has_graph()?;
        let (facts, functions) = (&self.facts, &self.functions);
        let mut graph = Graph::default();
        let code = graph.input("code", Element::F32, &[self.dims()]);
        let condition = self.condition(&mut graph);
        let seen = functions.posterior.trace_features(&self.weights, &mut graph, &code)?;
        let outputs = functions.decoder.trace(&self.weights, &mut graph, seen, condition.as_ref())?;
        let x = functions.likelihood.trace(&self.weights, &mut graph, &outputs)?;
        let normalisation = &facts.normalisation;
        let (offset, scale) = (&normalisation.offset, &normalisation.scale);
        let x = graph.cast(&x, Element::F64);
        let x = graph.with_wide("Mul", &x, scale, &[scale.len()]);
        let mut x = graph.with_wide("Add", &x, offset, &[offset.len()]);
        if let Some((least, most)) = normalisation.range {
            x = graph.with_wide("Max", &x, &[least], &[1]);
            x = graph.with_wide("Min", &x, &[most], &[1]);
        }
        if !facts.constant.is_empty() {
            // x S + c: each number to its place, constants to theirs.
            let (features, width) = (facts.shape.features(), facts.width());
            let mut to_places = vec![0.0; features * width];
            facts.places().enumerate().for_each(|(from, to)| to_places[from * width + to] = 1.0);
            let mut constants = vec![0.0; width];
            facts.constant.iter().for_each(|constant| constants[constant.column] = constant.value);
            x = graph.product_wide(&x, &to_places, [features, width]);
            x = graph.with_wide("Add", &x, &constants, &[width]);
        }
        let x = graph.cast(&x, self.element());
        let x = graph.reshape(x, &self.user_shape());
        graph.output("x", self.element(), &x);
        self.notes(&mut graph);
        Ok(graph.bytes("decoder"))
    }

    /// Refuses tables: a graph has no words, dates and gaps, and the columns of a row are drawn one after the other.
    fn has_graph(&self) -> Result<(), StoreError> {
        if self.facts.table.is_none() {
            return Ok(());
        }
        Err(StoreError::no_graph(
            "a model of mixed columns, whose cells are words, dates and gaps, drawn one after the other,",
            "draw rows by `latent sample`, or train on columns of numbers alone",
        ))
    }

    /// The shape of a row as the user has it, channels first.
    fn user_shape(&self) -> Vec<usize> {
        match self.facts.shape {
            SampleShape::Image { channels, height, width } => vec![channels, height, width],
            SampleShape::Vector { .. } => vec![self.facts.width()],
        }
    }

    /// The type of x: double precision where the data has it.
    fn element(&self) -> Element {
        if self.facts.normalisation.stored == StoredType::F64 { Element::F64 } else { Element::F32 }
    }

    fn condition(&self, graph: &mut Graph) -> Option<Node> {
        let width = self.functions.condition;
        (width > 0).then(|| graph.input("condition", Element::F32, &[width]))
    }

    /// What the file says of itself.
    pub(super) fn notes(&self, graph: &mut Graph) {
        let facts = &self.facts;
        let run: Table = self.run.parse().unwrap_or_default();
        if let Some(preset) = run.get("preset").and_then(|preset| preset.as_str()) {
            graph.note("preset", preset);
        }
        graph.note("latent_version", env!("CARGO_PKG_VERSION"));
        let blocks = self.functions.latent.blocks.iter();
        let blocks: Vec<_> =
            blocks.map(|block| json!({ "name": block.name, "shape": block.shape })).collect();
        graph.note("latent", json!({ "dims": self.dims(), "blocks": blocks }).to_string());
        let columns = if facts.columns.is_empty() { Vec::new() } else { facts.names_of_values() };
        let units = "the data's own; whole numbers are not rounded";
        let x = json!({ "shape": self.user_shape(), "columns": columns, "units": units });
        graph.note("x", x.to_string());
        if !facts.condition.is_empty() {
            let told: Vec<_> = facts
                .condition
                .iter()
                .map(|attribute| {
                    let mut told = match attribute {
                        Attribute::Class { name, classes, .. } => json!({ "name": name, "one_hot": classes }),
                        Attribute::Number { name, mean, deviation, .. } => {
                            json!({ "name": name, "standardised_by": { "mean": mean, "deviation": deviation } })
                        }
                    };
                    if attribute.may_be_unknown() {
                        // One input more, which is 1 where the value is not known and the others are 0.
                        told["then_unknown"] = json!(true);
                    }
                    told
                })
                .collect();
            graph.note("condition", json!(told).to_string());
        }
    }
}

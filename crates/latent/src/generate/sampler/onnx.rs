//! A fitted sampler as an ONNX graph: noise → code, for the decoder's graph to take. Drawing the noise is the caller's business; each
//! input says its law, and [`FittedSampler::noise`] gives that of our own draws, which the graph repeats.
//!
//! ```text
//! normal [batch, d] (and uniform [batch, 1])  ── sampler ──▶  u  ── chart ──▶  code [batch, dims]
//! ```
//!
//! Those that take one pass have a graph: the normal, mixtures, kernels, couplings, a second VAE, and priors that are a standard normal
//! or uniform. Autoregressive samplers and flows that follow an equation step by step are refused.

use std::path::Path;

use serde_json::json;

use super::how::uniforms;
use super::{FittedSampler, How};
use crate::array::Array;
use crate::batch::Noise;
use crate::files::write_whole;
use crate::generate::Result;
use crate::key::Key;
use crate::model::Model;
use crate::store::StoreError;
use crate::store::onnx::{Element, Graph, Node};

/// What to do about a sampler without a graph.
pub(super) const ONE_PASS: &str = "fit one that takes a single pass and name it: normal, gaussian-mixture, kernel-density, real-nvp or two-stage";

/// The law of numbers of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseLaw {
    /// N(0, 1)
    Normal,
    /// Uniform in (0, 1).
    Uniform,
}

/// One input of noise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The input's name.
    pub name: &'static str,
    /// What its numbers are.
    pub law: NoiseLaw,
    /// Numbers for each row.
    pub width: usize,
    /// What our own draws fold into their key for it.
    purpose: Option<&'static str>,
}

/// A graph whose inputs are noise.
#[derive(Default)]
pub struct NoiseGraph {
    /// What is written so far.
    pub graph: Graph,
    sources: Vec<Source>,
}

impl NoiseGraph {
    /// An input of noise; our own draws fold `purpose` into their key for it.
    pub fn noise(
        &mut self,
        name: &'static str,
        law: NoiseLaw,
        width: usize,
        purpose: Option<&'static str>,
    ) -> Node {
        self.sources.push(Source { name, law, width, purpose });
        self.graph.input(name, Element::F32, &[width])
    }
}

/// The file of a sampler, and what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamplerGraph {
    /// The bytes of an ONNX file.
    pub bytes: Vec<u8>,
    /// Its inputs.
    pub sources: Vec<Source>,
}

impl SamplerGraph {
    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, path: &Path) -> Result<()> {
        let written = write_whole(path, |out| out.write_all(&self.bytes));
        Ok(written.map_err(|source| StoreError::Io { path: path.into(), source })?)
    }
}

impl FittedSampler {
    /// The ONNX file of noise → code.
    ///
    /// # Errors
    /// [`StoreError::NoGraph`] for what is no feed-forward map, and where codes follow what rows are told.
    pub fn onnx(&self, model: &Model) -> Result<SamplerGraph> {
        if model.functions.condition > 0 && self.kind != "prior" {
            let what =
                format!("`{}` of a model that is told something of rows, which codes follow,", self.kind);
            return Err(StoreError::no_graph(what, "export the prior (--sampler prior)").into());
        }
        let mut noise = NoiseGraph::default();
        let u = self.sampler.trace(&model.view(), &mut noise).map_err(|error| match error {
            StoreError::NoGraph { remedy, .. } => StoreError::no_graph(
                format!("`{}`, which is no feed-forward map of its noise,", self.kind),
                remedy,
            ),
            other => other,
        })?;
        let NoiseGraph { mut graph, sources } = noise;
        let code = self.chart.trace(&mut graph, u)?;
        graph.output("code", Element::F32, &code);
        model.notes(&mut graph);
        let laws: Vec<_> = sources
            .iter()
            .map(|source| json!({ "name": source.name, "law": source.law.name(), "width": source.width }))
            .collect();
        graph.note("sampler", json!({ "kind": self.kind, "noise": laws }).to_string());
        Ok(SamplerGraph { bytes: graph.bytes("sampler"), sources })
    }

    /// The noise of `count` draws with `key` from [`draw`](Self::draw), for the graph to repeat them.
    pub fn noise(&self, graph: &SamplerGraph, count: usize, key: Key) -> Vec<Array> {
        let ids: Vec<u64> = (0..count as u64).collect();
        let key = key.fold("prior");
        let of = |source: &Source| {
            let noise = Noise::new(source.purpose.map_or(key, |purpose| key.fold(purpose)), &ids);
            let values = match source.law {
                NoiseLaw::Normal => How::default().normals(noise, source.width),
                NoiseLaw::Uniform => uniforms(noise, source.width),
            };
            Array::matrix(values, source.width)
        };
        graph.sources.iter().map(of).collect()
    }
}

impl NoiseLaw {
    /// Its name in a file's notes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "standard normal",
            Self::Uniform => "uniform in (0, 1)",
        }
    }
}

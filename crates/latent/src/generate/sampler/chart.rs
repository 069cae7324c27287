//! The coordinates that samplers see: u = (r − mean) / deviation of each dimension, with r = z on the reals and
//! r = ln z/(1 − z) on the unit interval. Codes that are all bits, or all indices of one size, are left as they are; where
//! blocks of several kinds stand side by side, a bit or an index i of K is spread over its cell, r = ln s/(1 − s) with
//! s = (i + v)/K and v uniform by row, so that one continuous law holds them all. A dimension that never varies is left out
//! and filled in again. Densities change with the volume:
//!
//! ln p(z) = ln p(u) + Σ_j ln |du_j/dz_j|,   du/dz = 1/deviation, and on the unit interval 1/(deviation · z(1 − z))

use crate::array::Array;
use crate::batch::{Block, Support};
use crate::key::Key;
use crate::model::Model;
use crate::store::StoreError;
use crate::store::onnx::{Element, Graph, Node};

use super::{Arrays, CodeSet};

/// What codes are, in a chart's coordinates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The number of dimensions.
    pub dims: usize,
    /// [`Support::Bits`] or [`Support::Index`] where all codes are that, [`Support::Reals`] otherwise.
    pub support: Support,
    /// The names of the classes; empty without labels.
    pub classes: Vec<String>,
    /// How many numbers the model is told of each row; 0 without conditions.
    pub condition: usize,
    /// `[channels, height, width]`, where codes are maps and every dimension varies.
    pub maps: Option<[usize; 3]>,
}

/// The way from codes to coordinates and back.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Of each dimension.
    supports: Vec<Support>,
    /// Whether coordinates are the codes themselves.
    identity: bool,
    offset: Vec<f32>,
    /// 0 where a dimension never varies.
    scale: Vec<f32>,
}

/// Codes are kept this far from 0 and 1, where the logit has no end.
const EDGE: f64 = 1e-6;

/// The support that all dimensions have, if it is one of few values.
fn discrete(supports: &[Support]) -> Option<Support> {
    let first = *supports.first()?;
    (first.values().is_some() && supports.iter().all(|support| *support == first)).then_some(first)
}

impl Chart {
    /// Coordinates that are the codes themselves.
    pub fn identity(supports: Vec<Support>) -> Self {
        let dims = supports.len();
        Self { supports, identity: true, offset: vec![0.0; dims], scale: vec![1.0; dims] }
    }

    /// Coordinates in which these codes have mean 0 and variance 1.
    pub fn fit(codes: &Array, supports: Vec<Support>) -> Self {
        if discrete(&supports).is_some() {
            return Self::identity(supports);
        }
        let dims = codes.width();
        let n = codes.rows().max(1) as f64;
        let (mut mean, mut square) = (vec![0.0; dims], vec![0.0; dims]);
        let values =
            || codes.values.iter().enumerate().map(|(i, z)| (i % dims, real(*z, supports[i % dims], i)));
        values().for_each(|(j, r)| mean[j] += r / n);
        values().for_each(|(j, r)| square[j] += (r - mean[j]).powi(2) / n);
        let scale = |(mean, square): (&f64, &f64)| {
            let deviation = square.sqrt();
            // Below single precision a spread is rounding.
            if deviation <= 1e-6 * mean.abs().max(1e-12) { 0.0 } else { deviation as f32 }
        };
        let scale = mean.iter().zip(&square).map(scale).collect();
        let offset = mean.into_iter().map(|m| m as f32).collect();
        Self { supports, identity: false, offset, scale }
    }

    /// From a saved file, for codes of these supports.
    pub(super) fn restore(arrays: &mut Arrays, supports: Vec<Support>) -> Result<Self, String> {
        let dims = supports.len();
        let mut take = |name: &str| match arrays.remove(name) {
            Some(array) if array.values.len() == dims && array.values.iter().all(|v| v.is_finite()) => {
                Ok(array.values)
            }
            _ => Err(format!("the array `{name}` is missing or does not fit the model's {dims} dimensions")),
        };
        let identity = discrete(&supports).is_some();
        Ok(Self { supports, identity, offset: take("chart.offset")?, scale: take("chart.scale")? })
    }

    pub(super) fn arrays(&self) -> Arrays {
        let row = |values: &Vec<f32>| Array { shape: vec![values.len()], values: values.clone() };
        [("chart.offset".into(), row(&self.offset)), ("chart.scale".into(), row(&self.scale))].into()
    }

    /// What the coordinates are.
    pub fn space(&self, model: &Model) -> Space {
        let support = discrete(&self.supports).unwrap_or(Support::Reals);
        let dims = self.kept().count();
        let maps = match model.functions.latent.blocks.as_slice() {
            [Block { shape, .. }] if dims == self.scale.len() => shape.as_slice().try_into().ok(),
            _ => None,
        };
        Space {
            dims,
            support,
            classes: model.facts.classes.clone(),
            condition: model.functions.condition,
            maps,
        }
    }

    fn kept(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.scale.len()).filter(|&j| self.scale[j] != 0.0)
    }

    /// `rows × dims` → `rows × coordinates`
    pub fn u_from_z(&self, z: &[f32]) -> Vec<f32> {
        let dims = self.scale.len().max(1);
        let rows = z.chunks(dims).enumerate();
        rows.flat_map(|(row, z)| self.kept().map(move |j| self.u(j, z[j], row * dims + j))).collect()
    }

    /// `rows × coordinates` → `rows × dims`
    pub fn z_from_u(&self, u: &[f32]) -> Vec<f32> {
        let dims = self.scale.len();
        let kept: Vec<usize> = self.kept().collect();
        let mut z = Vec::with_capacity(u.len() / kept.len().max(1) * dims);
        for row in u.chunks(kept.len().max(1)) {
            let start = z.len();
            z.extend((0..dims).map(|j| self.z(j, 0.0)));
            for (&j, &u) in kept.iter().zip(row) {
                z[start + j] = self.z(j, u);
            }
        }
        z
    }

    /// [`Self::z_from_u`] in a graph.
    pub(super) fn trace(&self, graph: &mut Graph, u: Node) -> Result<Node, StoreError> {
        if self.identity {
            return Ok(u);
        }
        let first = self.supports.first();
        if self.supports.iter().any(|support| Some(support) != first) {
            return Err(StoreError::no_graph(
                "codes of several kinds beside each other",
                "leave the sampler out",
            ));
        }
        let (dims, kept) = (self.scale.len(), self.kept().collect::<Vec<_>>());
        let mut places = vec![0.0; kept.len() * dims];
        kept.iter().enumerate().for_each(|(from, &to)| places[from * dims + to] = f64::from(self.scale[to]));
        let offset: Vec<f64> = self.offset.iter().map(|offset| f64::from(*offset)).collect();
        let wide = graph.cast(&u, Element::F64);
        let r = graph.product_wide(&wide, &places, [kept.len(), dims]);
        let r = graph.with_wide("Add", &r, &offset, &[dims]);
        let r = match first {
            Some(Support::UnitInterval) => graph.unary("Sigmoid", &r),
            _ => r,
        };
        Ok(graph.cast(&r, Element::F32))
    }

    /// Codes in coordinates, labels as they are.
    pub fn apply(&self, codes: &CodeSet) -> CodeSet {
        let dims = self.kept().count();
        let matrix = |codes: &Array| Array::matrix(self.u_from_z(&codes.values), dims);
        CodeSet { train: matrix(&codes.train), validation: matrix(&codes.validation), ..codes.clone() }
    }

    /// Σ_j ln |du_j/dz_j| of each code; none where a dimension is left out, on which the law has no density, or is spread
    /// over cells, whose probability is no density at a point.
    pub fn log_volumes(&self, z: &[f32]) -> Option<Vec<f64>> {
        let spread = self.supports.iter().any(|support| support.values().is_some()) && !self.identity;
        if self.scale.contains(&0.0) || spread {
            return None;
        }
        let constant: f64 = -self.scale.iter().map(|s| f64::from(*s).ln()).sum::<f64>();
        let of = |row: &[f32]| {
            let units = row
                .iter()
                .zip(&self.supports)
                .filter(|(_, s)| **s == Support::UnitInterval && !self.identity);
            constant - units.map(|(z, _)| clamped(*z)).map(|z| (z * (1.0 - z)).ln()).sum::<f64>()
        };
        Some(z.chunks(self.scale.len().max(1)).map(of).collect())
    }

    fn u(&self, j: usize, z: f32, place: usize) -> f32 {
        if self.identity {
            return z;
        }
        ((real(z, self.supports[j], place) - f64::from(self.offset[j])) / f64::from(self.scale[j])) as f32
    }

    fn z(&self, j: usize, u: f32) -> f32 {
        if self.identity {
            return u;
        }
        let r = f64::from(u) * f64::from(self.scale[j]) + f64::from(self.offset[j]);
        let unit = || 1.0 / (1.0 + (-r).exp());
        match self.supports[j] {
            Support::Reals => r as f32,
            Support::UnitInterval => unit() as f32,
            Support::Bits => f32::from(u8::from(unit() > 0.5)),
            Support::Index(size) => (unit() * size as f64).floor().min(size as f64 - 1.0) as f32,
        }
    }
}

/// The place on the real line; `place` keys where in its cell an index is put.
fn real(z: f32, support: Support, place: usize) -> f64 {
    let logit = |s: f64| (s / (1.0 - s)).ln();
    match support {
        Support::UnitInterval => logit(clamped(z)),
        Support::Reals => f64::from(z),
        Support::Bits => logit(in_cell(z, 2, place)),
        Support::Index(size) => logit(in_cell(z, size, place)),
    }
}

/// A number within the cell of index z among `size`.
fn in_cell(z: f32, size: usize, place: usize) -> f64 {
    let mut uniform = [0.0];
    Key::from_seed(0).fold("cell").fold(place).uniforms(&mut uniform);
    ((f64::from(z) + f64::from(uniform[0])) / size as f64).clamp(EDGE, 1.0 - EDGE)
}

fn clamped(z: f32) -> f64 {
    f64::from(z).clamp(EDGE, 1.0 - EDGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(support: Support) -> Array {
        let value = |i: usize| {
            let v = ((i * 7919 % 1000) as f32 / 1000.0).mul_add(0.8, 0.1);
            if support == Support::UnitInterval { v } else { 30.0 * v - 4.0 }
        };
        // The second of three dimensions never varies.
        Array::matrix((0..300).map(|i| if i % 3 == 1 { 0.25 } else { value(i) }).collect(), 3)
    }

    #[test]
    fn there_and_back_again_with_what_never_varies_filled_in() {
        for support in [Support::Reals, Support::UnitInterval] {
            let codes = codes(support);
            let chart = Chart::fit(&codes, vec![support; 3]);
            let u = chart.u_from_z(&codes.values);
            assert_eq!(u.len(), 200);
            let mean = u.iter().map(|v| f64::from(*v)).sum::<f64>() / 200.0;
            let square = u.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 200.0;
            assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-4, "{mean} {square}");
            let again = chart.z_from_u(&u);
            assert!(again.iter().zip(&codes.values).all(|(a, b)| (a - b).abs() < 1e-5));
            assert!(chart.log_volumes(&codes.values).is_none());
            let mut arrays = chart.arrays();
            assert_eq!(Chart::restore(&mut arrays, vec![support; 3]).unwrap(), chart);
            assert!(Chart::restore(&mut chart.arrays(), vec![support; 4]).is_err());
        }
    }

    #[test]
    fn volumes_are_those_of_finite_differences() {
        for support in [Support::Reals, Support::UnitInterval] {
            let line = Array::matrix(codes(support).values.into_iter().step_by(3).collect(), 1);
            let chart = Chart::fit(&line, vec![support]);
            let (z, h) = (0.4f32, 1e-2f32);
            let u = chart.u_from_z(&[z - h, z + h]);
            let slope = f64::from(u[1] - u[0]) / f64::from(2.0 * h);
            let volume = chart.log_volumes(&[z]).unwrap()[0];
            assert!((slope.ln() - volume).abs() < 2e-3, "{support:?} {} {volume}", slope.ln());
        }
    }

    #[test]
    fn blocks_of_several_kinds_come_back_as_what_they_were() {
        let supports = vec![Support::Reals, Support::Bits, Support::Index(5)];
        let row = |i: usize| [(i % 7) as f32 - 3.0, (i % 2) as f32, (i % 5) as f32];
        let codes = Array::matrix((0..400).flat_map(row).collect(), 3);
        let chart = Chart::fit(&codes, supports);
        let again = chart.z_from_u(&chart.u_from_z(&codes.values));
        assert!(again.iter().zip(&codes.values).all(|(a, b)| (a - b).abs() < 1e-5));
        assert!(chart.log_volumes(&codes.values).is_none());
    }
}

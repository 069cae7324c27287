//! A density pushed through steps whose parameters each row has for itself:
//!
//! z_t = f(z_{t−1}; θ_t(x)),  ln q(z_T|x) = ln q(z_0|x) − Σ_t ln |det ∂z_t/∂z_{t−1}|
//!
//! - *planar*: z + û tanh(wᵀz + b), with û = u + (m(wᵀu) − wᵀu) w/‖w‖² so that wᵀû > −1, where it is invertible;
//! - *radial*: z + β (z − c) / (α + ‖z − c‖), with α > 0 and β > −α;
//! - *Householder*: z − 2 v vᵀz / ‖v‖², a reflection: of a diagonal normal it makes one with correlations;
//! - *Sylvester*: z + Q R tanh(R̃ Qᵀz + b), a planar step in several orthogonal directions at once (`sylvester`).
//!
//! A draw carries its density. That of codes from elsewhere is found by going back: a planar step by solving one monotone equation of
//! one number, a Sylvester step by one for each direction, the others in closed form.
//!
//! References: Rezende & Mohamed, *Variational Inference with Normalizing Flows* (arXiv 1505.05770), with m(x) = 0 at 0, so that steps
//! start near the identity; Tomczak & Welling, *Improving Variational Auto-Encoders using Householder Flow* (arXiv 1611.09630); van den
//! Berg et al., *Sylvester Normalizing Flows for Variational Inference* (arXiv 1803.05649).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sylvester::{self, Sylvester};
use super::{Density, fold_rows, pick, softplus};
use crate::batch::{Draw, Latent, Noise};
use crate::device::{Device, host_f64};
use crate::store::onnx::{Graph, Node};

/// A map of codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// z + û tanh(wᵀz + b): widens or narrows one direction.
    #[default]
    Planar,
    /// z + β (z − c) / (α + ‖z − c‖): widens or narrows about a point.
    Radial,
    /// z − 2 v vᵀz / ‖v‖²: a reflection.
    Householder,
    /// z + Q R tanh(R̃ Qᵀz + b): widens, narrows and shears several directions.
    Sylvester,
}

/// Squares of lengths are kept this far from 0.
pub(super) const LEAST_SQUARE: f64 = 1e-12;

/// No direction is narrowed to less than this share of itself: an inverse would leave all numbers.
pub(super) const LEAST_SLOPE: f64 = 1e-3;

/// Halvings of the interval in which a planar step's number lies: down to double precision.
const HALVINGS: usize = 64;

/// A number above −1 + [`LEAST_SLOPE`] that is 0 at 0 and grows with x, as the paper's m(x) = ln(1 + eˣ) − 1.
fn above_minus_one(x: Tensor<2>) -> Tensor<2> {
    let least = 1.0 - LEAST_SLOPE;
    softplus(x + least.exp_m1().ln()) - least
}

/// Σ_j a_j b_j, `[rows, 1]`.
pub(super) fn dot(a: &Tensor<2>, b: &Tensor<2>) -> Tensor<2> {
    (a.clone() * b.clone()).sum_dim(1)
}

impl Step {
    /// How many parameters a step over `dims` dimensions has; `rank` is M, the directions of a Sylvester step (all dimensions where
    /// there are fewer).
    pub fn parameters(self, dims: usize, rank: usize) -> usize {
        match self {
            Self::Planar => 2 * dims + 1,
            Self::Radial => dims + 2,
            Self::Householder => dims,
            Self::Sylvester => sylvester::parameters(dims, rank),
        }
    }

    /// z' and ln |det ∂z'/∂z|: `[rows, parameters]` and `[rows, dims]` → `[rows, dims]`, `[rows, 1]`.
    pub fn forth(self, parameters: &Tensor<2>, z: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let dims = z.dims()[1];
        match self {
            Self::Planar => {
                let Planar { w, u, b, slope } = Planar::of(parameters, dims);
                let t = (dot(&w, &z) + b).tanh();
                let determinant = slope * (t.clone() * t.clone()).neg().add_scalar(1.0) + 1.0;
                (z + u * t, determinant.log())
            }
            Self::Radial => {
                let Radial { centre, alpha, beta } = Radial::of(parameters, dims);
                let off = z - centre.clone();
                let share = (alpha.clone() + (dot(&off, &off) + LEAST_SQUARE).sqrt()).recip();
                let across = beta.clone() * share.clone() + 1.0;
                let along = beta * alpha * share.clone() * share + 1.0;
                (centre + off * across.clone(), across.log() * (dims as f64 - 1.0) + along.log())
            }
            Self::Householder => (reflect(parameters, z.clone()), z.narrow(1, 0, 1) * 0.0),
            Self::Sylvester => Sylvester::of(parameters, dims).forth(z),
        }
    }

    /// z' in a graph, of `[parameters]` and `[dims]`.
    pub(crate) fn trace(self, graph: &mut Graph, parameters: &Node, z: Node) -> Node {
        let dims = z.features();
        let least = LEAST_SQUARE as f32;
        let above = |graph: &mut Graph, x: &Node| {
            let share = 1.0 - LEAST_SLOPE;
            let x = graph.with("Add", x, &[share.exp_m1().ln() as f32], &[1]);
            let x = graph.softplus(&x);
            graph.with("Sub", &x, &[share as f32], &[1])
        };
        match self {
            Self::Planar => {
                let [w, u] = [0, dims].map(|start| graph.columns(parameters, start, dims));
                let b = graph.columns(parameters, 2 * dims, 1);
                let (along, square) = (graph.dot(&w, &u), graph.dot(&w, &w));
                let wanted = above(graph, &along);
                let push = graph.binary("Sub", &wanted, &along);
                let square = graph.with("Add", &square, &[least], &[1]);
                let push = graph.binary("Div", &push, &square);
                let pushed = graph.binary("Mul", &w, &push);
                let u = graph.binary("Add", &u, &pushed);
                let t = graph.dot(&w, &z);
                let t = graph.binary("Add", &t, &b);
                let t = graph.unary("Tanh", &t);
                let moved = graph.binary("Mul", &u, &t);
                graph.binary("Add", &z, &moved)
            }
            Self::Radial => {
                let centre = graph.columns(parameters, 0, dims);
                let [alpha, beta] = [dims, dims + 1].map(|place| graph.columns(parameters, place, 1));
                let alpha = above(graph, &alpha);
                let alpha = graph.with("Add", &alpha, &[1.0], &[1]);
                let beta = above(graph, &beta);
                let beta = graph.binary("Mul", &alpha, &beta);
                let off = graph.binary("Sub", &z, &centre);
                let far = graph.dot(&off, &off);
                let far = graph.with("Add", &far, &[least], &[1]);
                let far = graph.unary("Sqrt", &far);
                let below = graph.binary("Add", &alpha, &far);
                let across = graph.binary("Div", &beta, &below);
                let across = graph.with("Add", &across, &[1.0], &[1]);
                let off = graph.binary("Mul", &off, &across);
                graph.binary("Add", &centre, &off)
            }
            Self::Householder => {
                let (share, square) = (graph.dot(parameters, &z), graph.dot(parameters, parameters));
                let square = graph.with("Add", &square, &[least], &[1]);
                let share = graph.binary("Div", &share, &square);
                let share = graph.with("Mul", &share, &[2.0], &[1]);
                let moved = graph.binary("Mul", parameters, &share);
                graph.binary("Sub", &z, &moved)
            }
            Self::Sylvester => Sylvester::trace(graph, parameters, &z),
        }
    }

    /// z of z', `[rows, dims]`.
    pub fn back(self, parameters: &Tensor<2>, z: Tensor<2>) -> Tensor<2> {
        let dims = z.dims()[1];
        match self {
            Self::Planar => Planar::of(parameters, dims).back(z),
            Self::Radial => {
                let Radial { centre, alpha, beta } = Radial::of(parameters, dims);
                let off = z - centre.clone();
                let far = (dot(&off, &off) + LEAST_SQUARE).sqrt();
                // r² + (α + β − r') r − α r' = 0 of r' = r (1 + β / (α + r)).
                let half = (far.clone() - alpha.clone() - beta.clone()) * 0.5;
                let r = half.clone() + (half.clone() * half + alpha.clone() * far).sqrt();
                centre + off / (beta / (alpha + r) + 1.0)
            }
            Self::Householder => reflect(parameters, z),
            Self::Sylvester => Sylvester::of(parameters, dims).back(z),
        }
    }
}

fn reflect(v: &Tensor<2>, z: Tensor<2>) -> Tensor<2> {
    let share = dot(v, &z) / (dot(v, v) + LEAST_SQUARE) * 2.0;
    z - v.clone() * share
}

/// A planar step's parameters: w and û `[rows, dims]`, b and wᵀû `[rows, 1]`.
struct Planar {
    w: Tensor<2>,
    u: Tensor<2>,
    b: Tensor<2>,
    slope: Tensor<2>,
}

impl Planar {
    fn of(parameters: &Tensor<2>, dims: usize) -> Self {
        let w = parameters.clone().narrow(1, 0, dims);
        let u = parameters.clone().narrow(1, dims, dims);
        let along = dot(&w, &u);
        let push = (above_minus_one(along.clone()) - along) / (dot(&w, &w) + LEAST_SQUARE);
        let u = u + w.clone() * push;
        // In single precision large w and u round below what the step needs to be invertible.
        let slope = dot(&w, &u).clamp_min(LEAST_SLOPE - 1.0);
        Self { slope, b: parameters.clone().narrow(1, 2 * dims, 1), w, u }
    }

    /// With a = wᵀz: a + wᵀû tanh(a + b) = wᵀz'.
    fn back(self, z: Tensor<2>) -> Tensor<2> {
        let Self { w, u, b, slope } = self;
        let a = solved(&dot(&w, &z), &slope, &b);
        z - u * (a + b).tanh()
    }
}

/// a + slope · tanh(a + offset) = target of each row, which grows with a as slopes are above −1; all `[rows, 1]`.
pub(super) fn solved(target: &Tensor<2>, slope: &Tensor<2>, offset: &Tensor<2>) -> Tensor<2> {
    let [targets, slopes, offsets] = [target, slope, offset].map(host_f64);
    let solve = |row: usize| {
        let (target, slope, b) = (targets[row], slopes[row], offsets[row]);
        let (mut low, mut high) = (target - slope.abs(), target + slope.abs());
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            match middle + slope * (middle + b).tanh() < target {
                true => low = middle,
                false => high = middle,
            }
        }
        0.5 * (low + high)
    };
    let found = (0..targets.len()).map(solve).collect();
    let found = Device::of(target).tensor_f64::<2>(found, target.dims());
    // One of Newton's steps from there changes nothing but carries the gradient.
    let t = (found.clone() + offset.clone()).tanh();
    let derivative = slope.clone().detach() * (t.clone() * t.clone()).detach().neg().add_scalar(1.0) + 1.0;
    found.clone() - (found + slope.clone() * t - target.clone()) / derivative
}

/// A radial step's parameters: c `[rows, dims]`, α and β `[rows, 1]`.
struct Radial {
    centre: Tensor<2>,
    alpha: Tensor<2>,
    beta: Tensor<2>,
}

impl Radial {
    fn of(parameters: &Tensor<2>, dims: usize) -> Self {
        let one = |place: usize| parameters.clone().narrow(1, place, 1);
        let alpha = above_minus_one(one(dims)) + 1.0;
        let beta = alpha.clone() * above_minus_one(one(dims + 1));
        Self { centre: parameters.clone().narrow(1, 0, dims), alpha, beta }
    }
}

/// A base density and so many steps.
pub struct Transformed {
    /// q(z_0|x)
    pub base: Box<dyn Density>,
    /// θ of all steps, side by side, `[n, steps · parameters]` or `[1, steps · parameters]`.
    pub parameters: Tensor<2>,
    /// f
    pub step: Step,
    /// T
    pub steps: usize,
}

impl Transformed {
    /// θ_t for these rows.
    fn of_step(&self, step: usize, rows: usize) -> Tensor<2> {
        let width = self.parameters.dims()[1] / self.steps.max(1);
        fold_rows(&self.parameters.clone().narrow(1, step * width, width), rows)
    }

    /// z_T of z_0, and Σ ln |det|.
    fn forth(&self, z: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let rows = z.dims()[0];
        let mut log_determinant = z.clone().narrow(1, 0, 1) * 0.0;
        let mut z = z;
        for step in 0..self.steps {
            let (next, own) = self.step.forth(&self.of_step(step, rows), z);
            (z, log_determinant) = (next, log_determinant + own);
        }
        (z, log_determinant.reshape([rows]))
    }

    /// The density that it has where steps keep lengths and volumes: that of the base, turned.
    pub(super) fn turned(&self) -> Option<&dyn Density> {
        (self.step == Step::Householder).then_some(self.base.as_ref())
    }
}

impl Density for Transformed {
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let start = self.base.draw(draws, noise);
        let log_base = self.base.log_density_of(&start);
        let (z, log_determinant) = self.forth(start.z.z);
        Draw { log_density: log_base.map(|log_base| log_base - log_determinant), ..Draw::new(z) }
    }

    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        let back = |z: Tensor<2>, step: usize| {
            let rows = z.dims()[0];
            self.step.back(&self.of_step(step, rows), z)
        };
        let start = (0..self.steps).rev().fold(z.z.clone(), back);
        let (_, log_determinant) = self.forth(start.clone());
        Some(self.base.log_density(&Latent::new(start))? - log_determinant)
    }

    fn log_density_per_dimension(&self, _: &Latent) -> Option<Tensor<2>> {
        None
    }

    /// Where the base's centre goes: the mean has no closed form.
    fn centre(&self) -> Latent {
        Latent::new(self.forth(self.base.centre().z).0)
    }

    fn rows(&self, rows: &[usize]) -> Box<dyn Density> {
        let (base, parameters) = (self.base.rows(rows), pick(&self.parameters, rows));
        Box::new(Self { base, parameters, ..*self })
    }

    fn detached(&self) -> Box<dyn Density> {
        let (base, parameters) = (self.base.detached(), self.parameters.clone().detach());
        Box::new(Self { base, parameters, ..*self })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        let mut all = self.base.parameters();
        all.push(("flow", self.parameters.clone()));
        all
    }
}

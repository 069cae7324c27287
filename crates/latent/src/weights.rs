//! The numbers of a model, apart from its functions.
//!
//! Networks and members hold [`WeightId`]s and receive the [`Weights`] when they are called, as in
//! `network.forward(weights, x)`. So a moving average, a best checkpoint or a tracked copy for one gradient
//! is another `Weights` under the same functions, and a model is `Send + Sync` with no state of its own.

use burn::tensor::{DispatchTensor, Gradients, Tensor};

use crate::device::{Device, host, untracked};
use crate::key::Key;

/// The place of one array in [`Weights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId(usize);

/// Named arrays of any rank: trained weights, and buffers that training updates otherwise.
#[derive(Clone, Debug)]
pub struct Weights {
    entries: Vec<Weight>,
    device: Device,
    /// Whether arrays are named and shaped without their numbers.
    outline: bool,
}

/// One named array.
#[derive(Clone, Debug)]
pub struct Weight {
    path: String,
    shape: Vec<usize>,
    kind: Kind,
    tensor: DispatchTensor,
}

/// What an array is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    /// Gradients move it; otherwise it is a buffer.
    trained: bool,
    /// Only training needs it: critics, counts. In every checkpoint, never in a model file or an average.
    training_only: bool,
    /// A layer multiplies by it.
    matrix: bool,
}

impl Weight {
    /// Where it belongs, such as `encoder.0.weight`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether gradients move it; otherwise it is a buffer.
    pub fn is_trained(&self) -> bool {
        self.kind.trained
    }

    /// Whether only training needs it: such arrays are in every checkpoint and never in a model file or an average.
    pub fn is_training_only(&self) -> bool {
        self.kind.training_only
    }

    /// Whether a layer multiplies by it: a matrix or kernels, which weight decay is meant for.
    pub fn is_matrix(&self) -> bool {
        self.kind.matrix
    }

    /// Its numbers, row-major.
    pub fn values(&self) -> Vec<f32> {
        host(&self.flat())
    }

    /// Its numbers as a vector on the device.
    pub fn flat(&self) -> Tensor<1> {
        let n = self.shape.iter().product::<usize>();
        match self.shape.len() {
            1 => Tensor::from_dispatch(self.tensor.clone()),
            2 => Tensor::<2>::from_dispatch(self.tensor.clone()).reshape([n]),
            3 => Tensor::<3>::from_dispatch(self.tensor.clone()).reshape([n]),
            _ => Tensor::<4>::from_dispatch(self.tensor.clone()).reshape([n]),
        }
    }

    fn shaped(&self, flat: Tensor<1>) -> DispatchTensor {
        match self.shape[..] {
            [a, b] => flat.reshape([a, b]).into_dispatch(),
            [a, b, c] => flat.reshape([a, b, c]).into_dispatch(),
            [a, b, c, d] => flat.reshape([a, b, c, d]).into_dispatch(),
            _ => flat.into_dispatch(),
        }
    }
}

impl Weights {
    /// No arrays yet; those to come live on `device`.
    pub fn new(device: &Device) -> Self {
        Self { entries: Vec::new(), device: device.clone(), outline: false }
    }

    /// No arrays yet; those to come have a name and a shape, and take no memory.
    pub(crate) fn outline() -> Self {
        Self { entries: Vec::new(), device: Device::cpu(), outline: true }
    }

    /// The device and precision of the arrays.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The array as a tensor. `D` must be its rank, which its owner chose.
    pub fn get<const D: usize>(&self, id: WeightId) -> Tensor<D> {
        Tensor::from_dispatch(self.entries[id.0].tensor.clone())
    }

    /// Replaces an array by one of the same shape.
    pub fn set(&mut self, id: WeightId, flat: Tensor<1>) {
        self.entries[id.0].tensor = self.entries[id.0].shaped(flat);
    }

    /// Takes an array out, flat and held by nobody else here, so that it may be changed in place; [`Weights::set`] puts it
    /// back.
    pub(crate) fn take(&mut self, id: WeightId) -> Tensor<1> {
        let flat = self.entries[id.0].flat();
        self.entries[id.0].tensor = self.device.tensor(vec![0.0], [1]).into_dispatch();
        flat
    }

    /// Passes an array, flat and held by nobody else here, through `change`.
    pub fn update(&mut self, id: WeightId, change: impl FnOnce(Tensor<1>) -> Tensor<1>) {
        let flat = self.take(id);
        self.set(id, change(flat));
    }

    /// Replaces an array by host numbers, as many as it has.
    pub fn set_values(&mut self, id: WeightId, values: Vec<f32>) {
        let n = values.len();
        self.set(id, self.device.tensor(values, [n]));
    }

    /// The array in this place, with its name and kind.
    pub(crate) fn entry(&self, id: WeightId) -> &Weight {
        &self.entries[id.0]
    }

    /// Every array with its place, in the order in which the model made them.
    pub fn iter(&self) -> impl Iterator<Item = (WeightId, &Weight)> {
        self.entries.iter().enumerate().map(|(index, weight)| (WeightId(index), weight))
    }

    /// The arrays that a model is made of, without those that only training needs.
    pub fn kept(&self) -> impl Iterator<Item = (WeightId, &Weight)> {
        self.iter().filter(|(_, weight)| !weight.is_training_only())
    }

    /// Takes over what `kept` holds, but for arrays that only training needs: those stay as they are here.
    pub(crate) fn keep(&mut self, kept: Self) {
        for (own, other) in self.entries.iter_mut().zip(kept.entries) {
            if !own.kind.training_only {
                *own = other;
            }
        }
    }

    /// How many numbers gradients move.
    pub fn trained_count(&self) -> usize {
        self.entries.iter().filter(|w| w.kind.trained).map(|w| w.shape.iter().product::<usize>()).sum()
    }

    /// A copy in which the trained arrays that `wanted` names are leaves of a new gradient graph.
    #[must_use]
    pub fn tracked(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let mut copy = self.clone();
        for weight in copy.entries.iter_mut().filter(|w| w.kind.trained && wanted(&w.path)) {
            weight.tensor = match weight.shape.len() {
                1 => Tensor::<1>::from_dispatch(weight.tensor.clone())
                    .autodiff()
                    .require_grad()
                    .into_dispatch(),
                2 => Tensor::<2>::from_dispatch(weight.tensor.clone())
                    .autodiff()
                    .require_grad()
                    .into_dispatch(),
                3 => Tensor::<3>::from_dispatch(weight.tensor.clone())
                    .autodiff()
                    .require_grad()
                    .into_dispatch(),
                _ => Tensor::<4>::from_dispatch(weight.tensor.clone())
                    .autodiff()
                    .require_grad()
                    .into_dispatch(),
            };
        }
        copy
    }

    /// The same numbers outside any gradient graph.
    #[must_use]
    pub fn detached(&self) -> Self {
        let mut copy = self.clone();
        for weight in &mut copy.entries {
            weight.tensor = weight.shaped(untracked(weight.flat()));
        }
        copy
    }

    /// The gradient of a tracked array, flat; none where the loss does not depend on it.
    pub fn gradient(&self, id: WeightId, gradients: &mut Gradients) -> Option<Tensor<1>> {
        let weight = &self.entries[id.0];
        let n = weight.shape.iter().product::<usize>();
        let tensor = weight.tensor.clone();
        match weight.shape.len() {
            1 => Tensor::<1>::from_dispatch(tensor).grad_remove(gradients),
            2 => Tensor::<2>::from_dispatch(tensor).grad_remove(gradients).map(|g| g.reshape([n])),
            3 => Tensor::<3>::from_dispatch(tensor).grad_remove(gradients).map(|g| g.reshape([n])),
            _ => Tensor::<4>::from_dispatch(tensor).grad_remove(gradients).map(|g| g.reshape([n])),
        }
    }
}

/// How an array starts.
#[derive(Clone, Debug)]
pub enum Initial {
    /// The same number everywhere.
    Constant(f32),
    /// Uniform in ±bound.
    Uniform(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// Given numbers.
    Values(Vec<f32>),
}

impl Initial {
    /// Glorot's uniform law for a layer with these fans: bound √(6 / (in + out)) (Glorot & Bengio 2010).
    pub fn glorot(fan_in: usize, fan_out: usize) -> Self {
        Self::Uniform((6.0 / (fan_in + fan_out).max(1) as f32).sqrt())
    }

    /// He's normal law for rectifiers: σ = √(2 / in) (He et al. 2015).
    pub fn he(fan_in: usize) -> Self {
        Self::Normal((2.0 / fan_in.max(1) as f32).sqrt())
    }
}

/// An outline has at most this many arrays: no model comes near, and a hostile file shall not fill the memory.
pub(crate) const MOST_OUTLINED: usize = 20_000;

/// Makes arrays under a path; the noise of each is keyed by its path.
pub struct Init<'a> {
    weights: &'a mut Weights,
    path: String,
    key: Key,
    training_only: bool,
}

impl<'a> Init<'a> {
    /// Starts at the root.
    pub fn new(weights: &'a mut Weights, key: Key) -> Self {
        Self { weights, path: String::new(), key, training_only: false }
    }

    /// The same for arrays that only training needs.
    pub fn training_only(&mut self) -> Init<'_> {
        Init { weights: self.weights, path: self.path.clone(), key: self.key, training_only: true }
    }

    /// The path of what `name` would be: what statistics are called by.
    pub fn path(&self, name: &str) -> String {
        self.join(name)
    }

    /// The same, one name deeper.
    pub fn scope(&mut self, name: impl std::fmt::Display) -> Init<'_> {
        let path = self.join(&name.to_string());
        Init { weights: self.weights, path, key: self.key, training_only: self.training_only }
    }

    /// How many arrays there are.
    pub(crate) fn count(&self) -> usize {
        self.weights.entries.len()
    }

    /// The matrices that were made since there were `before` arrays, with their shapes.
    pub(crate) fn matrices_from(&self, before: usize) -> Vec<(WeightId, Vec<usize>)> {
        let own = self.weights.iter().skip(before).filter(|(_, weight)| weight.is_matrix());
        own.map(|(id, weight)| (id, weight.shape.clone())).collect()
    }

    /// An array that gradients move. Rank 1 to 4.
    pub fn weight(&mut self, name: &str, shape: &[usize], initial: Initial) -> WeightId {
        self.push(
            name,
            shape,
            initial,
            Kind { trained: true, training_only: self.training_only, matrix: false },
        )
    }

    /// An array that gradients move and a layer multiplies by. Rank 2 to 4.
    pub fn matrix(&mut self, name: &str, shape: &[usize], initial: Initial) -> WeightId {
        self.push(
            name,
            shape,
            initial,
            Kind { trained: true, training_only: self.training_only, matrix: true },
        )
    }

    /// An array that training updates otherwise.
    pub fn buffer(&mut self, name: &str, shape: &[usize], initial: Initial) -> WeightId {
        self.push(
            name,
            shape,
            initial,
            Kind { trained: false, training_only: self.training_only, matrix: false },
        )
    }

    fn push(&mut self, name: &str, shape: &[usize], initial: Initial, kind: Kind) -> WeightId {
        let path = self.join(name);
        if self.weights.outline {
            let tensor = self.weights.device.tensor(vec![0.0], [1]).into_dispatch();
            // What comes after so many arrays is only counted, by its place.
            if self.weights.entries.len() < MOST_OUTLINED {
                self.weights.entries.push(Weight { path, shape: shape.to_vec(), kind, tensor });
            }
            return WeightId(self.weights.entries.len() - 1);
        }
        let n = shape.iter().product();
        let key = self.key.fold(path.as_str());
        let mut values = vec![0.0; n];
        match initial {
            Initial::Constant(value) => values.fill(value),
            Initial::Uniform(bound) => {
                key.uniforms(&mut values);
                values.iter_mut().for_each(|v| *v = (2.0 * *v - 1.0) * bound);
            }
            Initial::Normal(deviation) => {
                key.normals(&mut values);
                values.iter_mut().for_each(|v| *v *= deviation);
            }
            Initial::Values(given) => values = given,
        }
        let flat = self.weights.device.tensor(values, [n]);
        let mut weight = Weight { path, shape: shape.to_vec(), kind, tensor: flat.clone().into_dispatch() };
        weight.tensor = weight.shaped(flat);
        self.weights.entries.push(weight);
        WeightId(self.weights.entries.len() - 1)
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.into() } else { format!("{}.{name}", self.path) }
    }
}

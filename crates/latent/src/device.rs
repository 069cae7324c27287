//! Where tensors live and in which precision.
//!
//! The device is chosen at run time from those present, never by default: `cpu` is always there, others when
//! the build has their feature and the machine the hardware.

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device as BurnDevice, Tensor, TensorData};

/// A device and the floating-point type of what is made on it.
#[derive(Clone, Debug)]
pub struct Device {
    inner: BurnDevice,
    dtype: DType,
}

/// The device that was asked for is not in this machine or this build.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says what each field is")]
#[error("device `{name}` is not available; present here: {}", present.join(", "))]
pub struct DeviceError {
    name: String,
    present: Vec<String>,
}

impl Device {
    /// The processor, in 32-bit floats.
    pub fn cpu() -> Self {
        Self { inner: BurnDevice::flex(), dtype: DType::F32 }
    }

    /// The same device in 64-bit floats: for oracles and tests.
    #[must_use]
    pub fn double(self) -> Self {
        Self { dtype: DType::F64, ..self }
    }

    /// The names of the devices present, best last; `auto` takes the last.
    pub fn present() -> Vec<String> {
        Self::all().into_iter().map(|(name, _)| name).collect()
    }

    /// The device of that name, or the best one for `auto`.
    ///
    /// # Errors
    /// A name that no device here has.
    pub fn named(name: &str) -> Result<Self, DeviceError> {
        let mut all = Self::all();
        let found = match name {
            "auto" => all.pop(),
            _ => all.into_iter().find(|(candidate, _)| candidate == name),
        };
        match found {
            Some((_, inner)) => Ok(Self { inner, dtype: DType::F32 }),
            None => Err(DeviceError { name: name.into(), present: Self::present() }),
        }
    }

    #[allow(unused_mut, clippy::vec_init_then_push)]
    fn all() -> Vec<(String, BurnDevice)> {
        let mut all = vec![("cpu".to_string(), BurnDevice::flex())];
        #[cfg(feature = "gpu")]
        for (index, device) in
            BurnDevice::enumerate(burn::tensor::DeviceType::Vulkan).into_vec().into_iter().enumerate()
        {
            all.push((format!("vulkan:{index}"), device));
        }
        #[cfg(feature = "cuda")]
        for (index, device) in
            BurnDevice::enumerate(burn::tensor::DeviceType::Cuda).into_vec().into_iter().enumerate()
        {
            all.push((format!("cuda:{index}"), device));
        }
        all
    }

    /// The device and precision that `tensor` has.
    pub fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
        Self { inner: tensor.device().without_autodiff(), dtype: tensor.dtype() }
    }

    /// A tensor of host numbers. The caller answers for `values.len()` being the product of `shape`.
    pub fn tensor<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), (&self.inner, self.dtype))
    }

    /// A tensor of host numbers in double precision (rounded where the device's type is narrower).
    pub fn tensor_f64<const D: usize>(&self, values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), (&self.inner, self.dtype))
    }

    /// Whether it is the processor, whose threads may each take rows of their own.
    pub fn is_cpu(&self) -> bool {
        matches!(self.inner.as_dispatch(), DispatchDevice::Flex(_))
    }

    /// Waits until everything asked of the device is done.
    pub fn sync(&self) {
        // A failure to wait shows up in the next read of a tensor.
        let _ = self.inner.sync();
    }
}

/// A tensor's numbers on the host, row-major.
///
/// # Panics
/// Where the device has failed: no input brings that about, and no number may stand for what was lost.
pub fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.try_to_vec_as().unwrap_or_else(|error| panic!("the device failed: {error:?}"))
}

/// Moves a tensor's numbers to a place on the host, row-major, as many as it has room for.
///
/// # Panics
/// Where the device has failed.
pub fn host_into<const D: usize>(tensor: Tensor<D>, out: &mut [f32]) {
    let failed = |error: &dyn std::fmt::Debug| -> ! { panic!("the device failed: {error:?}") };
    let data = tensor.try_into_data_as::<f32>().unwrap_or_else(|error| failed(&error));
    match data.as_slice::<f32>() {
        Ok(values) => out.iter_mut().zip(values).for_each(|(out, value)| *out = *value),
        Err(error) => failed(&error),
    }
}

/// A tensor's numbers on the host in double precision, row-major.
///
/// # Panics
/// Where the device has failed.
pub fn host_f64<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.try_to_vec_as().unwrap_or_else(|error| panic!("the device failed: {error:?}"))
}

/// The number in a tensor of one element; NaN where it is empty.
pub fn scalar<const D: usize>(tensor: &Tensor<D>) -> f64 {
    host_f64(tensor).first().copied().unwrap_or(f64::NAN)
}

/// The same numbers outside any gradient graph.
pub fn untracked<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if tensor.is_autodiff() { tensor.inner() } else { tensor }
}

//! Between burn's tensors on `flex` and slices of f32.

use burn::Tensor;
use burn::backend::{Bytes, DType, DispatchDevice};
use burn::tensor::Shape;
use burn_flex::{FlexTensor, Layout};

use crate::limit::{Limit, limit};

/// Whether the fused bodies may run: f32 on flex, with or without autodiff, unless [`limit`] says otherwise.
pub(crate) fn fusable<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32
        && limit() != Limit::Plain
        && match tensor.device().as_dispatch() {
            DispatchDevice::Flex(_) => true,
            DispatchDevice::Autodiff(device) => matches!(&**device, DispatchDevice::Flex(_)),
            #[allow(unreachable_patterns)]
            _ => false,
        }
}

/// The tensor with its elements in order, copied only if they aren't.
pub(crate) fn in_order(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The elements of a tensor that is [`in_order`].
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_else(|| unreachable!("the tensor was put in order and is f32"))
}

/// The tensor as one whose buffer is its own and holds nothing else, copied only where it is shared.
pub(crate) fn own(tensor: FlexTensor) -> FlexTensor {
    own_or_shared(tensor).unwrap_or_else(|shared| {
        let shape = shared.layout().shape().clone();
        tensor_from(values(&shared).to_vec(), shape)
    })
}

/// The tensor in order: as one whose buffer is its own and holds nothing else, or else as it is.
pub(crate) fn own_or_shared(tensor: FlexTensor) -> Result<FlexTensor, FlexTensor> {
    let mut tensor = in_order(tensor);
    let whole = tensor.layout().start_offset() == 0
        && tensor.bytes().len() == tensor.layout().num_elements() * size_of::<f32>();
    if whole && tensor.try_storage_mut::<f32>().is_some() { Ok(tensor) } else { Err(tensor) }
}

/// A tensor around a buffer.
pub(crate) fn tensor_from(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

/// The sizes of a tensor's D sides.
pub(crate) fn sides<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.layout().shape().dims()
}

//! Numpy arrays as rows of the library, read where they lie, and results as arrays.
//!
//! A C-contiguous array of u8, u16, f32 or f64 is never copied as a whole: the library reads rows of it by position. Whoever
//! changes it while it is read changes what is read; python/latent says so.

use std::sync::Arc;

use latent::array::Array;
use latent::data::table::WordColumn;
use latent::data::{Bytes, Memory, SampleShape, StoredType, Values};
use numpy::{
    Element, PyArray1, PyArray2, PyArrayDyn, PyArrayMethods, PyReadonlyArray1, PyReadonlyArrayDyn,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// Rows in memory, with what is known of each.
#[pyclass(frozen, module = "latent._latent")]
pub struct Rows {
    memory: Memory,
    count: usize,
}

/// The bytes of an array that Python owns.
struct Borrowed {
    /// Keeps the array alive; its memory does not move while it is.
    _owner: Py<PyAny>,
    start: *const u8,
    length: usize,
}

// SAFETY: the bytes are read alone, the owner is dropped under the GIL or handed to Python to be dropped.
unsafe impl Send for Borrowed {}
// SAFETY: as above.
unsafe impl Sync for Borrowed {}

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `start` and `length` are those of the owner's buffer, which lives as long as the owner.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

/// Array → its numbers, not copied; none where it holds another type.
fn borrowed<T: Element>(
    array: &Bound<'_, PyAny>,
    number: StoredType,
) -> PyResult<Option<(Values, Vec<usize>)>> {
    let Ok(typed) = array.cast::<PyArrayDyn<T>>() else { return Ok(None) };
    let readonly: PyReadonlyArrayDyn<'_, T> = typed.readonly();
    let slice = readonly.as_slice().map_err(|_| {
        PyValueError::new_err("the array is not C-contiguous: give numpy.ascontiguousarray(X)")
    })?;
    let bytes: Arc<dyn Bytes> = Arc::new(Borrowed {
        _owner: array.clone().unbind(),
        start: slice.as_ptr().cast(),
        length: std::mem::size_of_val(slice),
    });
    Ok(Some((Values::shared(number, bytes), typed.shape().to_vec())))
}

#[pymethods]
impl Rows {
    /// `values` is `[n, columns]`, `[n, height, width]` or `[n, channels, height, width]`.
    #[new]
    #[pyo3(signature = (values, columns=None, labels=None, conditions=None, mask=None, weight=None))]
    fn new(
        values: &Bound<'_, PyAny>,
        columns: Option<Vec<String>>,
        labels: Option<Vec<String>>,
        conditions: Option<Vec<(String, Vec<f64>)>>,
        mask: Option<Vec<bool>>,
        weight: Option<Vec<f32>>,
    ) -> PyResult<Self> {
        let found = match borrowed::<f32>(values, StoredType::F32)? {
            Some(found) => Some(found),
            None => match borrowed::<f64>(values, StoredType::F64)? {
                Some(found) => Some(found),
                None => match borrowed::<u8>(values, StoredType::U8)? {
                    Some(found) => Some(found),
                    None => borrowed::<u16>(values, StoredType::U16)?,
                },
            },
        };
        let Some((numbers, sides)) = found else {
            return Err(PyTypeError::new_err("rows are numpy arrays of float32, float64, uint8 or uint16"));
        };
        let shape = match sides[..] {
            [_, columns] => SampleShape::Vector { columns },
            [_, height, width] => SampleShape::Image { channels: 1, height, width },
            [_, channels, height, width] => SampleShape::Image { channels, height, width },
            _ => {
                let what = format!("an array of {} axes is neither a table nor images", sides.len());
                return Err(PyValueError::new_err(what));
            }
        };
        let mut memory = match columns {
            Some(names) => {
                if shape != (SampleShape::Vector { columns: names.len() }) {
                    return Err(PyValueError::new_err(format!("{} names for rows of {shape}", names.len())));
                }
                Memory::table(names, numbers)
            }
            None => Memory::new(shape, numbers),
        };
        if let Some(labels) = labels {
            memory = memory.labels(labels);
        }
        for (name, values) in conditions.into_iter().flatten() {
            memory = memory.condition(name, values);
        }
        if let Some(mask) = mask {
            memory = memory.mask(mask);
        }
        if let Some(weight) = weight {
            memory = memory.weight(weight);
        }
        Ok(Self { memory, count: sides[0] })
    }

    /// A table of mixed columns: of each its name, its different words (an empty one for a gap) and the place of each row's.
    #[staticmethod]
    fn of_words(columns: Vec<(String, Vec<String>, PyReadonlyArray1<'_, u32>)>) -> PyResult<Self> {
        let mut cells = Vec::with_capacity(columns.len());
        for (name, words, of) in columns {
            let of = of.as_slice().map_err(|_| PyValueError::new_err("places are not contiguous"))?.to_vec();
            cells.push(WordColumn { name, words, of });
        }
        if cells.is_empty() {
            return Err(PyValueError::new_err("a table without columns: give at least one"));
        }
        let count = cells.first().map_or(0, |column| column.of.len());
        Ok(Self { memory: Memory::cells(cells), count })
    }

    fn __len__(&self) -> usize {
        self.count
    }
}

impl Rows {
    /// As the library takes them: nothing of the numbers is copied.
    pub fn memory(&self) -> Memory {
        self.memory.clone()
    }
}

/// `[rows, width]` as an array of the same.
pub fn matrix<'py>(py: Python<'py>, array: Array) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (rows, width) = (array.rows(), array.width());
    PyArray1::from_vec(py, array.values).reshape([rows, width])
}

/// Numbers in rows of `shape`.
pub fn shaped<'py>(
    py: Python<'py>,
    values: Vec<f64>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
    PyArray1::from_vec(py, values).reshape(shape.to_vec())
}

/// Codes that Python gives.
pub fn codes(array: &Bound<'_, PyAny>) -> PyResult<Array> {
    let typed = array
        .cast::<PyArray2<f32>>()
        .map_err(|_| PyTypeError::new_err("codes are a float32 array of two axes"))?;
    let width = typed.shape()[1];
    let readonly = typed.readonly();
    let values = readonly.as_slice().map_err(|_| PyValueError::new_err("the codes are not C-contiguous"))?;
    Ok(Array::matrix(values.to_vec(), width))
}

//! Numbers on the host with a shape: what goes to and comes from files and pictures.

/// A row-major array of f32.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Array {
    /// The shape.
    pub shape: Vec<usize>,
    /// As many as the shape says.
    pub values: Vec<f32>,
}

impl Array {
    /// `rows × width`
    pub fn matrix(values: Vec<f32>, width: usize) -> Self {
        Self { shape: vec![values.len() / width.max(1), width], values }
    }

    /// The first side.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// The numbers of one row.
    pub fn width(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// One row.
    pub fn row(&self, index: usize) -> &[f32] {
        let width = self.width();
        &self.values[index * width..(index + 1) * width]
    }
}

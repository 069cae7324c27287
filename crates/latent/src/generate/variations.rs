//! Variations about a row: what its own posterior holds to be the same, and a little more.
//!
//! ```text
//! z = μ(x) + s σ(x) ε,   ε ~ N(0, I),   μ and σ the mean and standard deviation of q(z|x)
//! ```
//!
//! At s = 1 these are draws of a diagonal normal q(z|x), which the decoder has learned to take for the row itself; at a
//! larger s its relatives.

use super::{Observe, Result, Samples, Told};
use crate::array::Array;
use crate::data::Rows;
use crate::figure::{Figure, GridLabels, Images, image_sheet};
use crate::key::Key;
use crate::model::{Model, ModelError};

impl Model {
    /// `count` variations about the first of `rows`, `spread` (s) times as wide as q(z|x), each decoded as what the first row
    /// of `told` says: [`Told::of`] the rows for what they are.
    ///
    /// # Errors
    /// As [`Model::encode`] and [`Model::has_directions`]; [`ModelError::Shape`] where `told` is not what the model wants;
    /// [`ModelError::Foreign`] for no row, a posterior without a standard
    /// deviation, and a spread that is below 0 or no number.
    pub fn variations(
        &self,
        rows: &Rows,
        told: &Told,
        count: usize,
        spread: f64,
        observe: Observe,
        key: Key,
    ) -> Result<Samples> {
        self.has_directions()?;
        let refused =
            |what: &str, remedy: &str| ModelError::Foreign { what: what.into(), remedy: remedy.into() };
        if rows.is_empty() {
            return Err(refused("there is no row to vary", "give one").into());
        }
        if !(spread.is_finite() && spread >= 0.0) {
            let what = format!("a spread of {spread} is no width");
            return Err(refused(&what, "give a number from 0 on, such as 1").into());
        }
        let codes = self.encode(rows)?;
        let Some(deviation) = codes.deviation else {
            let what =
                "q(z|x) of this model has no standard deviation, so nothing says how far a row may vary";
            let remedy = "move rows along a direction with latent edit, or train a model whose posterior is \
                          diagonal-normal, such as --preset vae";
            return Err(refused(what, remedy).into());
        };
        let mut noise = vec![0.0; self.dims()];
        let mut values = Vec::with_capacity(count * self.dims());
        for draw in 0..count {
            key.fold("variation").fold(draw).normals(&mut noise);
            let row = codes.mean.row(0).iter().zip(deviation.row(0)).zip(&noise);
            values.extend(row.map(|((mean, deviation), e)| mean + spread as f32 * deviation * e));
        }
        told.is_of(rows.len())?;
        let told = told.select(&vec![0; count]);
        self.decode_told(&Array::matrix(values, self.dims()), &told, observe, key)
    }

    /// A sheet of the first of `rows`, what comes back of its code under what is `told`, and the variations about it.
    ///
    /// # Errors
    /// As [`Model::reconstruct`]; rows that are no pictures.
    pub fn variations_sheet(
        &self,
        rows: &Rows,
        told: &Told,
        variations: &Samples,
        title: &str,
    ) -> Result<Figure> {
        let (row, back) = (Samples::new(rows.x.clone(), &self.facts), self.reconstruct_as(rows, told)?);
        let [channels, height, width] = variations.pictures()?.shape();
        let size = channels * height * width;
        let mut pixels = Vec::new();
        for one in [&row, &back] {
            pixels.extend(one.pictures()?.pixels().iter().take(size));
        }
        pixels.extend(variations.pictures()?.pixels());
        let mut captions = vec!["the row".to_string(), "its code, decoded".into()];
        captions.resize(pixels.len() / size, String::new());
        let images = Images::new(&pixels, channels, height, width)?;
        let columns = (captions.len() as f64).sqrt().ceil().max(5.0) as usize;
        Ok(image_sheet(
            &images,
            &captions,
            &GridLabels { columns: Some(columns), ..GridLabels::titled(title) },
        )?)
    }
}

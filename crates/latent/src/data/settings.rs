//! The `[data]` table of a run: which data, cut how, shown to the model in which form.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DataError;
use super::condition::is_label;
use super::table::Constraint;
use crate::Key;

/// Where x comes from and what is done to it before the model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataSettings {
    /// A path, or a name: `embedded`, `fashion-mnist`, `mnist`, `shapes`.
    pub source: String,
    /// What the splits, the rows of `limit`, and the bits of held-out rows (and of all, where they are drawn once) descend
    /// from: runs of several seeds share them. None, as in runs of version 0.1: the key that the data is opened with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The csv column that holds the class of each row; it is not part of x.
    pub label: Option<String>,
    /// The csv column whose equal values stay in one split; it is not part of x.
    pub group: Option<String>,
    /// Use the rows of these classes alone, by name or number: other rows are in no split. Default: all. Other data
    /// that is opened for a trained model keeps all its rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<Class>,
    /// What the model is told beside x: `label` for the class of each row, other names for columns of numbers, which
    /// then are no part of x. Default: nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub condition: Vec<String>,
    /// Learn around conditions that are unknown: each is hidden from a training row with this probability, so that the
    /// model learns p(x) beside p(x | c), and rows may lack it (0 hides none beside those). Default: every row must have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition_dropout: Option<f64>,
    /// The table that says attributes of images: a csv file beside the folder's images, whose first column names the file and
    /// whose others are attributes, numbers or words, for `label` and `condition`. An empty cell is an unknown value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<String>,
    /// Attributes of images in their file names: `{label}_{age}_*` reads `Dress_40_0017.png`; `*` stands for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Fraction of the rows, or other data, for validation. Default: a tenth.
    pub validation: Option<Part>,
    /// Fraction of the rows, or other data, for the test. Default: the test set that lies beside the data
    /// (the `t10k` files of an idx folder), else a tenth. A fraction always takes rows of the source itself.
    pub test: Option<Part>,
    /// Whether and how x in [0, 1] becomes 0 or 1.
    pub binarize: Binarize,
    /// From which x on a value is 1 under `binarize = "threshold"`.
    pub threshold: f32,
    /// Whether the first line of a csv file names its columns.
    #[serde(skip_serializing_if = "Header::is_auto")]
    pub header: Header,
    /// What the columns of a csv file are taken for.
    #[serde(skip_serializing_if = "TableAs::is_auto")]
    pub table: TableAs,
    /// What single columns of a mixed table are, where it is not found out rightly: `[data.columns.age] kind = "number"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ColumnSettings>,
    /// What holds in every row of a mixed table, and in every row that is made: `"start <= end"` (numbers or dates; `<` too),
    /// `"total = net + tax"`, `"city -> country"` (one country for each city), `"age in 0..120"`. A name that holds an operator
    /// stands in double quotes or backticks. `latent data inspect` suggests some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    /// How images are brought to one shape.
    pub image: ImageSettings,
    /// Random mirroring of training images.
    pub flip: Flip,
    /// The order of axes of four-dimensional arrays.
    pub layout: Layout,
    /// The array of an npz file that holds x. Default: the only one, or `x`, `data`, `images`, `arr_0`.
    pub array: Option<String>,
    /// How values become x.
    pub normalise: Normalise,
    /// Use this many rows, chosen by `seed`.
    pub limit: Option<u64>,
    /// Threads that decode and prepare rows; 0 takes one a core, eight at most.
    pub workers: usize,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            source: String::new(),
            seed: Some(Self::SEED),
            label: None,
            group: None,
            classes: Vec::new(),
            condition: Vec::new(),
            condition_dropout: None,
            attributes: None,
            pattern: None,
            validation: None,
            test: None,
            binarize: Binarize::None,
            threshold: 0.5,
            header: Header::Auto,
            table: TableAs::Auto,
            columns: BTreeMap::new(),
            constraints: Vec::new(),
            image: ImageSettings::default(),
            flip: Flip::None,
            layout: Layout::Auto,
            array: None,
            normalise: Normalise::Auto,
            limit: None,
            workers: 0,
        }
    }
}

/// A class of labelled rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected the name of a class such as \"Trouser\", or its number")]
pub enum Class {
    /// The class whose name is this number, or else the one in this place, counted from 0.
    Number(u32),
    /// The class of this name.
    Name(String),
}

/// What a split is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a fraction such as 0.1, or the path of other data")]
pub enum Part {
    /// This fraction of the rows, drawn by `seed`.
    Fraction(f64),
    /// All rows of other data.
    Path(String),
}

/// How grey values in [0, 1] become bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Binarize {
    /// They don't.
    #[default]
    None,
    /// 1 from `threshold` on.
    Threshold,
    /// 1 with probability x, drawn once.
    Static,
    /// 1 with probability x, drawn anew each epoch; validation and test are drawn once.
    Dynamic,
}

/// What the first line of a csv file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Header {
    /// The names of the columns, unless it looks like the rows below it.
    #[default]
    Auto,
    /// The names of the columns, also where they are numbers.
    FirstLine,
    /// A row: the columns are called `column-1`, `column-2` …
    None,
}

impl Header {
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// What the columns of a csv file are taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TableAs {
    /// Numbers, where every cell is one; mixed columns otherwise.
    #[default]
    Auto,
    /// Numbers: anything else is an error.
    Numbers,
    /// Mixed columns: what each is (a number, a category, a date …) is found out.
    Mixed,
}

impl TableAs {
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// What one column of a mixed table is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnSettings {
    /// What the column is. Default: found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ColumnKind>,
    /// How dates are written: `Y` year, `m` month, `d` day, `H` hour, `M` minute, `S` second, `f` its decimals, `z` the
    /// zone, as in `d.m.Y H:M`. Default: found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The words that stand for empty cells. Default: the usual ones, such as `?` and `NA`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// What a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// Numbers.
    Number,
    /// One of some words.
    Category,
    /// Dates or times.
    Date,
    /// Another word in every row: not modelled, made anew.
    Identifier,
    /// Left out of the model and of what it writes.
    Drop,
}

/// How images are brought to one shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageSettings {
    /// `[height, width]`, or one number for a square. Default: as they are, if all have one size.
    pub size: Option<Size>,
    /// What is cut out before resizing. Default: with `size`, the largest centred window of its proportions
    /// (a square for a square); without, everything.
    pub crop: Option<Crop>,
    /// How many channels.
    pub channels: Channels,
}

/// Height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number of pixels, or [height, width]")]
pub enum Size {
    /// A square.
    Square(usize),
    /// `[height, width]`
    Sides([usize; 2]),
}

impl Size {
    /// `(height, width)`
    pub fn sides(self) -> (usize, usize) {
        match self {
            Self::Square(side) => (side, side),
            Self::Sides([height, width]) => (height, width),
        }
    }
}

/// The window of an image that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected \"centre-square\", \"none\" or [height, width]")]
pub enum Crop {
    /// By name.
    Named(NamedCrop),
    /// `[height, width]` around the centre.
    Sides([usize; 2]),
}

/// A window that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NamedCrop {
    /// The largest centred window with the proportions of `image.size`: without it, a square.
    CentreSquare,
    /// Everything; resizing may then distort.
    None,
}

/// Grey or colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// As stored; a folder must hold one sort.
    #[default]
    Auto,
    /// Colour becomes its luminance (Rec. 709).
    Grey,
    /// Grey is repeated in three channels.
    Colour,
}

/// Mirroring of training images, by a coin for each row and epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    /// Never.
    #[default]
    None,
    /// Left and right are exchanged.
    Horizontal,
    /// `horizontal` where training images look the same in a mirror, which is tested, and have no classes and no condition; else
    /// `none`, and `run.toml` says which. What images have that a run for samples learns from.
    Auto,
}

/// The order of axes of a four-dimensional array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// The axis of 1 to 4 is the channel's, if only one of the two candidates is.
    #[default]
    Auto,
    /// `[n, channels, height, width]`
    Nchw,
    /// `[n, height, width, channels]`
    Nhwc,
}

/// How values become x.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalise {
    /// Images to [0, 1], columns of a table to mean 0 and variance 1, zeros and ones as they are.
    #[default]
    Auto,
    /// x is the value.
    None,
    /// To [0, 1]: levels by their type, other numbers by the observed range (of each column, in a table).
    Unit,
    /// To mean 0 and variance 1 over the training rows: each column of a table, an image as a whole.
    Standardise,
}

impl DataSettings {
    /// The seed of data that is given none.
    pub const SEED: u64 = 1;

    /// What the splits descend from, in a run with this seed.
    pub fn split_seed(&self, run: u64) -> u64 {
        self.seed.unwrap_or(run)
    }

    /// The key of splits and of bits that are drawn once, where the data has a seed of its own.
    pub(crate) fn key(&self) -> Option<Key> {
        self.seed.map(|seed| Key::from_seed(seed).fold("data"))
    }

    /// Refuses what no data could satisfy.
    ///
    /// # Errors
    /// [`DataError::Setting`] names the key.
    pub fn check(&self) -> Result<(), DataError> {
        if self.source.is_empty() {
            return Err(DataError::setting(
                "source",
                "no data is named",
                "give a path, or one of the names embedded, fashion-mnist, mnist, shapes",
            ));
        }
        let mut held_out = 0.0;
        for (key, part) in [("validation", &self.validation), ("test", &self.test)] {
            match part {
                Some(Part::Fraction(fraction)) if !(0.0..1.0).contains(fraction) => {
                    return Err(DataError::setting(
                        key,
                        format!("{fraction} is not a fraction"),
                        "give a number from 0 up to, but not including, 1, or the path of other data",
                    ));
                }
                Some(Part::Fraction(fraction)) => held_out += fraction,
                Some(Part::Path(path)) if path.is_empty() => {
                    return Err(DataError::setting(key, "the path is empty", "give a path or a fraction"));
                }
                Some(Part::Path(_)) => {}
                None => held_out += 0.1,
            }
        }
        if held_out >= 1.0 {
            return Err(DataError::setting(
                "test",
                format!("validation and test together take {held_out} of the rows"),
                "leave some for training",
            ));
        }
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            return Err(DataError::setting(
                "threshold",
                format!("{} is outside of (0, 1]", self.threshold),
                "x lies between 0 and 1; 0.5 is usual",
            ));
        }
        if self.binarize != Binarize::None && matches!(self.normalise, Normalise::Standardise) {
            return Err(DataError::setting(
                "binarize",
                "bits are drawn from x in [0, 1], and standardised x is not",
                "set data.normalise = \"unit\" or data.binarize = \"none\"",
            ));
        }
        for text in &self.constraints {
            Constraint::parse(text)
                .map_err(|(what, remedy)| DataError::setting("constraints", what, remedy))?;
        }
        if !self.constraints.is_empty() && self.table == TableAs::Numbers {
            return Err(DataError::setting(
                "constraints",
                "they are kept in tables of mixed columns, and data.table = \"numbers\" asks for another",
                "leave data.table out",
            ));
        }
        if let Some(size) = self.image.size {
            check_sides("image.size", size.sides())?;
        }
        if let Some(Crop::Sides([height, width])) = self.image.crop {
            check_sides("image.crop", (height, width))?;
        }
        for (index, name) in self.condition.iter().enumerate() {
            let before = &self.condition[..index];
            if before.contains(name) || (is_label(self, name) && before.iter().any(|b| is_label(self, b))) {
                return Err(DataError::setting(
                    "condition",
                    format!("{name:?} is named twice"),
                    "name each condition once (\"label\" is the column of data.label)",
                ));
            }
        }
        if let Some(dropout) = self.condition_dropout {
            if !(0.0..1.0).contains(&dropout) {
                let what = format!("{dropout} is no probability below 1");
                return Err(DataError::setting("condition_dropout", what, "give 0.1, or 0 to hide nothing"));
            }
            if self.condition.is_empty() {
                let remedy =
                    "say what the model is told, such as data.condition = [\"label\"], or leave it out";
                return Err(DataError::setting("condition_dropout", "there is no condition to hide", remedy));
            }
        }
        if self.limit == Some(0) {
            return Err(DataError::setting("limit", "0 rows are no data", "leave it out to use all rows"));
        }
        if self.workers > 256 {
            return Err(DataError::setting(
                "workers",
                format!("{} threads are too many", self.workers),
                "256 at most; 0 takes one a core",
            ));
        }
        Ok(())
    }

    /// The number of threads: [`workers`](Self::workers), or one a core up to eight.
    pub fn threads(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(2, usize::from).min(8),
            workers => workers,
        }
    }

    /// The settings that change x, in a fixed order, as part of the data's hash. Paths are no part of it:
    /// what they hold is hashed, and where it lies changes nothing. `is_split` is whether rows were drawn into splits.
    pub(crate) fn fingerprint(&self, is_split: bool) -> String {
        let Self { binarize, threshold, image, layout, array, normalise, limit, label, group, .. } = self;
        // Mirrors change what training sees and not what there is; the word stands so that older hashes do.
        let flip = Flip::None;
        let [validation, test] = [&self.validation, &self.test].map(|part| match part {
            Some(Part::Fraction(fraction)) => Some(*fraction),
            Some(Part::Path(_)) | None => None,
        });
        let mut text = format!(
            "{binarize:?} {threshold} {image:?} {flip:?} {layout:?} {array:?} {normalise:?} {limit:?} {label:?} \
             {group:?} {validation:?} {test:?}"
        );
        // Keys that came later count only where they are used, so that the hashes of older runs stand.
        if !self.classes.is_empty() {
            text.push_str(&format!(" {:?}", self.classes));
        }
        if self.header != Header::Auto {
            text.push_str(&format!(" header {:?}", self.header));
        }
        if !self.condition.is_empty() {
            text.push_str(&format!(" condition {:?}", self.condition));
        }
        if let Some(dropout) = self.condition_dropout {
            text.push_str(&format!(" condition dropout {dropout}"));
        }
        if let Some(pattern) = &self.pattern {
            text.push_str(&format!(" pattern {pattern:?}"));
        }
        if self.table != TableAs::Auto {
            text.push_str(&format!(" table {:?}", self.table));
        }
        if !self.columns.is_empty() {
            text.push_str(&format!(" columns {:?}", self.columns));
        }
        if !self.constraints.is_empty() {
            text.push_str(&format!(" constraints {:?}", self.constraints));
        }
        let draws = is_split || matches!(binarize, Binarize::Static | Binarize::Dynamic);
        if let Some(seed) = self.seed.filter(|_| draws) {
            text.push_str(&format!(" seed {seed}"));
        }
        text
    }
}

fn check_sides(key: &'static str, (height, width): (usize, usize)) -> Result<(), DataError> {
    const MOST: usize = 8192;
    if (1..=MOST).contains(&height) && (1..=MOST).contains(&width) {
        return Ok(());
    }
    Err(DataError::setting(
        key,
        format!("{height}×{width} is no size of an image"),
        format!("give sides from 1 to {MOST}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_reads_in_plain_words() {
        let settings: DataSettings = toml::from_str(
            "source = 'faces'\nvalidation = 0.2\ntest = 'other'\nbinarize = 'dynamic'\nflip = 'horizontal'\n\
             [image]\nsize = 64\ncrop = [89, 89]\nchannels = 'grey'",
        )
        .unwrap();
        assert_eq!(settings.validation, Some(Part::Fraction(0.2)));
        assert_eq!(settings.test, Some(Part::Path("other".into())));
        assert_eq!(settings.image.size.unwrap().sides(), (64, 64));
        assert_eq!(settings.image.crop, Some(Crop::Sides([89, 89])));
        settings.check().unwrap();
        let again: DataSettings = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
        assert_eq!(again, settings);
        let some: DataSettings = toml::from_str("source = 'x'\nclasses = ['Trouser', 3]").unwrap();
        assert_eq!(some.classes, [Class::Name("Trouser".into()), Class::Number(3)]);
        assert_ne!(
            some.fingerprint(true),
            DataSettings { classes: Vec::new(), ..some.clone() }.fingerprint(true)
        );
        // Without a seed: as version 0.1 has it.
        let seeded = |seed| DataSettings { seed, ..some.clone() };
        assert_eq!((some.seed, seeded(None).fingerprint(true)), (None, some.fingerprint(true)));
        assert_ne!(seeded(Some(1)).fingerprint(true), seeded(Some(2)).fingerprint(true));
        assert_eq!(seeded(Some(1)).fingerprint(false), seeded(Some(2)).fingerprint(false));
        let named: DataSettings =
            toml::from_str("image.size = [3, 4]\nimage.crop = 'centre-square'").unwrap();
        assert_eq!(named.image.crop, Some(Crop::Named(NamedCrop::CentreSquare)));
    }

    #[test]
    fn what_no_data_could_satisfy_is_refused() {
        for (text, key) in [
            ("", "data.source"),
            ("source = 'x'\nvalidation = 1.0", "data.validation"),
            ("source = 'x'\nvalidation = 0.5\ntest = 0.5", "data.test"),
            ("source = 'x'\nthreshold = nan", "data.threshold"),
            ("source = 'x'\nbinarize = 'static'\nnormalise = 'standardise'", "data.binarize"),
            ("source = 'x'\nimage.size = 0", "data.image.size"),
            ("source = 'x'\nlimit = 0", "data.limit"),
            ("source = 'x'\nconstraints = ['a <= b', 'a ? b']", "data.constraints"),
            ("source = 'x'\nconstraints = ['a <= b']\ntable = 'numbers'", "data.constraints"),
        ] {
            let settings: DataSettings = toml::from_str(text).unwrap();
            let message = settings.check().unwrap_err().to_string();
            assert!(message.starts_with(key), "{message}");
        }
        assert!(toml::from_str::<DataSettings>("sauce = 'x'").is_err());
        let wrong = toml::from_str::<DataSettings>("image.size = 'big'").unwrap_err().to_string();
        assert!(wrong.contains("[height, width]"), "{wrong}");
    }
}

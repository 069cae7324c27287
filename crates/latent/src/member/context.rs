//! What members know of the data and of each other before any of them is built.

use crate::batch::LatentShape;
use crate::config::ConfigError;
use crate::data::{Data, Facts, SampleShape};

/// Facts and declarations. Each member reads what those before it declared and adds its own.
#[derive(Clone)]
pub struct Context<'a> {
    /// What the data is.
    pub facts: &'a Facts,
    /// The data itself, where a model is built to be trained on it.
    pub data: Option<&'a Data>,
    /// Where the table of the member under way stands, such as `objective.terms.rate`: for messages.
    pub path: String,
    /// By the likelihood: what the decoder gives.
    pub outputs: Outputs,
    /// By the posterior: the blocks of z.
    pub latent: LatentShape,
    /// By the posterior: what the encoder gives.
    pub heads: SampleShape,
    /// By the posterior: what the decoder sees of a code.
    pub features: SampleShape,
    /// By the posterior: whether q has a density; a point mass has none.
    pub has_density: bool,
    /// By the posterior: whether q(z|x) of a code that was not drawn from it is found one dimension after the other.
    pub is_sequential: bool,
    /// By the posterior: whether its density is a product over dimensions, each known by itself.
    pub posterior_factorises: bool,
    /// By the prior: whether its density is a product over dimensions, so that a rate splits over them.
    pub prior_factorises: bool,
    /// From what to what the network under way goes.
    pub wiring: Wiring,
    /// By the objective: its terms, the one under way last.
    pub terms: Vec<TermFacts>,
    /// Who couples the rows of a batch, so that it cannot be split for accumulation.
    pub couplings: Vec<Coupling>,
}

/// What a term is, for those that must go together with it.
#[derive(Clone, Debug)]
pub struct TermFacts {
    /// The name that the user gave it.
    pub name: String,
    /// Which member it is.
    pub kind: String,
    /// Its final weight.
    pub weight: f64,
    /// Whether the weight is that from the start.
    pub constant: bool,
    /// Whether the loss takes something else than the log shows (free bits).
    pub own_penalty: bool,
}

/// What a likelihood wants from the decoder.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// The parameters of a row, parameter-major: an image with so many times the channels, or a longer vector.
    pub shape: SampleShape,
    /// Where the last layer's bias starts, one number per output, if the likelihood knows better than 0.
    pub bias: Option<Vec<f32>>,
}

impl Outputs {
    /// `parameters` numbers for each feature of a sample.
    pub fn each(sample: SampleShape, parameters: usize, bias: Option<Vec<f32>>) -> Self {
        let shape = match sample {
            SampleShape::Image { channels, height, width } => {
                SampleShape::Image { channels: channels * parameters, height, width }
            }
            SampleShape::Vector { columns } => SampleShape::Vector { columns: columns * parameters },
        };
        Self { shape, bias }
    }
}

/// Which of the two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// f, from x.
    Encoder,
    /// g, to the likelihood's parameters; architectures mirror themselves here.
    Decoder,
}

/// From what to what a network goes.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// f or g.
    pub role: Role,
    /// The shape of an input row.
    pub from: SampleShape,
    /// The shape of an output row.
    pub to: SampleShape,
    /// Where the last bias starts, one number per output, if not at 0.
    pub bias: Option<Vec<f32>>,
    /// How many numbers of a condition come beside each row.
    pub condition: usize,
}

/// Somebody whose value for a row depends on the other rows of its batch.
#[derive(Clone, Debug)]
pub struct Coupling {
    /// Who and how, such as "the term `mmd` couples the rows of a batch".
    pub what: String,
    /// Another way out than not to accumulate; may be empty.
    pub instead: String,
}

impl<'a> Context<'a> {
    /// Nothing declared yet.
    pub fn new(facts: &'a Facts) -> Self {
        let none = SampleShape::Vector { columns: 0 };
        Self {
            facts,
            data: None,
            path: String::new(),
            outputs: Outputs { shape: none, bias: None },
            latent: LatentShape { blocks: Vec::new() },
            heads: none,
            features: none,
            has_density: true,
            is_sequential: false,
            posterior_factorises: true,
            prior_factorises: true,
            wiring: Wiring { role: Role::Encoder, from: none, to: none, bias: None, condition: 0 },
            terms: Vec::new(),
            couplings: Vec::new(),
        }
    }

    /// How many numbers of a condition come beside each row.
    pub fn condition(&self) -> usize {
        self.facts.condition_width()
    }

    /// The term under way.
    pub fn term(&mut self) -> Option<&mut TermFacts> {
        self.terms.last_mut()
    }

    /// Says that rows of a batch are coupled.
    pub fn couple(&mut self, what: impl Into<String>, instead: impl Into<String>) {
        self.couplings.push(Coupling { what: what.into(), instead: instead.into() });
    }

    /// Runs a declaration of the member whose table stands at `path`; its errors name the keys there.
    ///
    /// # Errors
    /// Those of `declare`.
    pub fn at<T>(
        &mut self,
        path: &str,
        declare: impl FnOnce(&mut Self) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        let before = std::mem::replace(&mut self.path, path.into());
        let result = declare(self).map_err(|error| error.within(path));
        self.path = before;
        result
    }

    /// The same of a member inside the one under way, in its table `key`.
    ///
    /// # Errors
    /// Those of `declare`.
    pub fn inside<T>(
        &mut self,
        key: &str,
        declare: impl FnOnce(&mut Self) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        let outer = self.path.clone();
        self.path = format!("{outer}.{key}");
        // The outer call adds the outer path.
        let result = declare(self).map_err(|error| error.within(key));
        self.path = outer;
        result
    }
}

//! A graph of operations in the ONNX format, which other runtimes run without us.
//!
//! A [`Graph`] is written node by node, each with the shape that it has beside the batch, whose size stays open. What a
//! member adds to it stands beside its own function: layers in `network`, centres in `model`, the whole in `generate`.
//!
//! ```text
//! here       Graph and Node: one function an operation
//! protobuf   the bytes: tags, lengths and numbers
//! ```
//!
//! Reference: the ONNX specification, operators of set 18 (onnx.ai/onnx/operators).

mod protobuf;

use latent_kernels::Activation;
use protobuf::Message;

/// The set of operators that graphs are written in.
pub const OPSET: i64 = 18;

/// The version of the format itself, the one that came with that set.
const IR_VERSION: i64 = 8;

/// The type of a tensor's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// 32-bit numbers.
    F32,
    /// 64-bit numbers.
    F64,
    /// Whole numbers, for places.
    I64,
}

impl Element {
    fn code(self) -> u64 {
        match self {
            Self::F32 => 1,
            Self::I64 => 7,
            Self::F64 => 11,
        }
    }
}

/// What a node gives: its name, and its shape without the batch.
#[derive(Clone, Debug)]
pub struct Node {
    name: String,
    /// `[features]`, or `[channels, height, width]`.
    pub shape: Vec<usize>,
}

impl Node {
    /// Numbers in a row of it.
    pub fn features(&self) -> usize {
        self.shape.iter().product()
    }
}

/// An attribute of an operation.
enum Attribute<'a> {
    Int(i64),
    Float(f32),
    Ints(&'a [i64]),
    Text(&'a str),
}

/// Operations in the making.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Message>,
    constants: Vec<Message>,
    inputs: Vec<Message>,
    outputs: Vec<Message>,
    metadata: Vec<(String, String)>,
    count: usize,
}

impl Graph {
    /// A named input, `[batch, …shape]`.
    pub fn input(&mut self, name: &str, element: Element, shape: &[usize]) -> Node {
        self.inputs.push(value_info(name, element, shape));
        Node { name: name.into(), shape: shape.to_vec() }
    }

    /// Makes `node` an output under a name.
    pub fn output(&mut self, name: &str, element: Element, node: &Node) {
        self.push("Identity", &[&node.name], name, &[]);
        self.outputs.push(value_info(name, element, &node.shape));
    }

    /// Says something about the graph.
    pub fn note(&mut self, key: &str, value: impl Into<String>) {
        self.metadata.push((key.into(), value.into()));
    }

    /// The bytes of an ONNX file.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let mut graph = Message::default();
        self.nodes.iter().for_each(|node| graph.message(1, node));
        graph.text(2, name);
        self.constants.iter().for_each(|constant| graph.message(5, constant));
        self.inputs.iter().for_each(|input| graph.message(11, input));
        self.outputs.iter().for_each(|output| graph.message(12, output));
        let mut model = Message::default();
        model.int(1, IR_VERSION as u64);
        model.text(2, "latent");
        model.text(3, env!("CARGO_PKG_VERSION"));
        model.message(7, &graph);
        let mut opset = Message::default();
        opset.text(1, "");
        opset.int(2, OPSET as u64);
        model.message(8, &opset);
        for (key, value) in &self.metadata {
            let mut entry = Message::default();
            entry.text(1, key);
            entry.text(2, value);
            model.message(14, &entry);
        }
        model.into_bytes()
    }

    fn name(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{}_{}", kind.to_ascii_lowercase(), self.count)
    }

    fn push(&mut self, kind: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute<'_>)]) {
        let mut node = Message::default();
        inputs.iter().for_each(|input| node.text(1, input));
        node.text(2, output);
        node.text(3, output);
        node.text(4, kind);
        for (name, attribute) in attributes {
            let mut own = Message::default();
            own.text(1, name);
            match attribute {
                Attribute::Float(value) => {
                    own.float(2, *value);
                    own.int(20, 1);
                }
                Attribute::Int(value) => {
                    own.int(3, *value as u64);
                    own.int(20, 2);
                }
                Attribute::Text(value) => {
                    own.text(4, value);
                    own.int(20, 3);
                }
                Attribute::Ints(values) => {
                    values.iter().for_each(|value| own.int(8, *value as u64));
                    own.int(20, 7);
                }
            }
            node.message(5, &own);
        }
        self.nodes.push(node);
    }

    fn op(
        &mut self,
        kind: &str,
        inputs: &[&str],
        shape: &[usize],
        attributes: &[(&str, Attribute<'_>)],
    ) -> Node {
        let name = self.name(kind);
        self.push(kind, inputs, &name, attributes);
        Node { name, shape: shape.to_vec() }
    }

    fn keep(&mut self, element: Element, shape: &[usize], bytes: Vec<u8>) -> String {
        let name = self.name("constant");
        let mut tensor = Message::default();
        shape.iter().for_each(|&side| tensor.int(1, side as u64));
        tensor.int(2, element.code());
        tensor.text(8, &name);
        tensor.bytes(9, &bytes);
        self.constants.push(tensor);
        name
    }

    /// Numbers of a model.
    fn numbers(&mut self, values: &[f32], shape: &[usize]) -> String {
        self.keep(Element::F32, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn wide_numbers(&mut self, values: &[f64], shape: &[usize]) -> String {
        self.keep(Element::F64, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn places(&mut self, values: &[i64]) -> String {
        self.keep(Element::I64, &[values.len()], values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// An operation of one node that keeps its shape.
    pub fn unary(&mut self, kind: &str, x: &Node) -> Node {
        self.op(kind, &[&x.name], &x.shape, &[])
    }

    /// An operation of two nodes of one shape.
    pub fn binary(&mut self, kind: &str, a: &Node, b: &Node) -> Node {
        self.op(kind, &[&a.name, &b.name], &a.shape, &[])
    }

    /// An operation of a node and constants that spread over it, `[1]` or with sides of its own.
    pub fn with(&mut self, kind: &str, x: &Node, values: &[f32], shape: &[usize]) -> Node {
        let constant = self.numbers(values, shape);
        self.op(kind, &[&x.name, &constant], &x.shape, &[])
    }

    /// The same in double precision.
    pub fn with_wide(&mut self, kind: &str, x: &Node, values: &[f64], shape: &[usize]) -> Node {
        let constant = self.wide_numbers(values, shape);
        self.op(kind, &[&x.name, &constant], &x.shape, &[])
    }

    /// x W for W `[inputs, outputs]` in double precision.
    pub fn product_wide(&mut self, x: &Node, values: &[f64], [inputs, outputs]: [usize; 2]) -> Node {
        let constant = self.wide_numbers(values, &[inputs, outputs]);
        self.op("MatMul", &[&x.name, &constant], &[outputs], &[])
    }

    /// x W + b for rows, W `[inputs, outputs]`.
    pub fn dense(&mut self, x: Node, weight: &[f32], bias: &[f32]) -> Node {
        let x = self.rows(x);
        let (inputs, outputs) = (x.features(), bias.len());
        let (weight, bias) = (self.numbers(weight, &[inputs, outputs]), self.numbers(bias, &[outputs]));
        self.op("Gemm", &[&x.name, &weight, &bias], &[outputs], &[])
    }

    /// A convolution with weights `[outputs, inputs, kernel, kernel]`.
    pub fn convolution(
        &mut self,
        x: Node,
        weight: &[f32],
        bias: &[f32],
        (kernel, stride, padding): (usize, usize, [usize; 2]),
    ) -> Node {
        let x = self.maps(x);
        let [inputs, height, width] = sides(&x);
        let outputs = bias.len();
        let side = |size: usize, padding: usize| (size + 2 * padding - kernel) / stride + 1;
        let shape = [outputs, side(height, padding[0]), side(width, padding[1])];
        let weight = self.numbers(weight, &[outputs, inputs, kernel, kernel]);
        let bias = self.numbers(bias, &[outputs]);
        let (k, s) = (kernel as i64, stride as i64);
        let [top, left] = padding.map(|p| p as i64);
        let attributes = [
            ("kernel_shape", Attribute::Ints(&[k, k])),
            ("strides", Attribute::Ints(&[s, s])),
            ("pads", Attribute::Ints(&[top, left, top, left])),
        ];
        self.op("Conv", &[&x.name, &weight, &bias], &shape, &attributes)
    }

    /// A transposed convolution with weights `[inputs, outputs, kernel, kernel]`, cut to `size`; `more` rows and columns at the end.
    pub fn transposed(
        &mut self,
        x: Node,
        weight: &[f32],
        bias: &[f32],
        (kernel, stride, padding, more): (usize, usize, usize, usize),
        size: [usize; 2],
    ) -> Node {
        let x = self.maps(x);
        let [inputs, height, width] = sides(&x);
        let outputs = bias.len();
        let weight = self.numbers(weight, &[inputs, outputs, kernel, kernel]);
        let bias = self.numbers(bias, &[outputs]);
        let [k, s, p, m] = [kernel, stride, padding, more].map(|number| number as i64);
        let attributes = [
            ("kernel_shape", Attribute::Ints(&[k, k])),
            ("strides", Attribute::Ints(&[s, s])),
            ("pads", Attribute::Ints(&[p, p, p, p])),
            ("output_padding", Attribute::Ints(&[m, m])),
        ];
        let side = |side: usize| (side - 1) * stride + kernel + more - 2 * padding;
        let whole = [outputs, side(height), side(width)];
        let y = self.op("ConvTranspose", &[&x.name, &weight, &bias], &whole, &attributes);
        let [h, w] = size;
        if whole[1..] == size {
            return y;
        }
        let (starts, ends) = (self.places(&[0, 0]), self.places(&[h as i64, w as i64]));
        let axes = self.places(&[2, 3]);
        self.op("Slice", &[&y.name, &starts, &ends, &axes], &[outputs, h, w], &[])
    }

    /// Nearest-neighbour upsampling.
    pub fn upsample(&mut self, x: Node, size: [usize; 2]) -> Node {
        let x = self.maps(x);
        let [channels, ..] = sides(&x);
        let sizes = self.places(&size.map(|side| side as i64));
        let attributes = [
            ("axes", Attribute::Ints(&[2, 3])),
            ("mode", Attribute::Text("nearest")),
            ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
            ("nearest_mode", Attribute::Text("floor")),
        ];
        self.op("Resize", &[&x.name, "", "", &sizes], &[channels, size[0], size[1]], &attributes)
    }

    /// Each group of channels less its mean by its deviation, √(σ² + ε).
    pub fn group_norm(&mut self, x: Node, groups: usize, epsilon: f32) -> Node {
        let x = self.maps(x);
        let shape = x.shape.clone();
        let grouped = self.reshape(x, &[groups, shape.iter().product::<usize>() / groups]);
        let (one, zero) =
            (self.numbers(&vec![1.0; groups], &[groups]), self.numbers(&vec![0.0; groups], &[groups]));
        let inputs = [&grouped.name[..], &one, &zero];
        let attributes = [("epsilon", Attribute::Float(epsilon))];
        let y = self.op("InstanceNormalization", &inputs, &grouped.shape, &attributes);
        self.reshape(y, &shape)
    }

    /// The same numbers in another shape.
    pub fn reshape(&mut self, x: Node, shape: &[usize]) -> Node {
        if x.shape == shape {
            return x;
        }
        let whole: Vec<i64> = std::iter::once(-1).chain(shape.iter().map(|&side| side as i64)).collect();
        let whole = self.places(&whole);
        self.op("Reshape", &[&x.name, &whole], shape, &[])
    }

    /// As rows of features.
    pub fn rows(&mut self, x: Node) -> Node {
        let features = x.features();
        self.reshape(x, &[features])
    }

    /// As maps; rows count as one channel of one line.
    fn maps(&mut self, x: Node) -> Node {
        let width = x.features();
        if x.shape.len() == 3 { x } else { self.reshape(x, &[1, 1, width]) }
    }

    /// Axes in another order; the batch is axis 0.
    pub fn transpose(&mut self, x: &Node, order: &[usize]) -> Node {
        let shape: Vec<usize> = order[1..].iter().map(|&axis| x.shape[axis - 1]).collect();
        let order: Vec<i64> = order.iter().map(|&axis| axis as i64).collect();
        self.op("Transpose", &[&x.name], &shape, &[("perm", Attribute::Ints(&order))])
    }

    /// Rows or maps beside each other, along the first axis after the batch.
    pub fn beside(&mut self, parts: &[Node]) -> Node {
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let mut shape = parts.first().map(|part| part.shape.clone()).unwrap_or_default();
        if let Some(first) = shape.first_mut() {
            *first = parts.iter().map(|part| part.shape[0]).sum();
        }
        self.op("Concat", &names, &shape, &[("axis", Attribute::Int(1))])
    }

    /// Numbers of a row, the same at every place of a map.
    pub fn spread(&mut self, x: Node, [height, width]: [usize; 2]) -> Node {
        let channels = x.features();
        let one = self.reshape(x, &[channels, 1, 1]);
        let sides = self.places(&[1, 1, height as i64, width as i64]);
        self.op("Expand", &[&one.name, &sides], &[channels, height, width], &[])
    }

    /// `length` columns of rows from `start` on.
    pub fn columns(&mut self, x: &Node, start: usize, length: usize) -> Node {
        if start == 0 && length == x.features() {
            return x.clone();
        }
        let (from, to) = (self.places(&[start as i64]), self.places(&[(start + length) as i64]));
        let axis = self.places(&[1]);
        self.op("Slice", &[&x.name, &from, &to, &axis], &[length], &[])
    }

    /// These places along an axis; the batch is axis 0.
    pub fn take(&mut self, x: &Node, axis: usize, places: &[usize]) -> Node {
        let chosen: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        let chosen = self.places(&chosen);
        let mut shape = x.shape.clone();
        if let Some(side) = axis.checked_sub(1).and_then(|axis| shape.get_mut(axis)) {
            *side = places.len();
        }
        self.op("Gather", &[&x.name, &chosen], &shape, &[("axis", Attribute::Int(axis as i64))])
    }

    /// A B of the last two axes, `[…, n, m]` and `[…, m, k]`.
    pub fn matrices(&mut self, a: &Node, b: &Node) -> Node {
        let mut shape = a.shape.clone();
        if let (Some(last), Some(columns)) = (shape.last_mut(), b.shape.last()) {
            *last = *columns;
        }
        self.op("MatMul", &[&a.name, &b.name], &shape, &[])
    }

    /// Shares along the last axis, e^x over their sum.
    pub fn softmax(&mut self, x: &Node) -> Node {
        self.op("Softmax", &[&x.name], &x.shape, &[("axis", Attribute::Int(-1))])
    }

    /// These columns of rows.
    pub fn pick(&mut self, x: &Node, columns: &[usize]) -> Node {
        let places: Vec<i64> = columns.iter().map(|&column| column as i64).collect();
        let places = self.places(&places);
        self.op("Gather", &[&x.name, &places], &[columns.len()], &[("axis", Attribute::Int(1))])
    }

    /// The vector of a book `[codes, width]` in each place, `[places] → [places, width]`; places are kept inside the book.
    pub fn look_up(&mut self, place: &Node, book: &[f32], [codes, width]: [usize; 2]) -> Node {
        let inside = self.clamp(place, Some(0.0), Some(codes as f32 - 1.0));
        let place = self.cast(&inside, Element::I64);
        let book = self.numbers(book, &[codes, width]);
        let shape = [place.features(), width];
        self.op("Gather", &[&book, &place.name], &shape, &[("axis", Attribute::Int(0))])
    }

    /// How many of these rising thresholds a number has reached, `[1] → [1]`.
    pub fn reached(&mut self, x: &Node, thresholds: &[f32]) -> Node {
        let count = thresholds.len();
        let constant = self.numbers(thresholds, &[count]);
        let found = self.op("GreaterOrEqual", &[&x.name, &constant], &[count], &[]);
        let found = self.cast(&found, Element::F32);
        self.product(&found, &vec![1.0; count], [count, 1])
    }

    /// Σ_j a_j b_j of rows, `[1]`.
    pub fn dot(&mut self, a: &Node, b: &Node) -> Node {
        let both = self.binary("Mul", a, b);
        let width = both.features();
        self.product(&both, &vec![1.0; width], [width, 1])
    }

    /// These numbers for each row; `of` says how many rows there are.
    pub fn same(&mut self, of: &Node, values: &[f32]) -> Node {
        let inputs = of.features();
        self.dense(of.clone(), &vec![0.0; inputs * values.len()], values)
    }

    /// The place of the least number along the last axis, as a number.
    pub fn least(&mut self, x: &Node) -> Node {
        let shape = &x.shape[..x.shape.len() - 1];
        let attributes = [("axis", Attribute::Int(-1)), ("keepdims", Attribute::Int(0))];
        let place = self.op("ArgMin", &[&x.name], shape, &attributes);
        self.cast(&place, Element::F32)
    }

    /// Along the last axis, x W for W `[inputs, outputs]`.
    pub fn product(&mut self, x: &Node, weight: &[f32], [inputs, outputs]: [usize; 2]) -> Node {
        let weight = self.numbers(weight, &[inputs, outputs]);
        let mut shape = x.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = outputs;
        }
        self.op("MatMul", &[&x.name, &weight], &shape, &[])
    }

    /// Numbers of another type.
    pub fn cast(&mut self, x: &Node, to: Element) -> Node {
        self.op("Cast", &[&x.name], &x.shape, &[("to", Attribute::Int(to.code() as i64))])
    }

    /// Numbers kept between two.
    pub fn clamp(&mut self, x: &Node, least: Option<f32>, most: Option<f32>) -> Node {
        let [least, most] =
            [least, most].map(|end| end.map_or_else(String::new, |end| self.numbers(&[end], &[])));
        self.op("Clip", &[&x.name, &least, &most], &x.shape, &[])
    }

    /// 1 where x is above a number, else 0.
    pub fn above(&mut self, x: &Node, number: f32, or_equal: bool) -> Node {
        let kind = if or_equal { "GreaterOrEqual" } else { "Greater" };
        let found = self.with(kind, x, &[number], &[1]);
        self.cast(&found, Element::F32)
    }

    /// `yes` where |x| is below a number, else `no`.
    pub fn where_small(&mut self, x: &Node, number: f32, yes: &Node, no: &Node) -> Node {
        let size = self.unary("Abs", x);
        let small = self.with("Less", &size, &[number], &[1]);
        self.op("Where", &[&small.name, &yes.name, &no.name], &x.shape, &[])
    }

    /// ln(1 + eˣ) without overflow.
    pub fn softplus(&mut self, x: &Node) -> Node {
        self.unary("Softplus", x)
    }

    /// An activation.
    pub fn activation(&mut self, activation: Activation, x: Node) -> Node {
        match activation {
            Activation::Identity => x,
            Activation::Relu => self.unary("Relu", &x),
            Activation::LeakyRelu => {
                let slope = latent_kernels::LEAKY_SLOPE as f32;
                self.op("LeakyRelu", &[&x.name], &x.shape, &[("alpha", Attribute::Float(slope))])
            }
            Activation::Tanh => self.unary("Tanh", &x),
            Activation::Sigmoid => self.unary("Sigmoid", &x),
            Activation::Silu => {
                let gate = self.unary("Sigmoid", &x);
                self.binary("Mul", &x, &gate)
            }
            Activation::Gelu => {
                // x Φ(x) = x (1 + erf(x/√2)) / 2
                let scaled = self.with("Mul", &x, &[std::f32::consts::FRAC_1_SQRT_2], &[1]);
                let erf = self.unary("Erf", &scaled);
                let doubled = self.with("Add", &erf, &[1.0], &[1]);
                let half = self.with("Mul", &x, &[0.5], &[1]);
                self.binary("Mul", &half, &doubled)
            }
            Activation::Softplus => self.softplus(&x),
            Activation::Elu => self.unary("Elu", &x),
        }
    }
}

/// Channels, height and width of maps.
fn sides(x: &Node) -> [usize; 3] {
    match x.shape[..] {
        [channels, height, width] => [channels, height, width],
        _ => [1, 1, x.features()],
    }
}

/// A tensor whose first axis is called `batch`.
fn value_info(name: &str, element: Element, shape: &[usize]) -> Message {
    let mut dimensions = Message::default();
    let mut batch = Message::default();
    batch.text(2, "batch");
    dimensions.message(1, &batch);
    for &side in shape {
        let mut dimension = Message::default();
        dimension.int(1, side as u64);
        dimensions.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.int(1, element.code());
    tensor.message(2, &dimensions);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut info = Message::default();
    info.text(1, name);
    info.message(2, &kind);
    info
}

//! The networks of papers: as many layers and numbers as the authors' have, counted here from their descriptions, and the layers
//! that came with them against the host.
//!
//! `docs/members/README.md` lists them with their settings; what is built here is what stands there.

use std::fs;
use std::path::Path;

use latent::data::{SampleShape, ValueKind};
use latent::device::{Device, host_f64};
use latent::member::Call;
use latent::network::Layer;
use latent::network::layer::{ConvTransposeConfig, Signal};
use latent::run::{Layers, resolve};
use latent::weights::{Init, Weights};
use latent::{Key, Registry};

use crate::common::*;

/// W and b of a dense layer.
fn dense(inputs: usize, outputs: usize) -> [usize; 2] {
    [1, inputs * outputs + outputs]
}

/// The kernels and biases of a convolution, transposed or not.
fn conv(inputs: usize, outputs: usize, kernel: usize) -> [usize; 2] {
    [1, inputs * outputs * kernel * kernel + outputs]
}

/// γ and β of batch normalisation: no layer of its own here.
fn norm(channels: usize) -> [usize; 2] {
    [0, 2 * channels]
}

/// Layers and numbers of several.
fn sum(parts: &[[usize; 2]]) -> [usize; 2] {
    parts.iter().fold([0, 0], |[layers, numbers], part| [layers + part[0], numbers + part[1]])
}

/// The same twice, as a gate has it.
fn twice([layers, numbers]: [usize; 2]) -> [usize; 2] {
    [2 * layers, 2 * numbers]
}

/// The DCGAN of WAE and RAE: the sides of the kernels, of the map that the encoder ends at and of that where the decoder starts.
fn dcgan(
    channels: usize,
    kernel: usize,
    [end, start]: [usize; 2],
    doublings: usize,
    latent: usize,
) -> [[usize; 2]; 2] {
    let (mut down, mut up) = (Vec::new(), vec![dense(latent, start * start * 1024)]);
    for (inputs, outputs) in [(channels, 128), (128, 256), (256, 512), (512, 1024)] {
        down.extend([conv(inputs, outputs, kernel), norm(outputs)]);
    }
    down.push(dense(end * end * 1024, latent));
    for (inputs, outputs) in [(1024, 512), (512, 256), (256, 128)].into_iter().take(doublings) {
        up.extend([conv(inputs, outputs, kernel), norm(outputs)]);
    }
    up.push(conv(1024 >> doublings, channels, kernel));
    [sum(&down), sum(&up)]
}

/// pythae's residual blocks.
fn blocks(count: usize) -> [usize; 2] {
    sum(&vec![sum(&[conv(128, 32, 3), conv(32, 128, 1)]); count])
}

/// A network of a paper: its name in the list, what it is for, the size of the code, and [layers, numbers] of encoder and decoder.
struct Paper {
    name: &'static str,
    shape: SampleShape,
    posterior: &'static str,
    latent: usize,
    wanted: [[usize; 2]; 2],
}

fn papers() -> Vec<Paper> {
    let point = "point";
    let normal = "diagonal-normal";
    vec![
        Paper {
            name: "VampPrior, gated MLP",
            shape: image(1, 28, 28),
            posterior: normal,
            latent: 40,
            // Mean and ln σ² are two layers there and one of both here.
            wanted: [
                sum(&[twice(dense(784, 300)), twice(dense(300, 300)), dense(300, 80)]),
                sum(&[twice(dense(40, 300)), twice(dense(300, 300)), dense(300, 784)]),
            ],
        },
        Paper {
            name: "Burgess, 64 pixels",
            shape: image(1, 64, 64),
            posterior: normal,
            latent: 10,
            wanted: [
                sum(&[
                    conv(1, 32, 4),
                    conv(32, 32, 4),
                    conv(32, 32, 4),
                    conv(32, 32, 4),
                    dense(4 * 4 * 32, 256),
                    dense(256, 256),
                    dense(256, 20),
                ]),
                sum(&[
                    dense(10, 256),
                    dense(256, 256),
                    dense(256, 4 * 4 * 32),
                    conv(32, 32, 4),
                    conv(32, 32, 4),
                    conv(32, 32, 4),
                    conv(32, 1, 4),
                ]),
            ],
        },
        Paper {
            name: "WAE, 28 pixels",
            shape: image(1, 28, 28),
            posterior: point,
            latent: 8,
            wanted: dcgan(1, 4, [2, 7], 2, 8),
        },
        Paper {
            name: "RAE, 32 pixels",
            shape: image(3, 32, 32),
            posterior: point,
            latent: 128,
            wanted: dcgan(3, 4, [2, 8], 2, 128),
        },
        Paper {
            name: "WAE and RAE, 64 pixels",
            shape: image(3, 64, 64),
            posterior: point,
            latent: 64,
            wanted: dcgan(3, 5, [4, 8], 3, 64),
        },
        Paper {
            name: "pythae, residual, 28 pixels",
            shape: image(1, 28, 28),
            posterior: point,
            latent: 16,
            wanted: [
                sum(&[conv(1, 64, 4), conv(64, 128, 4), conv(128, 128, 3), blocks(2), dense(2048, 16)]),
                sum(&[dense(16, 2048), conv(128, 128, 3), blocks(2), conv(128, 64, 3), conv(64, 1, 3)]),
            ],
        },
        Paper {
            name: "pythae, residual, 64 pixels",
            shape: image(3, 64, 64),
            posterior: normal,
            latent: 64,
            wanted: [
                sum(&[
                    conv(3, 64, 4),
                    conv(64, 128, 4),
                    conv(128, 128, 3),
                    conv(128, 128, 3),
                    blocks(2),
                    dense(2048, 128),
                ]),
                sum(&[
                    dense(64, 2048),
                    conv(128, 128, 3),
                    blocks(2),
                    conv(128, 128, 5),
                    conv(128, 64, 5),
                    conv(64, 3, 4),
                ]),
            ],
        },
    ]
}

/// The list in the documentation: name → settings, and the numbers that it says.
fn listed() -> Vec<[String; 4]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/members/README.md");
    let text = fs::read_to_string(path).unwrap();
    let section = text.split("## Networks of papers").nth(1).expect("the list of networks");
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    rows.map(|row| {
        let cells: Vec<String> =
            row.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect();
        cells.try_into().expect("four cells")
    })
    .collect()
}

#[test]
fn networks_of_papers_have_the_authors_layers_and_numbers() {
    let (papers, listed) = (papers(), listed());
    assert_eq!(papers.len(), listed.len(), "each network in the list is counted");
    for (paper, [name, settings, encoder, decoder]) in papers.iter().zip(&listed) {
        assert_eq!(paper.name, name);
        let settings = settings.trim_matches('`');
        let scale = if paper.posterior == "point" { "objective.estimator.kind = 'plain'\n" } else { "" };
        let terms = if paper.posterior == "point" {
            "objective.terms = { distortion = {} }\n"
        } else {
            "objective.terms = { distortion = {}, rate = {} }\n"
        };
        let text = format!(
            "network = {settings}\nposterior = {{ kind = '{}', latent = {} }}\nlikelihood.kind = 'bernoulli'\n{scale}{terms}",
            paper.posterior, paper.latent
        );
        let table: toml::Table = text.parse().unwrap();
        let layers = Layers { table: table.clone(), explicit: table };
        let facts = facts(paper.shape, ValueKind::Grey);
        let (checked, _) = resolve(&layers, &facts, &Registry::default()).unwrap();
        // Names and shapes alone: no network is built.
        let arrays = checked.parts.outline(&facts).unwrap();
        for (part, wanted, said) in
            [("encoder.", paper.wanted[0], encoder), ("decoder.", paper.wanted[1], decoder)]
        {
            let own = arrays.iter().filter(|(path, _)| path.starts_with(part));
            // The moving averages of batch normalisation are no parameters.
            let own: Vec<_> =
                own.filter(|(path, _)| !path.ends_with(".mean") && !path.ends_with(".variance")).collect();
            let found = [
                own.iter().filter(|(path, _)| path.ends_with(".weight")).count(),
                own.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum(),
            ];
            assert_eq!(found, wanted, "{name}: layers and numbers of the {part}");
            assert_eq!(said.replace(',', ""), wanted[1].to_string(), "{name}: what the list says of {part}");
        }
    }
    println!("{} networks", papers.len());
}

#[test]
fn a_gated_layer_is_the_product_of_two() {
    let text = "posterior.latent = 1\nlikelihood.kind = 'bernoulli'\n";
    let key = Key::from_seed(90);
    // h = tanh(x W + b) · σ(x V + c), then the heads.
    let network = "network = { kind = 'mlp', hidden = [3], activation = 'tanh', gated = true }";
    let made = make(&format!("{text}{network}"), &facts(vector(2), ValueKind::Binary)).randomised(key, 0.8);
    let x = [0.3, -1.2];
    let affine = |name: &str, input: &[f64]| -> Vec<f64> {
        let (w, b) = (made.get(&format!("encoder.{name}.weight")), made.get(&format!("encoder.{name}.bias")));
        let n = b.len();
        (0..n).map(|j| b[j] + input.iter().enumerate().map(|(i, v)| v * w[i * n + j]).sum::<f64>()).collect()
    };
    let hidden: Vec<f64> =
        affine("0", &x).iter().zip(affine("gate0", &x)).map(|(h, g)| h.tanh() * sigmoid(g)).collect();
    let found = host_f64(&made.view().encoder_outputs(&batch(x.to_vec(), 2)));
    all_close(&found, &affine("1", &hidden), 1e-12);

    // The same of a convolution of stride 2 at the four places of a 4×4 image.
    let network = "network = { kind = 'conv', channels = [2], activation = 'silu', gated = true }";
    let made =
        make(&format!("{text}{network}"), &facts(image(1, 4, 4), ValueKind::Binary)).randomised(key, 0.8);
    let x = normals(key.fold("x"), 16);
    let convolved = |name: &str| -> Vec<f64> {
        let (w, b) = (made.get(&format!("encoder.{name}.weight")), made.get(&format!("encoder.{name}.bias")));
        let at = |y: isize, x_: isize| match (0..4).contains(&y) && (0..4).contains(&x_) {
            true => x[(y * 4 + x_) as usize],
            false => 0.0,
        };
        let mut out = Vec::new();
        for channel in 0..2 {
            for place in 0..4isize {
                let (top, left) = (2 * (place / 2) - 1, 2 * (place % 2) - 1);
                let taps = (0..9isize).map(|t| w[channel * 9 + t as usize] * at(top + t / 3, left + t % 3));
                out.push(b[channel] + taps.sum::<f64>());
            }
        }
        out
    };
    let own = convolved("down0").into_iter().map(|v| v * sigmoid(v));
    let hidden: Vec<f64> = own.zip(convolved("down0.gate")).map(|(h, g)| h * sigmoid(g)).collect();
    let (w, b) = (made.get("encoder.head.weight"), made.get("encoder.head.bias"));
    let wanted: Vec<f64> = (0..2)
        .map(|j| b[j] + hidden.iter().enumerate().map(|(i, h)| h * w[i * 2 + j]).sum::<f64>())
        .collect();
    let found = host_f64(&made.view().encoder_outputs(&batch(x.clone(), 16)));
    all_close(&found, &wanted, 1e-12);
}

#[test]
fn a_transposed_convolution_spreads_each_pixel_by_its_kernel() {
    let key = Key::from_seed(91);
    for (kernel, stride, [height, width]) in
        [(3, 2, [3, 2]), (4, 2, [3, 2]), (5, 2, [2, 3]), (4, 1, [3, 4]), (5, 1, [4, 3]), (2, 2, [2, 2])]
    {
        let (inputs, outputs) = (2, 3);
        let mut weights = Weights::new(&double());
        let config = ConvTransposeConfig::new(inputs, outputs).with_kernel(kernel).with_stride(stride);
        let layer = config.init(&mut Init::new(&mut weights, key), "up");
        randomise(&mut weights, key.fold(kernel).fold(stride), 0.7);
        let [w, b] = [0, 1].map(|place| values(&weights, weights.iter().nth(place).unwrap().0));
        let x = normals(key.fold("x").fold(kernel), inputs * height * width);
        let [h, w_] = [height * stride, width * stride];
        // y[o, s i + a − p] = b_o + Σ x[c, i] W[c, o, a]
        let padding = (kernel - 1) / 2;
        let mut wanted: Vec<f64> = (0..outputs).flat_map(|o| vec![b[o]; h * w_]).collect();
        for c in 0..inputs {
            for (i, j) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))) {
                for (a, d) in (0..kernel).flat_map(|a| (0..kernel).map(move |d| (a, d))) {
                    let (Some(y), Some(x_)) =
                        ((stride * i + a).checked_sub(padding), (stride * j + d).checked_sub(padding))
                    else {
                        continue;
                    };
                    if y >= h || x_ >= w_ {
                        continue;
                    }
                    for o in 0..outputs {
                        wanted[(o * h + y) * w_ + x_] += x[(c * height + i) * width + j]
                            * w[((c * outputs + o) * kernel + a) * kernel + d];
                    }
                }
            }
        }
        let x = double().tensor_f64(x, [inputs * height * width]).reshape([1, inputs, height, width]);
        let layer = Layer::ConvTranspose(layer, [h, w_]);
        let Signal::Maps(found) = layer.apply(&Call::evaluation(&weights), Signal::Maps(x)) else {
            panic!("no maps")
        };
        assert_eq!(found.dims(), [1, outputs, h, w_], "kernel {kernel}, stride {stride}");
        all_close(&host_f64(&found.flatten::<1>(0, 3)), &wanted, 1e-12);
    }
}

#[test]
fn networks_of_papers_say_what_is_wrong() {
    let refused = |network: &str| {
        let text = format!("posterior.latent = 2\nlikelihood.kind = 'bernoulli'\nnetwork = {network}");
        let made = try_make(&text, &facts(image(1, 8, 8), ValueKind::Grey), &Device::cpu());
        made.err().unwrap_or_else(|| panic!("not refused: {network}")).to_string()
    };
    for (network, said) in [
        ("{ kind = 'dcgan', start = 0 }", "network.start"),
        ("{ kind = 'dcgan', kernel = 1 }", "network.kernel"),
        ("{ kind = 'dcgan', channels = [] }", "network.channels"),
        ("{ kind = 'resnet', kernels = [] }", "network.kernels"),
        ("{ kind = 'resnet', up_kernels = [3, 99] }", "network.up_kernels"),
        ("{ kind = 'resnet', hidden = 0 }", "network.hidden"),
        ("{ kind = 'resnet', blocks = 1001 }", "network.blocks"),
    ] {
        let found = refused(network);
        assert!(found.contains(said), "{network}: {found}");
    }
}

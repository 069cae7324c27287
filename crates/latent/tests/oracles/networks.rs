//! Convolutions of any size: a property over sizes 1 to 97, odd and not square, 1 to 4 channels.

use burn::tensor::Tensor;
use latent::batch::{Batch, Given};
use latent::data::{SampleShape, ValueKind};
use latent::device::{Device, host, scalar};
use latent::member::{Call, Context, Outputs, Role, Wiring};
use latent::network::NetworkSettings;
use latent::weights::{Init, Weights};
use latent::{Key, Registry};

use crate::common::{facts, image, randomise, try_make, vector, worse};

const LATENT: usize = 3;

/// Shapes right, numbers finite, gradient to every weight.
fn check(network: &str, shape: SampleShape, parameters: usize, key: Key) {
    let table: toml::Table = network.parse().unwrap();
    let (settings, _) = Registry::default().resolve::<NetworkSettings>(&table, "network").unwrap();
    let device = Device::cpu();
    let features = shape.features();
    let bias = (0..parameters * features).map(|i| (i % 7) as f32).collect();
    let outputs = Outputs::each(shape, parameters, Some(bias));
    let mut weights = Weights::new(&device);
    let mut init = Init::new(&mut weights, key);
    let facts = facts(shape, ValueKind::Grey);
    let mut context = Context::new(&facts);
    let mut build = |name: &str, wiring| {
        context.wiring = wiring;
        settings.declare(&mut context).unwrap();
        settings.init(&context, &mut init.scope(name)).unwrap()
    };
    let (role, from, to) = (Role::Encoder, shape, vector(2 * LATENT));
    let encoder = build("encoder", Wiring { role, from, to, bias: None, condition: 0 });
    let (role, from, to) = (Role::Decoder, vector(LATENT), outputs.shape);
    let decoder = build("decoder", Wiring { role, from, to, bias: outputs.bias, condition: 0 });
    let rows = 2;
    let noise = |label: &str, width: usize| {
        let mut values = vec![0.0; rows * width];
        key.fold(label).normals(&mut values);
        device.tensor(values, [rows, width])
    };
    let both = |weights: &Weights| {
        let code = encoder.forward(&Call::evaluation(weights), noise("x", features));
        assert_eq!(code.dims(), [rows, 2 * LATENT], "{network} {shape}");
        let outputs = decoder.forward(&Call::evaluation(weights), noise("z", LATENT));
        assert_eq!(outputs.dims(), [rows, parameters * features], "{network} {shape}");
        (code, outputs)
    };
    // As it starts: finite.
    let (code, outputs) = both(&weights);
    assert!(host(&code).iter().chain(&host(&outputs)).all(|v| v.is_finite()), "{network} {shape}");
    // With no weight at 0 every weight has a gradient.
    randomise(&mut weights, key.fold("random"), 0.3);
    let tracked = weights.tracked(|_| true);
    let (code, outputs) = both(&tracked);
    let weigh = |t: Tensor<2>, label: &str| {
        let width = t.dims()[1];
        (t * noise(label, width)).sum()
    };
    let total = weigh(code, "code") + weigh(outputs, "outputs");
    assert!(scalar(&total).is_finite());
    let mut gradients = total.backward();
    for (id, weight) in weights.iter() {
        let gradient = tracked.gradient(id, &mut gradients);
        let gradient =
            gradient.unwrap_or_else(|| panic!("{network} {shape}: no gradient for {}", weight.path()));
        let gradient = host(&gradient);
        assert!(gradient.iter().all(|v| v.is_finite()), "{network} {shape}: {}", weight.path());
        assert!(gradient.iter().any(|v| *v != 0.0), "{network} {shape}: {} never moves", weight.path());
    }
}

#[test]
fn sizes_from_1_to_97() {
    let networks = [
        "kind = 'conv'\nactivation = 'silu'\nup = 'nearest'\nchannels = ",
        "kind = 'conv'\nactivation = 'silu'\nup = 'transposed'\nchannels = ",
        "kind = 'conv'\nkernel = 4\ndense = [5, 3]\nup = 'transposed'\nchannels = ",
        "kind = 'residual-conv'\nactivation = 'silu'\nblocks = 1\nchannels = ",
        "kind = 'conv'\ngated = true\ndense = [4]\nup = 'nearest'\nchannels = ",
        "kind = 'conv'\ngated = true\nup = 'transposed'\nactivation = 'identity'\nchannels = ",
        "kind = 'dcgan'\nactivation = 'silu'\nbatch_norm = false\nstart = 3\nchannels = ",
        "kind = 'dcgan'\nactivation = 'silu'\nbatch_norm = false\nkernel = 5\nchannels = ",
        "kind = 'resnet'\nactivation = 'silu'\nhidden = 2\nup_kernels = [3, 5, 4]\nblocks = 1\nchannels = ",
    ];
    let lists = ["[2]", "[2, 3]", "[3, 2, 4]", "[2, 2, 2, 2, 2, 2, 2, 2]"];
    let mut sizes =
        vec![(1, 1), (1, 97), (97, 1), (2, 2), (1, 2), (3, 3), (97, 97), (96, 96), (64, 33), (5, 2)];
    for number in 0..14u64 {
        let mut u = [0.0; 2];
        Key::from_seed(70).fold(number).uniforms(&mut u);
        // Small sizes more often than large ones.
        let size = |u: f32| 1 + (96.0 * u * u) as usize;
        sizes.push((size(u[0]), size(u[1])));
    }
    let mut cases = 0;
    for (index, &(height, width)) in sizes.iter().enumerate() {
        for (which, network) in networks.iter().enumerate() {
            let at = index + which;
            let shape = image(1 + at % 4, height, width);
            let text = format!("{network}{}", lists[at % lists.len()]);
            check(&text, shape, 1 + at % 2, Key::from_seed(71).fold(index).fold(which));
            cases += 1;
        }
    }
    println!("{cases} networks of {} sizes", sizes.len());
}

#[test]
fn dense_networks_take_any_shape() {
    for shape in [image(3, 4, 5), vector(1), vector(9)] {
        check("kind = 'linear'", shape, 2, Key::from_seed(72));
        check("kind = 'mlp'\nhidden = []", shape, 1, Key::from_seed(72));
        check("kind = 'mlp'\nhidden = [3, 4]\nactivation = 'tanh'", shape, 2, Key::from_seed(72));
        check(
            "kind = 'mlp'\nhidden = [3, 4]\ngated = true\nactivation = 'tanh'",
            shape,
            2,
            Key::from_seed(72),
        );
    }
}

#[test]
fn a_fresh_residual_block_is_the_identity_and_weights_are_keyed_by_their_path() {
    let facts = facts(image(1, 8, 8), ValueKind::Grey);
    let network = |blocks: usize| {
        let text = format!(
            "posterior.latent = 2\nnetwork = {{ kind = 'residual-conv', channels = [2], blocks = {blocks} }}"
        );
        try_make(&text, &facts, &Device::cpu()).unwrap()
    };
    // The other weights are the same whether there are blocks or not, and the blocks add nothing yet.
    let (without, with) = (network(0), network(2));
    let x = Device::cpu().tensor((0..64).map(|i| i as f32 / 64.0).collect(), [1, 64]);
    let x = Batch::of(x, vec![0]);
    let code = |made: &crate::common::Made| host(&made.view().encode(&x).centre().z);
    assert_eq!(code(&without), code(&with));
}

#[test]
fn a_fresh_decoder_starts_at_the_mean_of_the_data() {
    let mut grey = facts(image(2, 6, 5), ValueKind::Colour);
    grey.mean = (0..60).map(|i| if i < 30 { 0.2 } else { 0.7 }).collect();
    let networks = [
        "linear",
        "mlp",
        "mlp'\nnetwork.gated = true\nnetwork.activation = 'identity",
        "conv",
        "conv'\nnetwork.up = 'transposed",
        "residual-conv",
        "dcgan'\nnetwork.channels = [3, 4]\nnetwork.activation = 'relu",
        "resnet",
    ];
    for network in networks {
        for likelihood in ["normal", "bernoulli"] {
            let text =
                format!("posterior.latent = 2\nlikelihood.kind = '{likelihood}'\nnetwork.kind = '{network}'");
            let mut made = try_make(&text, &grey, &Device::cpu()).unwrap();
            // Without weights only biases speak.
            let weights: Vec<_> = made.weights.iter().filter(|(_, w)| w.path().ends_with("weight")).collect();
            let zeros: Vec<_> = weights.iter().map(|(id, w)| (*id, vec![0.0; w.flat().dims()[0]])).collect();
            zeros.into_iter().for_each(|(id, zeros)| made.weights.set_values(id, zeros));
            let z = latent::batch::Latent::new(Device::cpu().tensor(vec![1.0, -2.0], [1, 2]));
            let mean = host(&made.view().mean(&z, Given::none()));
            let worst = mean.iter().zip(&grey.mean).map(|(a, b)| f64::from(a - b).abs()).fold(0.0, worse);
            assert!(worst < 1e-6, "{network}, {likelihood}: off by {worst}");
        }
    }
}

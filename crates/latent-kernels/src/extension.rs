//! The fused operations as burn operations: a trait whose functions reach `flex` through burn's dispatch,
//! alone and under autodiff, where each records its own node of the graph.
//!
//! Only tensors that [`crate::storage::fusable`] accepts may come here: on a backend that the attribute
//! doesn't list, burn's dispatch panics.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;

use crate::Activation;
use crate::convolution_node::{self, Kind};
use crate::distortion::Family;
use crate::group_norm::{self, Form};
use crate::storage::in_order;
use crate::{dense, distortion, log_density, normal, sigmoid};

/// What [`burn::backend::Dispatch`] learns from this crate.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Fused: Backend {
    /// See [`crate::dense`].
    fn fused_dense(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;

    /// See [`crate::conv2d`], [`crate::conv_transpose2d`] and [`crate::upsample_nearest_conv2d`].
    fn fused_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        kind: Kind,
        activation: Activation,
    ) -> FloatTensor<Self>;

    /// See [`crate::sigmoid`].
    fn fused_sigmoid(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// See [`crate::group_norm`].
    fn fused_group_norm(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;

    /// See [`crate::reparameterise`].
    fn fused_reparameterise(
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
        noise: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// See [`crate::standard_normal_rate`].
    fn fused_rate(mean: FloatTensor<Self>, log_variance: FloatTensor<Self>) -> FloatTensor<Self>;

    /// See [`crate::normal_log_density`].
    fn fused_normal_log_density(
        z: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// See [`crate::standard_normal_log_density`].
    fn fused_standard_normal_log_density(z: FloatTensor<Self>) -> FloatTensor<Self>;

    /// See [`crate::log_mean_exp`].
    fn fused_log_mean_exp(log_weights: FloatTensor<Self>, draws: usize) -> FloatTensor<Self>;

    /// −ln p(x) under a family with one parameter.
    fn fused_distortion(
        parameter: FloatTensor<Self>,
        x: FloatTensor<Self>,
        family: Family,
    ) -> FloatTensor<Self>;

    /// −ln p(x) under a family with two parameters.
    fn fused_distortion_of_two(
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        x: FloatTensor<Self>,
        family: Family,
    ) -> FloatTensor<Self>;
}

impl Fused for Flex {
    fn fused_dense(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        dense::forward(&dense::Inputs::new(x, weight, bias), activation).0
    }

    fn fused_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        kind: Kind,
        activation: Activation,
    ) -> FloatTensor<Self> {
        convolution_node::forward(&convolution_node::Inputs::new(x, weight, bias, kind), activation).0
    }

    fn fused_sigmoid(x: FloatTensor<Self>) -> FloatTensor<Self> {
        sigmoid::forward(x)
    }

    fn fused_group_norm(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        group_norm::forward(&in_order(x), &in_order(gain), &in_order(shift), form).0
    }

    fn fused_reparameterise(
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
        noise: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        normal::draw(mean, log_variance, noise).0
    }

    fn fused_rate(mean: FloatTensor<Self>, log_variance: FloatTensor<Self>) -> FloatTensor<Self> {
        normal::rate(&mean, &log_variance)
    }

    fn fused_normal_log_density(
        z: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        log_density::normal(&in_order(z), &in_order(mean), &in_order(log_variance))
    }

    fn fused_standard_normal_log_density(z: FloatTensor<Self>) -> FloatTensor<Self> {
        log_density::standard(&in_order(z))
    }

    fn fused_log_mean_exp(log_weights: FloatTensor<Self>, draws: usize) -> FloatTensor<Self> {
        log_density::log_mean_exp(&in_order(log_weights), draws).0
    }

    fn fused_distortion(
        parameter: FloatTensor<Self>,
        x: FloatTensor<Self>,
        family: Family,
    ) -> FloatTensor<Self> {
        distortion::values_only(parameter, None, x, family)
    }

    fn fused_distortion_of_two(
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        x: FloatTensor<Self>,
        family: Family,
    ) -> FloatTensor<Self> {
        distortion::values_only(first, Some(second), x, family)
    }
}

impl<C: CheckpointStrategy> Fused for Autodiff<Flex, C> {
    fn fused_dense(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        dense::recorded::<C>(x, weight, bias, activation)
    }

    fn fused_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        kind: Kind,
        activation: Activation,
    ) -> FloatTensor<Self> {
        convolution_node::recorded::<C>(x, weight, bias, kind, activation)
    }

    fn fused_sigmoid(x: FloatTensor<Self>) -> FloatTensor<Self> {
        sigmoid::recorded::<C>(x)
    }

    fn fused_group_norm(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        group_norm::recorded::<C>(x, gain, shift, form)
    }

    fn fused_reparameterise(
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
        noise: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        normal::recorded_draw::<C>(mean, log_variance, noise)
    }

    fn fused_rate(mean: FloatTensor<Self>, log_variance: FloatTensor<Self>) -> FloatTensor<Self> {
        normal::recorded_rate::<C>(mean, log_variance)
    }

    fn fused_normal_log_density(
        z: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        log_density::recorded_normal::<C>(z, mean, log_variance)
    }

    fn fused_standard_normal_log_density(z: FloatTensor<Self>) -> FloatTensor<Self> {
        log_density::recorded_standard::<C>(z)
    }

    fn fused_log_mean_exp(log_weights: FloatTensor<Self>, draws: usize) -> FloatTensor<Self> {
        log_density::recorded_log_mean_exp::<C>(log_weights, draws)
    }

    fn fused_distortion(
        parameter: FloatTensor<Self>,
        x: FloatTensor<Self>,
        family: Family,
    ) -> FloatTensor<Self> {
        distortion::recorded::<C>(parameter, x, family)
    }

    fn fused_distortion_of_two(
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        x: FloatTensor<Self>,
        family: Family,
    ) -> FloatTensor<Self> {
        distortion::recorded_of_two::<C>(first, second, x, family)
    }
}

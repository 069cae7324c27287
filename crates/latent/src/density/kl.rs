//! Kullback–Leibler divergences in closed form: one line here for each pair of families that has one.
//!
//! KL(q‖p) = E_q[log q(z) − log p(z)], in nats. Where no pair is listed the rate is a Monte Carlo estimate.

use std::any::Any;

use burn::tensor::Tensor;

use super::{
    Categorical, Density, DiagonalNormal, FactorisedBits, FullNormal, GumbelSoftmax, Indices, Product,
    StandardNormal, Transformed, fold_rows, sum_dimensions,
};

/// KL(q‖p) of each row, split over dimensions, `[n, dims]`; none where no closed form is known.
pub fn kl(q: &dyn Density, p: &dyn Density) -> Option<Tensor<2>> {
    pair(q, p, normal_standard)
        .or_else(|| pair(q, p, normal_normal))
        .or_else(|| pair(q, p, bits_bits))
        .or_else(|| pair(q, p, indices_categorical))
        .or_else(|| pair(q, p, categorical_categorical))
        .or_else(|| pair(q, p, |q: &GumbelSoftmax, p| categorical_categorical(&q.law, p)))
        .or_else(|| blocks(q, p))
}

/// KL(q‖p) of each row, `[n]`, also of pairs whose divergence doesn't split over dimensions.
pub fn kl_total(q: &dyn Density, p: &dyn Density) -> Option<Tensor<1>> {
    kl(q, p).map(sum_dimensions).or_else(|| {
        let (own, other): (&dyn Any, &dyn Any) = (q, p);
        let standard = other.is::<StandardNormal>();
        if let Some(flow) = own.downcast_ref::<Transformed>().filter(|_| standard) {
            // N(0, I) looks the same from everywhere about 0.
            return kl_total(flow.turned()?, p);
        }
        let full = own.downcast_ref::<FullNormal>()?;
        match other.downcast_ref::<DiagonalNormal>() {
            Some(p) => Some(full.rate(Some(&p.mean), Some(&p.log_variance))),
            None => standard.then(|| full.rate(None, None)),
        }
    })
}

/// Of products over the same blocks: block by block, where each pair has a closed form.
fn blocks(q: &dyn Density, p: &dyn Density) -> Option<Tensor<2>> {
    let (q, p): (&dyn Any, &dyn Any) = (q, p);
    let (q, p) = (q.downcast_ref::<Product>()?, p.downcast_ref::<Product>()?);
    let each: Option<Vec<_>> = q.pairs(p)?.map(|(q, p)| kl(q, p)).collect();
    Some(Tensor::cat(each?, 1))
}

fn pair<Q: Density, P: Density>(
    q: &dyn Density,
    p: &dyn Density,
    closed_form: fn(&Q, &P) -> Tensor<2>,
) -> Option<Tensor<2>> {
    let (q, p): (&dyn Any, &dyn Any) = (q, p);
    Some(closed_form(q.downcast_ref()?, p.downcast_ref()?))
}

/// ½ [σ_q² + μ_q² − 1 − ln σ_q²]
fn normal_standard(q: &DiagonalNormal, _: &StandardNormal) -> Tensor<2> {
    latent_kernels::standard_normal_rate(q.mean.clone(), q.log_variance.clone())
}

/// ½ [σ_q²/σ_p² + (μ_q − μ_p)²/σ_p² − 1 − ln σ_q² + ln σ_p²]
fn normal_normal(q: &DiagonalNormal, p: &DiagonalNormal) -> Tensor<2> {
    let difference = q.mean.clone() - p.mean.clone();
    let scaled =
        (q.log_variance.clone().exp() + difference.clone() * difference) * p.log_variance.clone().neg().exp();
    (scaled - 1.0 - q.log_variance.clone() + p.log_variance.clone()) * 0.5
}

/// P_q(1) (ln P_q(1) − ln P_p(1)) + P_q(0) (ln P_q(0) − ln P_p(0))
fn bits_bits(q: &FactorisedBits, p: &FactorisedBits) -> Tensor<2> {
    let (q1, q0) = q.log_probabilities();
    let (p1, p0) = p.log_probabilities();
    q1.clone().exp() * (q1 - p1) + q0.clone().exp() * (q0 - p0)
}

/// −ln P_p(z)
fn indices_categorical(q: &Indices, p: &Categorical) -> Tensor<2> {
    let log_p = p.log_density_per_dimension(&q.centre());
    log_p.map_or_else(|| q.index.zeros_like(), Tensor::neg)
}

/// Σ_i P_q(i) (ln P_q(i) − ln P_p(i))
fn categorical_categorical(q: &Categorical, p: &Categorical) -> Tensor<2> {
    let log_q = q.log_probabilities();
    let [n, dims, size] = log_q.dims();
    let log_p = p.log_probabilities();
    let log_p = fold_rows(&log_p.clone().reshape([log_p.dims()[0], dims * size]), n);
    (log_q.clone().exp() * (log_q - log_p.reshape([n, dims, size]))).sum_dim(2).reshape([n, dims])
}

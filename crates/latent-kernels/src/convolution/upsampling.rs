//! Upsampling by whole numbers and a convolution, as one transposed convolution.
//!
//! With x̂[u] = x[⌊u / r⌋], y[o] = Σ_k W[k] x̂[o − p + k] = Σ_i x[i] V[o − r i], where
//! V[d] = Σ W[k] over p − d ≤ k < p − d + r. That is a transposed convolution of stride r whose kernel V has
//! k + r − 1 taps: (k + r − 1)² multiply-adds for each input pixel instead of r² k², 16 instead of 36 for
//! doubling and 3 × 3.

/// Ratio, kernel and padding of such a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Upsampling {
    /// m, c of the convolution.
    pub channels: [usize; 2],
    /// kh, kw of the convolution.
    pub kernel: [usize; 2],
    /// r, the stride of the transposed convolution.
    pub ratio: [usize; 2],
    padding: [usize; 2],
}

impl Upsampling {
    /// The pair, if both ratios are whole and the transposed convolution has no negative padding.
    pub(crate) fn of(
        image: [usize; 2],
        size: [usize; 2],
        [features, channels, kh, kw]: [usize; 4],
        padding: [usize; 2],
    ) -> Option<Upsampling> {
        let kernel = [kh, kw];
        let whole = (0..2).all(|axis| {
            image[axis] > 0
                && size[axis].is_multiple_of(image[axis])
                && padding[axis] < kernel[axis]
                && size[axis] + 2 * padding[axis] >= kernel[axis]
        });
        let ratio = [0, 1].map(|axis| size[axis] / image[axis].max(1));
        (whole && ratio != [1, 1]).then_some(Upsampling {
            channels: [features, channels],
            kernel,
            ratio,
            padding,
        })
    }

    /// k + r − 1.
    pub(crate) fn widened(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.kernel[axis] + self.ratio[axis] - 1)
    }

    /// The padding of the transposed convolution, k − 1 − p.
    pub(crate) fn cropping(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.kernel[axis] - 1 - self.padding[axis])
    }

    /// V `[c, m, kh + r − 1, kw + r − 1]` of W `[m, c, kh, kw]`.
    pub(crate) fn widen(&self, weight: &[f32]) -> Vec<f32> {
        let mut wide = vec![0.0; self.channels[0] * self.channels[1] * self.widened()[0] * self.widened()[1]];
        self.each(|narrow, place| wide[place] += weight[narrow]);
        wide
    }

    /// W's gradient of V's.
    pub(crate) fn narrow(&self, wide: &[f32]) -> Vec<f32> {
        let mut gradient = vec![0.0; self.channels[0] * self.channels[1] * self.kernel[0] * self.kernel[1]];
        self.each(|narrow, place| gradient[narrow] += wide[place]);
        gradient
    }

    /// Every pair of a tap of W and a tap of V that contains it: tap k is in taps K − 1 − k … K − 2 − k + r.
    fn each(&self, mut visit: impl FnMut(usize, usize)) {
        let ([features, channels], [kh, kw], [rh, rw]) = (self.channels, self.kernel, self.ratio);
        let [height, width] = self.widened();
        for feature in 0..features {
            for channel in 0..channels {
                let narrow = (feature * channels + channel) * kh * kw;
                let wide = (channel * features + feature) * height * width;
                for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                    for (dy, dx) in (0..rh).flat_map(|dy| (0..rw).map(move |dx| (dy, dx))) {
                        visit(narrow + ky * kw + kx, wide + (kh - 1 - ky + dy) * width + kw - 1 - kx + dx);
                    }
                }
            }
        }
    }
}

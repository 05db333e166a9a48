//! Differentiable layers with fused CPU kernels, forward and backward.

//! CLIP's modified ResNet. Source: Radford et al. 2021, section 2.4; He et al. 2019 (ResNet-D); Zhang 2019 (blur pool).

use super::config::ResNetConfig;
use super::init::normal;
use crate::error::{Result, ZooError};
use candle_core::Tensor;
use lucency_nn::{Bias, Init, Linear, Mask, Mode, NormedConv2d, Sizes, Weights, ops};

/// Three convolutions and a pool, four stages of bottlenecks, an attention pool.
#[derive(Debug, Clone)]
pub(super) struct ResNet {
    stem: [NormedConv2d; 3],
    stages: [Vec<Bottleneck>; 4],
    pool: AttentionPool,
    image_size: usize,
}

impl ResNet {
    /// Loads the tower below `visual`.
    pub(super) fn load(weights: &Weights, config: &ResNetConfig, embed_dim: usize) -> Result<Self> {
        let weights = weights.pp("visual");
        let (width, eps) = (config.width, config.batch_norm_eps);
        let stem = |i: usize, inputs: usize, outputs: usize, stride: usize| -> Result<_> {
            let conv = weights.pp(format!("conv{i}"));
            let norm = weights.pp(format!("bn{i}"));
            let sizes = Sizes {
                inputs,
                outputs,
                kernel: 3,
                stride,
                padding: 1,
            };
            Ok(NormedConv2d::load(&conv, &norm, sizes, eps)?)
        };
        let stage = |i: usize, inputs: usize, stride: usize| -> Result<Vec<Bottleneck>> {
            let planes = width << i;
            let weights = weights.pp(format!("layer{}", i + 1));
            (0..config.layers[i])
                .map(|block| {
                    let (inputs, stride) = match block {
                        0 => (inputs, stride),
                        _ => (planes * EXPANSION, 1),
                    };
                    Bottleneck::load(&weights.pp(block), inputs, planes, stride, eps)
                })
                .collect()
        };
        Ok(Self {
            stem: [
                stem(1, 3, width / 2, 2)?,
                stem(2, width / 2, width / 2, 1)?,
                stem(3, width / 2, width, 1)?,
            ],
            stages: [
                stage(0, width, 1)?,
                stage(1, width * EXPANSION, 2)?,
                stage(2, width * EXPANSION * 2, 2)?,
                stage(3, width * EXPANSION * 4, 2)?,
            ],
            pool: AttentionPool::load(&weights.pp("attnpool"), config, embed_dim)?,
            image_size: config.image_size,
        })
    }

    /// The stem's output, `[b, width, s/4, s/4]` in the network's layout.
    fn stem(&self, pixels: &Tensor, mode: Mode) -> Result<Tensor> {
        let side = self.image_size;
        if pixels.rank() != 4 || pixels.dims()[1..] != [3, side, side] {
            return Err(ZooError::PixelShape {
                wanted: format!("[batch, 3, {side}, {side}]"),
                found: pixels.dims().to_vec(),
            });
        }
        let layout = self.layout();
        let mut x = layout.of_image(pixels)?;
        for conv in &self.stem {
            x = layout.relu(conv, &x, mode)?;
        }
        layout.pool(&x, 2)
    }

    fn layout(&self) -> Layout {
        match self.stem[0].is_folded() {
            true => Layout::Last,
            false => Layout::First,
        }
    }

    /// The stem's and every stage's output, for comparison with other implementations.
    pub(super) fn stages(&self, pixels: &Tensor, mode: Mode) -> Result<Vec<Tensor>> {
        let layout = self.layout();
        let mut maps = vec![self.stem(pixels, mode)?];
        for stage in &self.stages {
            let mut x = maps[maps.len() - 1].clone();
            for block in stage {
                x = block.forward(&x, layout, mode)?;
            }
            maps.push(x);
        }
        maps.iter().map(|x| layout.to_image(x)).collect()
    }

    /// The third stage's output, `[b, 16 * width, s/16, s/16]`.
    pub(super) fn trunk(&self, pixels: &Tensor, mode: Mode) -> Result<Tensor> {
        let layout = self.layout();
        let mut x = self.stem(pixels, mode)?;
        for block in self.stages[..3].iter().flatten() {
            x = block.forward(&x, layout, mode)?;
        }
        layout.to_image(&x)
    }

    /// From the third stage's output to the embedding, `[b, embed_dim]`.
    pub(super) fn head(&self, hidden: &Tensor, mode: Mode) -> Result<Tensor> {
        let layout = self.layout();
        let mut x = layout.of_image(hidden)?;
        for block in &self.stages[3] {
            x = block.forward(&x, layout, mode)?;
        }
        self.pool.forward(&layout.tokens(&x)?)
    }

    /// Positions along a side of the trunk's output.
    pub(super) fn grid(&self) -> usize {
        self.image_size / 16
    }
}

/// How many times more channels a bottleneck puts out than it has inside.
const EXPANSION: usize = 4;

/// Three convolutions beside a shortcut; a stride is an average pool before the last convolution and in the shortcut.
#[derive(Debug, Clone)]
struct Bottleneck {
    narrow: NormedConv2d,
    look: NormedConv2d,
    widen: NormedConv2d,
    shortcut: Option<NormedConv2d>,
    stride: usize,
}

impl Bottleneck {
    fn load(
        weights: &Weights,
        inputs: usize,
        planes: usize,
        stride: usize,
        eps: f64,
    ) -> Result<Self> {
        let outputs = planes * EXPANSION;
        let conv = |conv: &str, norm: &str, inputs: usize, outputs: usize, kernel: usize| {
            let sizes = Sizes {
                inputs,
                outputs,
                kernel,
                stride: 1,
                padding: kernel / 2,
            };
            NormedConv2d::load(&weights.pp(conv), &weights.pp(norm), sizes, eps)
        };
        if weights.is_fresh() {
            // A fresh block starts as its shortcut. Source: openai/CLIP, `initialize_parameters`.
            weights.pp("bn3").get(outputs, "weight", Init::Zeros)?;
        }
        Ok(Self {
            narrow: conv("conv1", "bn1", inputs, planes, 1)?,
            look: conv("conv2", "bn2", planes, planes, 3)?,
            widen: conv("conv3", "bn3", planes, outputs, 1)?,
            shortcut: match stride > 1 || inputs != outputs {
                true => Some(conv("downsample.0", "downsample.1", inputs, outputs, 1)?),
                false => None,
            },
            stride,
        })
    }

    /// `[b, inputs, h, w]` to `[b, 4 * planes, h/stride, w/stride]`, in the network's layout.
    fn forward(&self, x: &Tensor, layout: Layout, mode: Mode) -> Result<Tensor> {
        let y = layout.relu(&self.narrow, x, mode)?;
        let y = layout.relu(&self.look, &y, mode)?;
        let y = layout.pool(&y, self.stride)?;
        let shortcut = match &self.shortcut {
            Some(conv) => layout.plain(conv, &layout.pool(x, self.stride)?, mode)?,
            None => x.clone(),
        };
        layout.relu_beside(&self.widen, &y, &shortcut, mode)
    }
}

/// Which axis of a map is innermost inside the network.
#[derive(Debug, Clone, Copy)]
enum Layout {
    /// `[b, c, h, w]`, for training.
    First,
    /// `[b, h, w, c]`, where convolutions are folded: a convolution is a product of rows that need no copying.
    Last,
}

impl Layout {
    fn of_image(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::First => Ok(x.clone()),
            Self::Last => Ok(ops::channels_last(x)?),
        }
    }

    fn to_image(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::First => Ok(x.clone()),
            Self::Last => Ok(ops::channels_first(x)?),
        }
    }

    /// A map as tokens, `[b, h * w, c]`.
    fn tokens(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::First => Ok(x.flatten_from(2)?.transpose(1, 2)?),
            Self::Last => Ok(x.flatten(1, 2)?),
        }
    }

    fn pool(self, x: &Tensor, size: usize) -> Result<Tensor> {
        match self {
            Self::First => Ok(ops::avg_pool2d(x, size)?),
            Self::Last => Ok(ops::avg_pool2d_last(x, size)?),
        }
    }

    fn plain(self, conv: &NormedConv2d, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match self {
            Self::First => Ok(conv.forward(x, mode)?),
            Self::Last => Ok(conv.forward_last(x, None, false, mode)?),
        }
    }

    fn relu(self, conv: &NormedConv2d, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match self {
            Self::First => Ok(conv.forward_relu(x, mode)?),
            Self::Last => Ok(conv.forward_last(x, None, true, mode)?),
        }
    }

    /// `max(conv(x) + shortcut, 0)`.
    fn relu_beside(
        self,
        conv: &NormedConv2d,
        x: &Tensor,
        shortcut: &Tensor,
        mode: Mode,
    ) -> Result<Tensor> {
        match self {
            Self::First => Ok(ops::relu(&(conv.forward(x, mode)? + shortcut)?)?),
            Self::Last => Ok(conv.forward_last(x, Some(shortcut), true, mode)?),
        }
    }
}

/// One query, the mean of the map, attends to the map and itself.
#[derive(Debug, Clone)]
struct AttentionPool {
    positions: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

impl AttentionPool {
    fn load(weights: &Weights, config: &ResNetConfig, embed_dim: usize) -> Result<Self> {
        let width = config.last_width();
        let grid = config.image_size / 32;
        let std = normal((width as f64).powf(-0.5));
        let linear = |name: &str, outputs: usize| -> Result<Linear> {
            let weights = weights.pp(name);
            if weights.is_fresh() {
                weights.get((outputs, width), "weight", std)?;
            }
            Ok(Linear::load(&weights, width, outputs, Bias::Yes)?)
        };
        Ok(Self {
            positions: weights.get((grid * grid + 1, width), "positional_embedding", std)?,
            query: linear("q_proj", width)?,
            key: linear("k_proj", width)?,
            value: linear("v_proj", width)?,
            out: linear("c_proj", embed_dim)?,
            heads: config.heads,
        })
    }

    /// `[b, h * w, width]` to `[b, embed_dim]`.
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let (b, _, width) = tokens.dims3()?;
        let mean = tokens.mean_keepdim(1)?; // [b, 1, width]
        let tokens = Tensor::cat(&[&mean, tokens], 1)?.broadcast_add(&self.positions)?;
        let n = tokens.dim(1)?;
        let depth = width / self.heads;
        let split = |x: Tensor, n: usize| -> Result<Tensor> {
            Ok(x.reshape((b, n, self.heads, depth))?.transpose(1, 2)?) // [b, heads, n, depth]
        };
        let query = split(
            self.query.forward(&tokens.narrow(1, 0, 1)?.contiguous()?)?,
            1,
        )?;
        let key = split(self.key.forward(&tokens)?, n)?;
        let value = split(self.value.forward(&tokens)?, n)?;
        let scale = (depth as f64).powf(-0.5);
        let mixed = ops::attention(&query, &key, &value, &Mask::None, scale)?; // [b, heads, 1, depth]
        let mixed = mixed.transpose(1, 2)?.contiguous()?.reshape((b, width))?;
        Ok(self.out.forward(&mixed)?)
    }
}

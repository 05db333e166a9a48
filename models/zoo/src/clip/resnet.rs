//! CLIP's modified ResNet. Source: Radford et al. 2021, section 2.4; He et al. 2019 (ResNet-D); Zhang 2019 (blur pool).

use super::config::ResNetConfig;
use super::init::normal;
use std::sync::Arc;

use crate::error::{Result, ZooError};
use candle_core::Tensor;
use lucency_nn::{Bias, Init, Linear, Mask, Mode, NormedConv2d, Segments, Sizes, Weights, ops};

/// Three convolutions and a pool, four stages of bottlenecks, an attention pool.
#[derive(Debug, Clone)]
pub(super) struct ResNet {
    stem: Arc<[NormedConv2d; 3]>,
    stages: [Vec<Arc<Bottleneck>>; 4],
    pool: AttentionPool,
    image_size: usize,
    segments: Segments,
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
        let stage = |i: usize, inputs: usize, stride: usize| -> Result<Vec<Arc<Bottleneck>>> {
            let planes = width << i;
            let weights = weights.pp(format!("layer{}", i + 1));
            (0..config.layers[i])
                .map(|block| {
                    let (inputs, stride) = match block {
                        0 => (inputs, stride),
                        _ => (planes * EXPANSION, 1),
                    };
                    let loaded = Bottleneck::load(&weights.pp(block), inputs, planes, stride, eps);
                    loaded.map(Arc::new)
                })
                .collect()
        };
        Ok(Self {
            stem: Arc::new([
                stem(1, 3, width / 2, 2)?,
                stem(2, width / 2, width / 2, 1)?,
                stem(3, width / 2, width, 1)?,
            ]),
            stages: [
                stage(0, width, 1)?,
                stage(1, width * EXPANSION, 2)?,
                stage(2, width * EXPANSION * 2, 2)?,
                stage(3, width * EXPANSION * 4, 2)?,
            ],
            pool: AttentionPool::load(&weights.pp("attnpool"), config, embed_dim)?,
            image_size: config.image_size,
            segments: Segments::of(&weights),
        })
    }

    /// The stem's output, `[b, width, s/4, s/4]` in the stem's layout.
    fn stem(&self, pixels: &Tensor, mode: Mode) -> Result<Map> {
        let side = self.image_size;
        if pixels.rank() != 4 || pixels.dims()[1..] != [3, side, side] {
            return Err(ZooError::PixelShape {
                wanted: format!("[batch, 3, {side}, {side}]"),
                found: pixels.dims().to_vec(),
            });
        }
        let layout = Layout::of(&self.stem[..]);
        let pixels = Map::image(pixels.clone()).turned(layout)?;
        let stem = self.stem.clone();
        let x = self.run(&pixels, mode, move |x| {
            let mut x = x.clone();
            for conv in &*stem {
                x = layout.relu(conv, &x, mode)?;
            }
            layout.pool(&x, 2)
        })?;
        Ok(Map { x, layout })
    }

    /// A part of the network. One that takes the batch's statistics also moves the running ones, so it is never computed twice.
    fn run(
        &self,
        x: &Tensor,
        mode: Mode,
        part: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Tensor> {
        match mode {
            Mode::Train => part(x),
            Mode::Eval => self.segments.run(x, part),
        }
    }

    /// A stage.
    fn stage(&self, stage: usize, map: &Map, mode: Mode) -> Result<Map> {
        let mut map = map.clone();
        for block in &self.stages[stage] {
            let (layout, x) = (block.layout(), map.turned(block.layout())?);
            let block = block.clone();
            let x = self.run(&x, mode, move |x| block.forward(x, mode))?;
            map = Map { x, layout };
        }
        Ok(map)
    }

    /// The stem's and every stage's output, for comparison with other implementations.
    pub(super) fn stages(&self, pixels: &Tensor, mode: Mode) -> Result<Vec<Tensor>> {
        let mut maps = vec![self.stem(pixels, mode)?];
        for stage in 0..self.stages.len() {
            maps.push(self.stage(stage, &maps[stage], mode)?);
        }
        maps.iter().map(|map| map.turned(Layout::First)).collect()
    }

    /// The third stage's output, `[b, 16 * width, s/16, s/16]`.
    pub(super) fn trunk(&self, pixels: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut map = self.stem(pixels, mode)?;
        for stage in 0..3 {
            map = self.stage(stage, &map, mode)?;
        }
        map.turned(Layout::First)
    }

    /// From the third stage's output to the embedding, `[b, embed_dim]`.
    pub(super) fn head(&self, hidden: &Tensor, mode: Mode) -> Result<Tensor> {
        let map = self.stage(3, &Map::image(hidden.clone()), mode)?;
        self.pool.forward(&map.layout.tokens(&map.x)?)
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

    fn layout(&self) -> Layout {
        let own = [&self.narrow, &self.look, &self.widen];
        Layout::of(own.into_iter().chain(&self.shortcut))
    }

    /// `[b, inputs, h, w]` to `[b, 4 * planes, h/stride, w/stride]`, in the block's layout.
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let layout = self.layout();
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

/// A map between two parts of the network, which may lay out their channels differently.
#[derive(Debug, Clone)]
struct Map {
    x: Tensor,
    layout: Layout,
}

impl Map {
    /// An image or a trunk's output, `[b, c, h, w]`.
    fn image(x: Tensor) -> Self {
        Self {
            x,
            layout: Layout::First,
        }
    }

    fn turned(&self, to: Layout) -> Result<Tensor> {
        match (self.layout, to) {
            (Layout::First, Layout::Last) => Ok(ops::channels_last(&self.x)?),
            (Layout::Last, Layout::First) => Ok(ops::channels_first(&self.x)?),
            _ => Ok(self.x.clone()),
        }
    }
}

/// Which axis of a map is innermost inside a part of the network.
#[derive(Debug, Clone, Copy)]
enum Layout {
    /// `[b, c, h, w]`, for training.
    First,
    /// `[b, h, w, c]`, where convolutions are folded: a convolution is a product of rows that need no copying.
    Last,
}

impl Layout {
    /// The layout of a part made of these convolutions.
    fn of<'a>(convs: impl IntoIterator<Item = &'a NormedConv2d>) -> Self {
        match convs.into_iter().all(NormedConv2d::is_folded) {
            true => Self::Last,
            false => Self::First,
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

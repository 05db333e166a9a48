//! What a question-answering model sees: MAML, auto-encoder and CLIP features side by side.

use candle_core::{D, Tensor};
use lucency_nn::{Bias, Linear, Mode, Weights};
use serde::{Deserialize, Serialize};

use super::{Cdae, MamlCnn};
use crate::{Result, ZooError};

/// Features of the meta-learned network, and of the compressed auto-encoder code.
const PART: usize = 64;

/// Which encoders there are. Source: Nguyen et al. 2019, section 2; Eslami et al. 2023, section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisualConfig {
    /// The meta-learned network on 84×84 images.
    pub maml: bool,
    /// The denoising auto-encoder on square images of this side, a multiple of 4; 128 in the published models.
    pub ae_side: Option<usize>,
    /// Width of the CLIP features that are given.
    pub clip_dim: Option<usize>,
}

impl VisualConfig {
    /// Width of the features together.
    pub fn width(&self) -> usize {
        let part = |there: bool| if there { PART } else { 0 };
        part(self.maml) + part(self.ae_side.is_some()) + self.clip_dim.unwrap_or(0)
    }

    /// Errors with [`ZooError::Config`] if there is no encoder or one cannot exist.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(ZooError::Config(what.to_string()));
        if self.width() == 0 {
            return wrong("a question-answering model needs at least one image encoder");
        }
        if self.clip_dim == Some(0) {
            return wrong("CLIP features are at least 1 wide");
        }
        match self.ae_side {
            Some(side) if side == 0 || side % 4 != 0 => {
                wrong("the auto-encoder's side is a positive multiple of 4")
            }
            _ => Ok(()),
        }
    }
}

/// What one batch shows; the encoders that there are must be given their images.
#[derive(Clone, Debug, Default)]
pub struct VisualBatch {
    /// Grey images for the meta-learned network, `[b, 1, 84, 84]`.
    pub maml: Option<Tensor>,
    /// Grey images for the auto-encoder, `[b, 1, side, side]`.
    pub ae: Option<Tensor>,
    /// CLIP features, not normalised, `[b, clip_dim]`; computed once, since the tower is frozen.
    pub clip: Option<Tensor>,
}

/// Key prefixes, which differ between the published models.
pub(super) struct VisualKeys {
    pub(super) maml: &'static str,
    pub(super) ae: &'static str,
}

/// The image encoders of a question-answering model.
#[derive(Debug, Clone)]
pub(super) struct Visual {
    config: VisualConfig,
    maml: Option<MamlCnn>,
    ae: Option<(Cdae, Linear)>,
}

impl Visual {
    pub(super) fn load(
        weights: &Weights,
        config: &VisualConfig,
        keys: &VisualKeys,
    ) -> Result<Self> {
        config.check()?;
        let ae = |side: usize| -> Result<(Cdae, Linear)> {
            let code = Cdae::code_len(side);
            Ok((
                Cdae::load(&weights.pp(keys.ae))?,
                Linear::load(&weights.pp("convert"), code, PART, Bias::Yes)?,
            ))
        };
        Ok(Self {
            config: *config,
            maml: match config.maml {
                true => Some(MamlCnn::load(&weights.pp(keys.maml))?),
                false => None,
            },
            ae: config.ae_side.map(ae).transpose()?,
        })
    }

    /// Features `[b, width]` and the auto-encoder's code.
    ///
    /// They stand in the order MAML, auto-encoder, CLIP if there is a MAML, else CLIP, auto-encoder, as in the published
    /// models.
    pub(super) fn encode(
        &self,
        batch: &VisualBatch,
        mode: Mode,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let given = |what: &str, tensor: &Option<Tensor>| {
            tensor
                .clone()
                .ok_or_else(|| ZooError::Config(format!("the batch has no {what}")))
        };
        let maml = match &self.maml {
            Some(maml) => Some(maml.forward(&given("images for MAML", &batch.maml)?, mode)?),
            None => None,
        };
        let (code, ae) = match (&self.ae, self.config.ae_side) {
            (Some((cdae, convert)), Some(side)) => {
                let images = given("images for the auto-encoder", &batch.ae)?;
                if images.dims()[1..] != [1, side, side] {
                    return Err(ZooError::PixelShape {
                        wanted: format!("[b, 1, {side}, {side}]"),
                        found: images.dims().to_vec(),
                    });
                }
                let code = cdae.encode(&images)?; // [b, 16, side / 4, side / 4]
                let features = convert.forward(&code.flatten_from(1)?)?; // [b, 64]
                (Some(code), Some(features))
            }
            _ => (None, None),
        };
        let clip = match self.config.clip_dim {
            Some(dim) => {
                let clip = given("CLIP features", &batch.clip)?;
                if clip.dim(D::Minus1)? != dim || clip.rank() != 2 {
                    return Err(ZooError::PixelShape {
                        wanted: format!("[b, {dim}]"),
                        found: clip.dims().to_vec(),
                    });
                }
                Some(clip)
            }
            None => None,
        };
        let parts = match maml.is_some() {
            true => [maml, ae, clip],
            false => [clip, ae, None],
        };
        let parts: Vec<Tensor> = parts.into_iter().flatten().collect();
        let features = match parts.as_slice() {
            [one] => one.clone(),
            _ => Tensor::cat(&parts, 1)?,
        };
        Ok((features, code))
    }

    /// The auto-encoder's image of a code, `[b, 1, side, side]`.
    pub(super) fn reconstruct(&self, code: Option<Tensor>) -> Result<Option<Tensor>> {
        match (&self.ae, code) {
            (Some((cdae, _)), Some(code)) => Ok(Some(cdae.decode(&code)?)),
            _ => Ok(None),
        }
    }
}

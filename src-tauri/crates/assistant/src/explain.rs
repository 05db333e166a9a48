//! Where an answer's score depends on the image: Grad-CAM with real gradients.
//!
//! Source: Selvaraju et al. 2017, section 3, on the image tower's last spatial representation.

use candle_core::{D, Tensor, Var};
use lucency_zoo::clip::Clip;
use lucency_zoo::vqa;

use crate::assistant::Assistant;
use crate::dto::{HeatMap, RegionDto};
use crate::error::Result;
use crate::picture::Picture;

impl Assistant {
    /// Relevance of each cell of the image tower's grid for the lead of `answer` over the next best; none if no cell speaks for it.
    pub(crate) fn explain(
        &self,
        picture: &Picture,
        question: &str,
        answer: &str,
    ) -> Result<Option<HeatMap>> {
        if let Some(network) = self.network() {
            return self.with_clip(|clip| network.explain(clip, picture, question, answer));
        }
        let features = self.features(picture)?;
        let head = self.head()?;
        let Some(index) = head.config().answers.iter().position(|a| a == answer) else {
            return Ok(None);
        };
        let question = self.question(question)?;
        let relevance = |clip: &Clip| {
            let hidden = Var::from_tensor(&features.hidden)?;
            let input = vqa::image_features_of_trunk(clip, hidden.as_tensor())?;
            let logits = head.forward(&input, &[&question])?; // [1, answers]
            // The lead over the next answer: a log-probability near 0 has no slope left.
            let own = logits.narrow(1, index, 1)?.sum_all()?; // []
            let lead = match runner_up(&logits, index)? {
                Some(next) => (own - logits.narrow(1, next, 1)?.sum_all()?)?,
                None => own,
            };
            let gradients = lead.backward()?;
            let Some(gradient) = gradients.get(hidden.as_tensor()) else {
                return Ok(None);
            };
            let cells = clip.spatial_tokens(&features.hidden)?; // [1, n, c]
            let slopes = clip.spatial_tokens(gradient)?; // [1, n, c]
            grad_cam(&cells, &slopes).map(Some)
        };
        let Some(cam) = self.with_clip(relevance)? else {
            return Ok(None);
        };
        let (rows, columns) = features.grid;
        let Some(values) = normalised(&cam) else {
            return Ok(None);
        };
        let seen = self
            .pack()
            .manifest()
            .preprocessing
            .source_region(picture.image.width, picture.image.height);
        Ok(Some(HeatMap {
            rows,
            columns,
            values,
            region: RegionDto {
                x: seen.x,
                y: seen.y,
                width: seen.width,
                height: seen.height,
            },
        }))
    }
}

/// The best answer but one.
///
/// - `logits`: `[1, answers]`
fn runner_up(logits: &Tensor, index: usize) -> Result<Option<usize>> {
    let values: Vec<f32> = logits.flatten_all()?.to_vec1()?;
    Ok((0..values.len())
        .filter(|i| *i != index)
        .max_by(|a, b| values[*a].total_cmp(&values[*b])))
}

/// `relu(Σ_c mean_cells(slope_c) · cell_c)`, one value a cell.
fn grad_cam(cells: &Tensor, slopes: &Tensor) -> Result<Vec<f32>> {
    let weights = slopes.mean_keepdim(1)?; // [1, 1, c]
    let cam = cells.broadcast_mul(&weights)?.sum(D::Minus1)?; // [1, n]
    Ok(cam.relu()?.flatten_all()?.to_vec1::<f32>()?)
}

/// Scaled to a maximum of 1; none if nothing is positive.
pub(crate) fn normalised(cam: &[f32]) -> Option<Vec<f32>> {
    let top = cam.iter().copied().fold(0.0f32, f32::max);
    (top > 0.0 && top.is_finite()).then(|| cam.iter().map(|v| v / top).collect())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn cells_that_raise_the_score_are_hot_and_others_are_not() {
        // Two channels; the score grows with the first and falls with the second.
        let cells = Tensor::new(&[[[1f32, 0.0], [0.0, 1.0], [0.5, 0.0]]], &Device::Cpu).unwrap();
        let slopes =
            Tensor::new(&[[[2f32, -1.0], [2.0, -1.0], [2.0, -1.0]]], &Device::Cpu).unwrap();
        let cam = grad_cam(&cells, &slopes).unwrap();
        assert_eq!(
            cam,
            [2.0, 0.0, 1.0],
            "relu keeps what speaks for the answer"
        );
        assert_eq!(normalised(&cam).unwrap(), [1.0, 0.0, 0.5]);
        assert!(
            normalised(&[0.0, 0.0]).is_none(),
            "no evidence is not drawn as evidence"
        );
    }
}

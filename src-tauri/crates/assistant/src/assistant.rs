//! A pack, its networks and the case library, opened once and used by every use case.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::{Device, Tensor};
use lucency_library::Library;
use lucency_nn::{Compute, Hosted, Mode, Precision, Quantisation, ops};
use lucency_packs::{LabelSet, Origin, Pack, PackManifest, PackStore, TokenizerSpec};
use lucency_zoo::clip::{Clip, ClipConfig};
use lucency_zoo::tokenizer::ClipTokenizer;
use lucency_zoo::vqa::{self, AnswerHead, Question};

use crate::cache::{EmbeddingStore, FrameFeatures, Memory};
use crate::dto::{FigureDto, PackSummary};
use crate::error::{AssistantError, Result};
use crate::findings::LabelEmbeddings;
use crate::finetune::{ActiveAdapter, active_adapter};
use crate::network::QuestionNetwork;
use crate::picture::Picture;
use crate::{assets, picture};

/// The pack that is used when none is chosen.
pub const DEFAULT_PACK: &str = "demo";
/// Frames whose features are kept in memory.
const REMEMBERED_FRAMES: usize = 64;

/// Where things are.
#[derive(Debug, Clone)]
pub struct Options {
    /// Installed packs and caches.
    pub home: PathBuf,
    /// What came with the application.
    pub assets: PathBuf,
    /// Name or folder of the pack; the demo pack if none.
    pub pack: Option<String>,
    /// Where networks compute.
    pub compute: Compute,
    /// Fewer bits for the frozen matrices of networks on the processor; none for floats.
    pub quantise: Option<Quantisation>,
}

impl Options {
    /// The user's home folder for Lucency and the application's assets.
    ///
    /// Errors if the operating system names no data folder.
    pub fn standard(pack: Option<String>) -> Result<Self> {
        Ok(Self {
            home: lucency_packs::home()?,
            assets: assets::find()?,
            pack,
            compute: Compute::processor(),
            quantise: None,
        })
    }

    /// The installed and the bundled packs.
    pub fn store(&self) -> PackStore {
        PackStore::at(&self.home).with_bundled(vec![assets::packs(&self.assets)])
    }
}

/// Everything that a use case needs; shared between threads.
pub struct Assistant {
    options: Options,
    pack: Pack,
    clip: Hosted<Clip, AssistantError>,
    tokenizer: Option<ClipTokenizer>,
    head: Option<AnswerHead>,
    network: Option<QuestionNetwork>,
    adapter: Option<ActiveAdapter>,
    memory: Memory,
    store: EmbeddingStore,
    labels: Mutex<HashMap<String, Arc<LabelEmbeddings>>>,
    library: OnceLock<Option<Library>>,
}

impl Assistant {
    /// Verifies the pack and loads its networks, and the adapter that is in use on it.
    ///
    /// The towers compute where the options say; what is made of their embeddings, on the processor. With fewer bits, embeddings are kept
    /// apart from those of the pack as it is.
    ///
    /// Errors if the pack or the adapter is missing, damaged or not understood.
    pub fn open(options: Options) -> Result<Self> {
        let store = options.store();
        let pack = store.find(options.pack.as_deref().unwrap_or(DEFAULT_PACK))?;
        let pack = pack.quantised(options.quantise);
        let of_pack = pack.clone();
        let clip = Hosted::load(&options.compute, move |place| Ok(of_pack.load_clip(place)?))?;
        let tokenizer = match pack.manifest().tokenizer {
            TokenizerSpec::Unknown { .. } => None, // such a pack reads images only
            _ => Some(pack.tokenizer()?),
        };
        let head = pack.load_answer_head(&Device::Cpu)?;
        let network = QuestionNetwork::of(&pack, clip.model().config())?;
        let adapter = active_adapter(&options, &pack)?;
        Ok(Self {
            store: EmbeddingStore::new(&options.home, &pack.weights_id()),
            options,
            clip,
            tokenizer,
            head,
            network,
            adapter,
            memory: Memory::new(REMEMBERED_FRAMES),
            labels: Mutex::default(),
            library: OnceLock::new(),
            pack,
        })
    }

    /// Where things are.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The pack in use.
    pub fn pack(&self) -> &Pack {
        &self.pack
    }

    /// The pack in use, for a list.
    pub fn pack_summary(&self) -> PackSummary {
        let origin = match self.pack.dir().starts_with(&self.options.assets) {
            true => Origin::Bundled,
            false => Origin::Installed,
        };
        summary(self.pack.manifest(), self.pack.hash(), origin)
    }

    /// The adapter in use.
    pub(crate) fn adapter(&self) -> Option<&ActiveAdapter> {
        self.adapter.as_ref()
    }

    /// What the pack's towers are made of.
    pub(crate) fn clip_config(&self) -> ClipConfig {
        self.clip.model().config().clone()
    }

    /// Does work with the pack's towers where they are; see [`Hosted::run`].
    pub(crate) fn with_clip<T>(&self, work: impl Fn(&Clip) -> Result<T>) -> Result<T> {
        self.clip.run(work)
    }

    /// The factor on cosines.
    pub(crate) fn scale(&self) -> Result<f64> {
        self.with_clip(|clip| Ok(f64::from(clip.logit_scale()?.to_scalar::<f32>()?.exp())))
    }

    pub(crate) fn tokenizer(&self) -> Result<&ClipTokenizer> {
        match &self.tokenizer {
            Some(tokenizer) => Ok(tokenizer),
            None => Err(match self.pack.tokenizer() {
                Err(error) => error.into(),
                Ok(_) => AssistantError::NoAnswers(self.pack.name().to_owned()),
            }),
        }
    }

    pub(crate) fn head(&self) -> Result<&AnswerHead> {
        self.head
            .as_ref()
            .ok_or_else(|| AssistantError::NoAnswers(self.pack.manifest().name.clone()))
    }

    pub(crate) fn network(&self) -> Option<&QuestionNetwork> {
        self.network.as_ref()
    }

    /// The question as the head takes it.
    pub(crate) fn question(&self, text: &str) -> Result<Question> {
        let (buckets, tokenizer) = (self.head()?.config().buckets, self.tokenizer()?);
        self.with_clip(|clip| Ok(Question::new(clip, tokenizer, text, buckets)?))
    }

    /// The demo library.
    ///
    /// Errors if it is not there or damaged.
    pub fn library(&self) -> Result<&Library> {
        let folder = assets::demo_library(&self.options.assets);
        if self.library.get().is_none() {
            let found = match folder.is_dir() {
                true => {
                    let cache = self.options.home.join("cache").join("library");
                    Some(Library::open(&folder)?.with_cache(&cache))
                }
                false => None,
            };
            let _ = self.library.set(found); // another thread may have been first with the same
        }
        self.library
            .get()
            .and_then(Option::as_ref)
            .ok_or_else(|| AssistantError::NoLibrary(folder.display().to_string()))
    }

    /// The image of a library case, PNG bytes.
    ///
    /// Errors if there is no such case or its image is damaged.
    pub fn case_image(&self, case_id: &str) -> Result<Vec<u8>> {
        Ok(self.library()?.image_bytes(case_id)?)
    }

    /// The image file of a library case, to be opened as a study.
    ///
    /// Errors as [`case_image`](Self::case_image) does.
    pub fn case_file(&self, case_id: &str) -> Result<PathBuf> {
        Ok(self.library()?.image_file(case_id)?)
    }

    /// The image's embedding, `[dim]`, unit length; from memory or disk if the same pixels were embedded before.
    pub fn image_embedding(&self, picture: &Picture) -> Result<Tensor> {
        let key = key(picture);
        let dim = self.clip_config().embed_dim;
        if self.is_exact()
            && let Some(stored) = self.store.read(&key, dim)
        {
            return Ok(stored);
        }
        Ok(self.features(picture)?.embedding)
    }

    /// Whether embeddings are the pack's to four digits, so that they may be kept for other starts.
    fn is_exact(&self) -> bool {
        let precision = self.options.compute.place().precision;
        matches!(precision, Precision::F32 | Precision::F64)
    }

    /// Unit-length embeddings of texts, `[texts, dim]`.
    pub fn embed_texts(&self, texts: &[String]) -> Result<Tensor> {
        let context = self.clip_config().text.context;
        let ids = self.tokenizer()?.batch(texts, context, &Device::Cpu)?; // [n, context]
        self.with_clip(|clip| Ok(clip.embed_texts(&ids)?))
    }

    /// The direction of the mean of the texts' embeddings, `[dim]`, unit length.
    pub(crate) fn mean_text_embedding(&self, texts: &[String]) -> Result<Tensor> {
        let mean = self.embed_texts(texts)?.mean_keepdim(0)?; // [1, dim]
        Ok(ops::l2_normalise(&mean)?.squeeze(0)?)
    }

    /// What the image tower makes of a picture; remembered.
    pub(crate) fn features(&self, picture: &Picture) -> Result<FrameFeatures> {
        let key = key(picture);
        self.memory.get_or(&key, || {
            let features = self.with_clip(|clip| self.features_by(clip, picture))?;
            if self.is_exact() {
                self.store
                    .write(&key, &features.embedding.to_vec1::<f32>()?);
            }
            Ok(features)
        })
    }

    fn features_by(&self, clip: &Clip, picture: &Picture) -> Result<FrameFeatures> {
        let pixels = self.pixels(picture)?; // [1, 3, side, side]
        let trunk = clip.trunk(&pixels, Mode::Eval)?;
        let embedding = clip.head(&trunk.hidden, Mode::Eval)?; // [1, dim]
        let answer_features = match &self.head {
            Some(_) => Some(vqa::image_features_of_trunk(clip, &trunk.hidden)?),
            None => None,
        };
        let network_features = match &self.network {
            Some(network) => Some(network.features(clip, &picture.image)?),
            None => None,
        };
        Ok(FrameFeatures {
            network_features,
            hidden: trunk.hidden.detach(),
            grid: trunk.grid,
            answer_features,
            embedding: ops::l2_normalise(&embedding)?.squeeze(0)?, // [dim]
        })
    }

    pub(crate) fn cached_labels(
        &self,
        set: &LabelSet,
        make: impl FnOnce(&LabelSet) -> Result<LabelEmbeddings>,
    ) -> Result<Arc<LabelEmbeddings>> {
        let key = format!(
            "{:?}",
            set.labels
                .iter()
                .map(|l| (&l.name, &l.positive, &l.negative))
                .collect::<Vec<_>>()
        );
        let lock = || self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = lock().get(&key) {
            return Ok(found.clone());
        }
        let made = Arc::new(make(set)?);
        lock().insert(key, made.clone());
        Ok(made)
    }
}

/// Every pack that can be chosen, bundled ones first.
///
/// A pack whose manifest cannot be read is left out; `lucency packs list` says why.
pub fn pack_summaries(options: &Options) -> Result<Vec<PackSummary>> {
    let entries = options.store().list()?;
    Ok(entries
        .into_iter()
        .filter_map(|entry| {
            let (manifest, hash) = entry.manifest.ok()?;
            Some(summary(&manifest, &hash, entry.origin))
        })
        .collect())
}

fn summary(manifest: &PackManifest, hash: &str, origin: Origin) -> PackSummary {
    PackSummary {
        name: manifest.name.clone(),
        title: manifest.title.clone(),
        version: manifest.version.clone(),
        hash: hash.to_owned(),
        licence: manifest.licence.clone(),
        intended_use: manifest.intended_use.clone(),
        bundled: origin == Origin::Bundled,
        answers: manifest.answers_questions(),
        figures: manifest
            .figures
            .iter()
            .map(|f| FigureDto {
                measure: f.measure.clone(),
                value: f.value,
                data: f.data.clone(),
            })
            .collect(),
    }
}

/// Pixels and how they were shown: the same stored values in another window are another input.
fn key(picture: &Picture) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(&picture.pixel_hash);
    hash.update(&picture.rendering);
    picture::hex(&hash.finalize())
}

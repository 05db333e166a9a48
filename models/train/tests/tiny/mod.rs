//! Tiny CLIPs and a task that they can learn, for tests of fine-tuning.

#![allow(dead_code)] // each test takes what it needs

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor};
use lucency_nn::{Activation, Interrupt, Place, Progress, Weights};
use lucency_train::finetune::{
    Classify, Method, Model, Pairs, Pictures, Task, Towers, TunePlan, Tuned, tune, tune_pairs,
};
use lucency_train::probe::Labels;
use lucency_train::run::Objective;
use lucency_zoo::clip::{
    Clip, ClipConfig, KeyLayout, ResNetConfig, TextConfig, VisionConfig, VitConfig,
};
use lucency_zoo::preprocess::{Image8, Preprocess};
use lucency_zoo::tokenizer::{ClipTokenizer, prune};

const SIDE: usize = 32;

/// A bright square on the left or on the right.
pub struct Squares(pub usize);

impl Pictures for Squares {
    fn len(&self) -> usize {
        self.0
    }

    fn picture(&self, index: usize) -> lucency_train::Result<Image8> {
        let mut data = vec![40 + (index * 7 % 60) as u8; SIDE * SIDE];
        for y in 10..20 {
            for x in 0..9 {
                data[y * SIDE + x + if index.is_multiple_of(2) { 3 } else { 20 }] = 230;
            }
        }
        Ok(Image8::new(SIDE, SIDE, 1, data)?)
    }
}

/// A base model with its tokenizer.
pub struct Base {
    pub tensors: HashMap<String, Tensor>,
    pub config: ClipConfig,
    pub preprocess: Preprocess,
    pub tokenizer: ClipTokenizer,
    pub place: Place,
}

impl Base {
    pub fn model(&self) -> Model<'_> {
        Model {
            tensors: &self.tensors,
            config: &self.config,
            preprocess: &self.preprocess,
            tokenizer: &self.tokenizer,
            place: &self.place,
        }
    }
}

pub fn base(vision: VisionConfig, layout: KeyLayout) -> Base {
    let words = ["A square on the left.", "no right square", "a photo of a"];
    let tokenizer = ClipTokenizer::pruned(&prune::select(words, 600)).unwrap();
    let config = ClipConfig {
        layout,
        embed_dim: 16,
        vision,
        text: TextConfig::compact(tokenizer.vocab_size(), 16, 16, 2),
    };
    let weights = Weights::fresh(5, &Device::Cpu);
    Clip::load(&weights, &config).unwrap();
    let mut tensors: HashMap<String, Tensor> = weights.tensors().into_iter().collect();
    // A fresh ResNet's branches begin silent; a trained one's do not.
    for (key, tensor) in &mut tensors {
        if key.ends_with("bn3.weight") {
            *tensor = tensor.ones_like().unwrap();
        }
    }
    Base {
        tensors,
        config,
        preprocess: Preprocess::squash_grey(SIDE),
        tokenizer,
        place: Place::processor(),
    }
}

pub fn resnet() -> Base {
    let config = ResNetConfig::new(SIDE, [1, 1, 1, 1], 4);
    base(VisionConfig::ResNet(config), KeyLayout::OpenAi)
}

pub fn vit(layout: KeyLayout) -> Base {
    let config = VitConfig {
        image_size: SIDE,
        patch_size: 8,
        width: 16,
        layers: 2,
        heads: 2,
        mlp_width: 32,
        activation: Activation::QuickGelu,
        layer_norm_eps: 1e-5,
    };
    base(VisionConfig::Vit(config), layout)
}

pub fn labels(n: usize) -> Labels {
    Labels::Classes {
        of: (0..n).map(|i| Some(i % 2)).collect(),
        classes: 2,
    }
}

pub fn plan(method: Method) -> TunePlan {
    TunePlan {
        epochs: 6,
        batch: 4,
        chunk: 3,
        rank: 2,
        alpha: 4.0,
        tokens: 2,
        seed: 9,
        patience: 0,
        locked_images: false,
        ..TunePlan::preset(method)
    }
}

pub fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

pub fn bits(tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, Vec<u32>> {
    let of = |t: &Tensor| values(t).into_iter().map(f32::to_bits).collect();
    tensors.iter().map(|(k, t)| (k.clone(), of(t))).collect()
}

pub fn names() -> Vec<String> {
    vec!["left".into(), "right".into()]
}

pub fn reports(n: usize) -> Vec<String> {
    let side = |i: usize| if i.is_multiple_of(2) { "left" } else { "right" };
    (0..n)
        .map(|i| format!("A square on the {}{}", side(i), ".".repeat(1 + i / 4)))
        .collect()
}

/// Pictures with the sides of their squares as labels and in their reports.
pub struct Things {
    pub pictures: Squares,
    pub labels: Labels,
    pub names: Vec<String>,
    pub templates: Vec<String>,
    pub reports: Vec<String>,
    pub all: Vec<usize>,
}

impl Things {
    pub fn new(n: usize) -> Self {
        Self {
            pictures: Squares(n),
            labels: labels(n),
            names: names(),
            templates: vec!["A square on the {}.".to_string()],
            reports: reports(n),
            all: (0..n).collect(),
        }
    }

    /// The pictures as a task that some rows are for.
    pub fn task<'a>(&'a self, train: &'a [usize], validation: &'a [usize]) -> Task<'a> {
        Task {
            pictures: &self.pictures,
            labels: &self.labels,
            names: &self.names,
            templates: &self.templates,
            train,
            validation,
        }
    }

    /// A run in `folder` that learns from the first ten and validates on the others, stopped once after `stop_after` steps if that is given.
    pub fn run(
        &self,
        base: &Base,
        plan: &TunePlan,
        folder: &Path,
        stop_after: Option<u64>,
    ) -> Tuned {
        let (train, validation) = self.all.split_at(10);
        let stop = Interrupt::new();
        let mut report = |progress: Progress| {
            if stop_after.is_some_and(|n| progress.stage == "training" && progress.done >= n) {
                stop.stop();
            }
        };
        let (model, pictures) = (base.model(), &self.pictures);
        let tuned = match plan.method {
            Method::Contrastive => tune_pairs(
                model,
                pictures,
                &self.reports,
                train,
                validation,
                plan,
                folder,
                &stop,
                &mut report,
            ),
            _ => {
                let task = self.task(train, validation);
                tune(model, task, plan, folder, &stop, &mut report)
            }
        };
        tuned.unwrap()
    }

    /// What a plan's method minimises, over all pictures.
    pub fn objective<'a>(&'a self, towers: Towers, plan: &TunePlan) -> Box<dyn Objective + 'a> {
        let (pictures, all) = (&self.pictures, &self.all);
        match plan.method {
            Method::Contrastive => {
                Box::new(Pairs::new(towers, pictures, &self.reports, all, &[], plan).unwrap())
            }
            _ => Box::new(Classify::new(towers, self.task(all, &[]), plan).unwrap()),
        }
    }
}

pub fn with_fresh(base: &Base, plan: &TunePlan) -> Towers {
    Towers::build(
        base.tensors.clone(),
        &base.config,
        &base.preprocess,
        &base.tokenizer,
        &base.place,
        plan,
    )
    .unwrap()
}

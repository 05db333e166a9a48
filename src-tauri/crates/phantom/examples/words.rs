//! Prints reports and questions of phantoms: `words SEED COUNT`.

use lucency_phantom::{Site, Spec};
use rand::SeedableRng;

fn main() {
    let arguments: Vec<u64> = std::env::args()
        .skip(1)
        .map(|a| a.parse().expect("a number"))
        .collect();
    for seed in arguments[0]..arguments[0] + arguments[1] {
        let site = if seed % 2 == 0 { Site::A } else { Site::B };
        let spec = Spec::sample(seed, site);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        println!("== {seed} {:?} {:?}", spec.views, spec.labels().findings);
        println!("{}", spec.report(&mut rng).text());
        for s in spec.sentences(spec.views[0], &mut rng) {
            println!("  . {}", s.text);
        }
        for q in spec.questions(&mut rng) {
            println!(
                "  {:?} {:?} {} -> {}",
                q.question_type, q.answer_type, q.question, q.answer
            );
        }
    }
}

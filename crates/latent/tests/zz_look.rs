//! Temporary: a look at a run.
use latent::data::Split;
use latent::evaluate::{Subject, latents};
use latent::{Key, Model};

#[test]
fn look() {
    let Ok(run) = std::env::var("LATENT_RUN") else { return };
    let model = Model::load(&run).unwrap();
    let data = model.open_own(&mut |_| {}).unwrap();
    let begun = std::time::Instant::now();
    let last = std::cell::RefCell::new((String::new(), std::time::Instant::now()));
    let seconds = std::env::var("SECONDS_EACH").ok().and_then(|s| s.parse().ok());
    let subject = Subject {
        model: &model,
        held_out: (&data, Split::Test),
        train: Some(&data),
        foreign: None,
        seconds,
        key: Key::from_seed(3),
        progress: &|what, _| {
            let mut last = last.borrow_mut();
            if last.0 != what {
                println!("   {} took {:.1} s", last.0, last.1.elapsed().as_secs_f64());
                *last = (what.to_string(), std::time::Instant::now());
            }
        },
    };
    let found = latents(&subject).unwrap();
    println!("{:.1} s", begun.elapsed().as_secs_f64());
    for m in &found.measures {
        println!(
            "{:22} {:10.4} [{:.4}, {:.4}] {} n={}  {}",
            m.name, m.estimate.value, m.estimate.low, m.estimate.high, m.unit, m.n, m.note
        );
    }
    println!("{:#?}\n{:#?}", found.warnings, found.absent);
    for (name, _, figure) in &found.figures {
        figure.save(std::path::Path::new(&format!("/tmp/latents/{name}.png"))).unwrap();
    }
}

//! A picture that is dropped on the page is brought to the model's size and channels, as the commands do.

use std::path::Path;

use latent::data::{Normalisation, SampleShape, StoredType, png_of_sample};
use serde_json::Value;

use super::served::{Served, runs};

/// A bright trapezium on black, `times` as large as the model's 28 × 28, in so many equal channels.
fn picture(times: usize, channels: usize) -> Vec<u8> {
    let side = 28 * times;
    let plane = (0..side * side).map(|pixel| {
        let (x, y) = (pixel % side / times, pixel / side / times);
        if (4..24).contains(&y) && (10 - y / 4..18 + y / 4).contains(&x) { 200.0 } else { 0.0 }
    });
    let plane: Vec<f64> = plane.collect();
    let normalisation = Normalisation {
        offset: vec![0.0],
        scale: vec![255.0],
        stored: StoredType::U8,
        range: Some((0.0, 255.0)),
        whole: Vec::new(),
    };
    let shape = SampleShape::Image { channels, height: side, width: side };
    png_of_sample(Path::new("dropped"), shape, &normalisation, &plane.repeat(channels)).expect("a picture")
}

#[test]
fn a_dropped_picture_is_brought_to_the_models_size_and_channels() {
    let page = Served::start(runs(), "explore plane");
    page.ready();
    let code = |file: &[u8]| -> Vec<f64> {
        let answer = page.ask("POST", "/api/bring", &[], file);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let rows = answer.json();
        let code = rows[0]["code"].as_array().expect("a code").iter().filter_map(Value::as_f64).collect();
        assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
        code
    };
    let own = code(&picture(1, 1));
    assert!(own.len() == 2 && own.iter().all(|z| z.is_finite()), "{own:?}");
    for (times, channels) in [(1, 3), (2, 1), (2, 3), (5, 3)] {
        let found = code(&picture(times, channels));
        let off = own.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("{times} times as large, {channels} channels: {off:.4} from {own:?}");
        assert!(off < 0.05, "{times} {channels}: {found:?} {own:?}");
    }
}

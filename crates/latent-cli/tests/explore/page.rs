//! The page in a browser: each view does what it says, nothing in the data becomes markup, and the file of `--export` works
//! without a server.

use serde_json::json;

use super::browser::Browser;
use super::served::{HOSTILE, Served, latent, pictures, runs};

/// What stands in a canvas: the sum of its pixels.
const SUM: &str = "((c) => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let s = 0; for (let i = 0; i < \
                   d.length; i++) s += d[i] * (1 + i % 97); return s; })";

/// Text that is too faint for its ground: WCAG 2.2, contrast of level AA.
const FAINT: &str = "(() => {
    const numbers = (text) => { const all = text.match(/[\\d.]+/g).map(Number); return all.length === 3 ? [...all, 1] : all; };
    const light = (colour) => { const [r, g, b] = colour.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const ground = (of) => { for (; of; of = of.parentElement) { const found = numbers(getComputedStyle(of).backgroundColor); if (found[3] === 1) return found; }
        return [255, 255, 255, 1]; };
    const faint = [];
    for (const of of document.querySelectorAll('body *')) {
        const box = of.getBoundingClientRect(), style = getComputedStyle(of), size = parseFloat(style.fontSize);
        const says = [...of.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
        if (!says || !box.width || !box.height || style.opacity === '0' || of.closest('[hidden], :disabled, noscript, script')) continue;
        const own = numbers(of.namespaceURI.endsWith('svg') ? style.fill : style.color);
        const [low, high] = [light(own), light(ground(of))].sort((a, b) => a - b), ratio = (high + 0.05) / (low + 0.05);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 600);
        if (ratio < (large ? 3 : 4.5)) faint.push([of.tagName, of.className.baseVal ?? of.className, of.textContent.slice(0, 30), ratio.toFixed(2)]);
    }
    return faint;
})()";

fn shot(browser: &mut Browser, name: &str) {
    if let Some(folder) = pictures() {
        browser.picture(&folder.join(name));
    }
}

#[test]
fn the_map_is_drawn_and_decodes_under_the_pointer() {
    let Some(mut browser) = Browser::start(1280, 860) else { return };
    let page = Served::start(runs(), "explore plane");
    page.ready();
    browser.open(&page.link);
    browser.wait("window.latentPage && latentPage.rows.n > 0 && latentPage.mapNow.frames > 0");
    // Without a graphics processor points are blended on a canvas.
    assert_eq!(browser.value("latentPage.mapNow.drawer.kind"), "canvas");
    assert_eq!(browser.value("latentPage.rows.n").as_u64(), page.get("/api/progress").json()["of"].as_u64());
    // Points: pixels of the layer that are not clear.
    let drawn = "(() => { const c = document.querySelectorAll('.stage canvas')[1], o = document.createElement('canvas'); \
                 [o.width, o.height] = [c.width, c.height]; const x = o.getContext('2d'); x.drawImage(c, 0, 0); \
                 return x.getImageData(0, 0, o.width, o.height).data.filter((v, i) => i % 4 === 3 && v > 20).length; })()";
    browser.wait(&format!("{drawn} > 500"));
    // The decoder follows the pointer.
    let decoded = "document.querySelector('.under > .picture')";
    let place = browser.value(
        "(() => { const b = document.querySelector('.over').getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()",
    );
    let at = |i: usize| place[i].as_f64().expect("a number");
    browser.mouse("mouseMoved", at(0) + at(2) * 0.3, at(1) + at(3) * 0.4);
    browser.wait(&format!("{decoded}.dataset.shown"));
    let first = browser.value(&format!("{SUM}({decoded})"));
    let shown = browser.value(&format!("Number({decoded}.dataset.shown)")).as_u64().expect("a number");
    browser.mouse("mouseMoved", at(0) + at(2) * 0.72, at(1) + at(3) * 0.6);
    browser.wait(&format!("Number({decoded}.dataset.shown) > {shown}"));
    assert_ne!(browser.value(&format!("{SUM}({decoded})")), first);
    // A row under the pointer stands beside its reconstruction; a click pins it and draws its region.
    let row = browser.value("(() => { const [x, y] = latentPage.mapNow.toView(latentPage.rows.places[10], latentPage.rows.places[11]); return [x, y]; })()");
    let (x, y) = (at(0) + row[0].as_f64().expect("x"), at(1) + row[1].as_f64().expect("y"));
    browser.mouse("mouseMoved", x, y);
    browser.wait("!document.querySelector('.pair').hidden");
    browser.mouse("mousePressed", x, y);
    browser.mouse("mouseReleased", x, y);
    browser
        .wait("latentPage.state.row !== '' && document.querySelector('.about').innerText.includes('nats')");
    // The keyboard does it too.
    browser.value("document.querySelector('.over').focus()");
    let shown = browser.value(&format!("Number({decoded}.dataset.shown)"));
    browser.key("ArrowRight");
    browser.key("ArrowUp");
    browser.wait(&format!("Number({decoded}.dataset.shown) > {shown}"));
    // Layers, colours, a filter.
    browser.value("document.querySelectorAll('.layers input').forEach((box) => box.click())");
    browser.value("document.querySelectorAll('.layers input')[0].click()");
    browser.wait("Object.keys(latentPage.mapNow.sampled).length > 0");
    browser.value("latentPage.rows.filters.error = [0, 0.12]; document.querySelector('.class').click()");
    browser.wait("latentPage.rows.visible.reduce((a, b) => a + b, 0) < latentPage.rows.n");
    browser.value("latentPage.mapNow.select([[0, 0], [2000, 0], [2000, 2000], [0, 2000]])");
    browser.wait("document.querySelector('.chosen').innerText.includes('rows selected')");
    shot(&mut browser, "test-map.png");
    // The same as SVG: it can be parsed, and has each row that is seen as a disc of its own.
    let vector = "(() => { const of = new DOMParser().parseFromString(latentPage.mapNow.saveVector(), 'image/svg+xml'); \
                  return of.querySelector('parsererror') ? -1 : of.querySelectorAll('circle').length; })()";
    let seen =
        browser.value("latentPage.rows.visible.reduce((a, b) => a + b, 0)").as_u64().expect("a number");
    let discs = browser.value(vector).as_i64().expect("a number");
    assert!(discs > 50 && discs >= (seen / 2) as i64, "{discs} discs for {seen} rows");
    // The link holds it all.
    browser.wait("location.hash.includes('row=') && location.hash.includes('layers=')");
    let link = browser.value("location.href");
    browser.open(link.as_str().expect("a link"));
    browser.wait("window.latentPage && latentPage.rows.n > 0 && document.querySelector('.about').innerText.includes('nats')");
    browser.open(&page.link);
    browser.wait("window.latentPage && latentPage.mapNow.frames > 0");
    browser.open(&page.link);
    browser.wait("window.latentPage && latentPage.rows.n > 0 && latentPage.mapNow.frames > 0");
    // Both ways of drawing points agree on where they are: how much they cover of each square of ten pixels.
    let mut covered = Vec::new();
    for points in ["webgl", "canvas"] {
        browser.open(&page.link.replacen("/#", &format!("/?points={points}#"), 1));
        browser.wait("window.latentPage && latentPage.rows.n > 0 && latentPage.mapNow.frames > 0");
        let kind = if points == "webgl" { "WebGL2" } else { "canvas" };
        assert_eq!(browser.value("latentPage.mapNow.drawer.kind"), kind);
        browser.wait(&format!("{drawn} > 500"));
        std::thread::sleep(std::time::Duration::from_millis(400));
        let cover = "(() => { const c = document.querySelectorAll('.stage canvas')[1], o = document.createElement('canvas'); \
                     [o.width, o.height] = [c.width, c.height]; const x = o.getContext('2d'); x.drawImage(c, 0, 0); \
                     const of = x.getImageData(0, 0, o.width, o.height).data, wide = Math.ceil(o.width / 10), sums = new Array(wide * Math.ceil(o.height / 10)).fill(0); \
                     for (let i = 0; i < of.length / 4; i++) sums[Math.floor(i / o.width / 10) * wide + Math.floor((i % o.width) / 10)] += of[4 * i + 3] / 255; \
                     return sums; })()";
        let cover = browser.value(cover);
        covered.push(
            cover
                .as_array()
                .expect("numbers")
                .iter()
                .filter_map(serde_json::Value::as_f64)
                .collect::<Vec<f64>>(),
        );
    }
    let sum: f64 = covered[0].iter().sum();
    let apart: f64 = covered[0].iter().zip(&covered[1]).map(|(a, b)| (a - b).abs()).sum();
    println!("points by WebGL and blended: {:.1} % apart", 100.0 * apart / sum);
    assert!(sum > 100.0 && apart < 0.3 * sum, "{apart} of {sum}");
    browser.open(&page.link);
    browser.wait("window.latentPage && latentPage.rows.n > 0 && latentPage.mapNow.frames > 0");
    // From pointer to pixels, forty times.
    for step in 0..40 {
        browser.mouse("mouseMoved", at(0) + at(2) * (0.2 + 0.015 * f64::from(step)), at(1) + at(3) * 0.5);
        std::thread::sleep(std::time::Duration::from_millis(40));
    }
    let times = browser.value("latentPage.latencies.slice().sort((a, b) => a - b)");
    let times: Vec<f64> =
        times.as_array().expect("times").iter().filter_map(serde_json::Value::as_f64).collect();
    println!("pointer to pixels: {:.1} ms at the median of {} places", times[times.len() / 2], times.len());
    assert!(times.len() > 10);
    // A hundred thousand points: all of them, and as many as keep up while the map moves.
    let frames = browser.value(
        "(async () => { const n = 1e5, m = latentPage.mapNow, d = m.drawer; d.setPlaces(new Float32Array(2 * n).map(() => Math.random() * 6 - 3)); \
         d.setColours(new Uint8Array(4 * n).fill(180)); d.setSizes(new Float32Array(n).fill(1)); let f = 0; let t = performance.now(); \
         while (performance.now() - t < 2000) { d.draw({ x: f * 0.002, y: 0, scale: 100 }, 2.5); await new Promise(requestAnimationFrame); f++; } \
         const all = f / 2, begun = m.frames; t = performance.now(); while (performance.now() - t < 4000) { m.zoom(m.view.scale * 1.002, 300, 300); \
         await new Promise(requestAnimationFrame); } return [all, (m.frames - begun) / 4]; })()",
    );
    println!(
        "100,000 points: {} frames a second with all of them, {} while the map moves",
        frames[0], frames[1]
    );
    assert!(frames[1].as_f64().is_some_and(|frames| frames > 0.0), "{frames}");
    browser.is_content();
}

#[test]
fn sliders_ways_scores_and_dropped_files_work() {
    let Some(mut browser) = Browser::start(1280, 860) else { return };
    let page = Served::start(runs(), "explore plane");
    page.ready();
    browser.open(&format!("{}&view=dimensions", page.link));
    browser.wait("document.querySelectorAll('.slider').length === 2");
    let huge = "document.querySelector('.picture.huge')";
    browser.wait(&format!("{huge}.dataset.shown"));
    let before = browser.value(&format!("{SUM}({huge})"));
    browser.value(
        "(() => { const s = document.querySelector('.slider input'); s.value = 2.5; s.dispatchEvent(new Event('input')); })()",
    );
    browser.wait(&format!("{SUM}({huge}) !== {before}"));
    // A dimension's page.
    browser.value("document.querySelector('.slider .name').click()");
    browser.wait("document.querySelectorAll('.pictures.strip .picture').length === 9");
    browser.wait("document.querySelectorAll('.pictures.grid .picture').length === 24");
    shot(&mut browser, "test-dimension.png");
    // Between two rows.
    browser.value("latentPage.set({ view: 'between', dim: '' })");
    browser.wait("document.querySelectorAll('.betweenview .strip .picture').length >= 11");
    let moving = "document.querySelector('.middle .picture')";
    let shown = browser.value(&format!("Number({moving}.dataset.shown)"));
    browser.value("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Play').click()");
    browser.wait(&format!("Number({moving}.dataset.shown) > {shown} + 5"));
    browser.wait("document.querySelector('.arithmetic .strip')");
    shot(&mut browser, "test-between.png");
    // P(x), or why there is none; samples.
    browser.value("latentPage.set({ view: 'judge' })");
    browser.wait("document.querySelectorAll('.samplers .picture').length >= 24");
    if page.get("/api/run").json()["without_density"].is_null() {
        browser.wait("document.querySelector('.numbers.wide')?.innerText.includes('2,048')");
    }
    shot(&mut browser, "test-judge.png");
    // A picture of one's own.
    browser.value(
        "new Promise((done) => { const c = document.createElement('canvas'); [c.width, c.height] = [60, 40]; const x = \
         c.getContext('2d'); x.fillStyle = '#fff'; x.fillRect(20, 5, 20, 30); c.toBlob(async (b) => { \
         await latentPage.bringFile(new File([b], '<b>mine</b>.png')); done(1); }); })",
    );
    browser.wait("document.querySelectorAll('.own .pair .picture').length === 2");
    browser.wait("document.querySelectorAll('.own .pictures .pick').length === 12");
    assert_eq!(browser.value("document.querySelector('.own h2').textContent"), "<b>mine</b>.png");
    shot(&mut browser, "test-bring.png");
    browser.value("[...document.querySelectorAll('.own button')].find((b) => b.textContent === 'Show on the map').click()");
    browser.wait(
        "latentPage.state.row === 'u0' && document.querySelector('.about').innerText.includes('dropped')",
    );
    browser.value("latentPage.set({ view: 'training' })");
    browser.wait("document.querySelector('.trainingview .curve')");
    browser.is_content();
}

#[test]
fn tables_are_cards_and_names_never_become_markup() {
    let Some(mut browser) = Browser::start(400, 800) else { return };
    let page = Served::start(runs(), "explore table");
    page.ready();
    browser.open(&page.link);
    browser.wait(
        "window.latentPage && latentPage.rows.n > 0 && document.querySelectorAll('.class').length === 2",
    );
    let names = browser.value("[...document.querySelectorAll('.class')].map((one) => one.textContent)");
    assert!(names.as_array().expect("names").contains(&json!(HOSTILE)), "{names}");
    // Nothing hangs over the side of a telephone.
    let over = "document.documentElement.scrollWidth - innerWidth";
    for view in ["map", "dimensions", "between", "judge", "bring", "training"] {
        browser.value(&format!("latentPage.set({{ view: '{view}' }})"));
        std::thread::sleep(std::time::Duration::from_millis(500));
        assert!(
            browser.value(over).as_f64().expect("a number") <= 0.0,
            "{view} is too wide: {}",
            browser.value(over)
        );
        shot(&mut browser, &format!("test-narrow-{view}.png"));
    }
    browser.value("latentPage.set({ view: 'dimensions' })");
    browser.wait("document.querySelector('.stuck .card')");
    assert_eq!(browser.value("document.querySelectorAll('.stuck .card dt').length"), 3);
    browser.value("latentPage.set({ view: 'bring' })");
    browser.wait("document.querySelectorAll('.rowform input').length === 3");
    browser.value("document.querySelectorAll('.rowform input').forEach((input, i) => { input.value = [1.5, 12, 0.3][i]; })");
    browser
        .value("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Encode it').click()");
    browser.wait("document.querySelectorAll('.own .card').length >= 2");
    assert_eq!(browser.value("window.hacked ?? null"), json!(null));
    assert_eq!(browser.value("document.querySelectorAll('main img, main script, main b b').length"), 0);
    // Every control has a name.
    let nameless = "[...document.querySelectorAll('button, input, select, canvas[role]')].filter((e) => !(e.textContent.trim() || \
                    e.getAttribute('aria-label') || e.labels?.length || e.closest('label'))).map((e) => e.outerHTML)";
    for view in ["map", "dimensions", "between", "judge", "bring"] {
        browser.value(&format!("latentPage.set({{ view: '{view}' }})"));
        std::thread::sleep(std::time::Duration::from_millis(400));
        assert_eq!(browser.value(nameless), json!([]), "{view}");
    }
    // All can be read, by day and by night.
    for _ in 0..2 {
        for view in ["map", "dimensions", "between", "judge", "bring", "training"] {
            browser.value(&format!("latentPage.set({{ view: '{view}' }})"));
            std::thread::sleep(std::time::Duration::from_millis(300));
            let theme = browser.value("document.documentElement.dataset.theme");
            assert_eq!(browser.value(FAINT), json!([]), "{view}, {theme}");
        }
        browser.value("document.getElementById('theme').click()");
    }
    browser.is_content();
}

#[test]
fn without_webgl_the_map_is_drawn_on_a_canvas() {
    let Some(mut browser) = Browser::start(1000, 700) else { return };
    let page = Served::start(runs(), "explore plane");
    page.ready();
    browser.open(&page.link.replace("/#", "/?plain#"));
    browser.wait("window.latentPage && latentPage.rows.n > 0 && latentPage.mapNow.frames > 0");
    assert_eq!(browser.value("latentPage.mapNow.drawer.kind"), "canvas");
    browser.wait(&format!("{SUM}(document.querySelectorAll('.stage canvas')[1]) > 0"));
    browser.is_content();
}

#[test]
fn the_exported_page_works_without_a_server() {
    let Some(mut browser) = Browser::start(1280, 860) else { return };
    for run in ["plane", "table"] {
        let out = runs().join(format!("{run}.html"));
        let line = format!("explore {run} --force --export {}", out.display());
        let ended = latent(runs()).args(line.split(' ')).output().expect("the binary runs");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let text = std::fs::read_to_string(&out).expect("a page");
        assert!(!text.contains("src=\"/") && !text.contains("href=\"/"), "{run} asks for a file");
        assert_eq!(text.matches("<script").count(), 2, "{run}");
        browser.open(&format!("file://{}", out.display()));
        browser.wait("window.latentPage && latentPage.rows.n > 0 && latentPage.mapNow.frames > 0");
        let place = browser.value(
            "(() => { const b = document.querySelector('.over').getBoundingClientRect(); return [b.left + b.width / 3, b.top + b.height / 3]; })()",
        );
        browser.mouse("mouseMoved", place[0].as_f64().expect("x"), place[1].as_f64().expect("y"));
        browser.wait("document.querySelector('.under > *').dataset.shown");
        shot(&mut browser, &format!("test-export-{run}.png"));
        browser.value("latentPage.set({ view: 'dimensions' })");
        browser.wait("document.querySelectorAll('.dimensionsview .strip').length >= 2");
        browser.value("latentPage.set({ view: 'judge' })");
        browser.wait("document.querySelectorAll('.samplers .pictures > *').length >= 24");
        assert_eq!(browser.value("window.hacked ?? null"), json!(null));
        browser.is_content();
    }
}

#[test]
fn a_training_is_followed() {
    let Some(mut browser) = Browser::start(1280, 860) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let line = "train --data embedded --out run --epochs 400 --set network.kind=mlp --set network.hidden=[64] --set data.limit=2000 \
                --set train.checkpoint_every=40 --no-report --explore";
    let page = Served::start(folder.path(), line);
    browser.open(&page.link);
    browser.wait("document.querySelector('.trainingview .curve')");
    browser.wait("document.querySelectorAll('.trainingview .picture').length >= 32");
    let step = browser.value("latentPage.model.progress.step").as_u64().expect("a step");
    browser.wait(&format!("latentPage.model.progress.step > {step}"));
    let first = browser.value("latentPage.model.progress.generation").as_u64().expect("a number");
    browser.value("latentPage.set({ view: 'map' })");
    browser.wait(&format!("latentPage.rows.n > 50 && latentPage.model.progress.generation > {first}"));
    shot(&mut browser, "test-training.png");
    browser.is_content();
    // The training saves and ends.
    assert_eq!(page.interrupt(), Some(130));
    assert!(folder.path().join("run/checkpoints/last.safetensors").exists());
}

/// The pictures of the documentation, from runs that lie in `LATENT_RUNS` (`fashion-2`, `fashion-16`, `colour`, `table`), into
/// `LATENT_SCREENSHOTS`: `cargo test --release --test explore -- --ignored pictures`.
#[test]
#[ignore = "wants trained runs"]
fn pictures_of_the_documentation() {
    let (Some(runs), Some(_)) = (std::env::var_os("LATENT_RUNS").map(std::path::PathBuf::from), pictures())
    else {
        return;
    };
    let Some(mut browser) = Browser::start(1280, 860) else { return };
    let wait = |seconds: u64| std::thread::sleep(std::time::Duration::from_secs(seconds));
    let hover = |browser: &mut Browser, x: f64, y: f64| {
        let place = browser.value(&format!(
            "(() => {{ const b = document.querySelector('.over').getBoundingClientRect(); return [b.left + b.width * {x}, b.top + b.height * {y}]; }})()"
        ));
        browser.mouse("mouseMoved", place[0].as_f64().expect("x"), place[1].as_f64().expect("y"));
        wait(1);
    };
    for run in
        ["fashion-2", "fashion-16", "colour", "table"].into_iter().filter(|run| runs.join(run).exists())
    {
        let page = Served::start(&runs, &format!("explore {run}"));
        page.ready();
        let with_umap = page.get("/api/run").json()["dims"].as_u64().is_some_and(|dims| dims > 2);
        while with_umap && page.get("/api/progress").json()["umap"].as_f64().is_none_or(|share| share < 1.0) {
            wait(1);
        }
        let plane = if with_umap { "umap" } else { "latents" };
        for (theme, extra, name) in [
            ("light", "", "map"),
            ("dark", "", "map-dark"),
            ("light", "&layers=mosaic.prior", "mosaic"),
            ("light", "&layers=regions.prior", "regions"),
            ("light", "&view=dimensions", "dimensions"),
            ("light", "&view=dimensions&dim=0", "dimension"),
            ("light", "&view=between", "between"),
            ("light", "&view=judge&row=12", "judge"),
            ("dark", "&view=training", "training"),
        ] {
            if run != "fashion-2" && !["map", "dimensions", "judge"].contains(&name) {
                continue;
            }
            browser.size(1280, 860);
            browser.open(&format!("{}&theme={theme}&plane={plane}{extra}", page.link));
            browser.wait("window.latentPage && latentPage.rows.n > 0");
            wait(if name == "judge" { 12 } else { 4 });
            if extra.is_empty() || extra.contains("layers") {
                hover(&mut browser, 0.42, 0.38);
                // The row nearest to the middle, so that one stands beside its reconstruction.
                browser.value("(() => { const m = latentPage.mapNow, r = latentPage.rows; let b = 0, d = 1e9; for (let i = 0; i < r.n; i++) { const [x, y] = m.toView(r.places[2 * i], r.places[2 * i + 1]); const f = Math.hypot(x - 330, y - 300); if (f < d) [d, b] = [f, i]; } m.pin(b); })()");
                wait(2);
            }
            shot(&mut browser, &format!("{run}-{name}.png"));
        }
        browser.size(400, 860);
        browser.open(&format!("{}&plane={plane}", page.link));
        browser.wait("window.latentPage && latentPage.rows.n > 0");
        hover(&mut browser, 0.5, 0.4);
        shot(&mut browser, &format!("{run}-narrow.png"));
    }
}

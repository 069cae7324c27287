//! What is asked wrongly is refused with the right status, and the program lives.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::served::{Served, runs};

#[test]
fn only_who_has_the_link_is_answered() {
    let mut page = Served::start(runs(), "explore plane");
    let host = format!("127.0.0.1:{}", page.port);
    let bearer = format!("Bearer {}", page.token);
    let ask = |headers: &[(&str, &str)]| page.raw("GET", "/api/run", headers, b"").status;
    assert_eq!(ask(&[("Host", &host), ("Authorization", &bearer)]), 200);
    assert_eq!(ask(&[("Host", &host)]), 401);
    let wrong = "Bearer 000000000000000000000000000000000000000000000000";
    assert_eq!(ask(&[("Host", &host), ("Authorization", wrong)]), 401);
    assert_eq!(ask(&[("Host", &host), ("Authorization", &bearer[..bearer.len() - 1])]), 401);
    // A name that somebody else had point here; another page; none at all.
    assert_eq!(ask(&[("Host", "evil.example"), ("Authorization", &bearer)]), 403);
    assert_eq!(ask(&[("Host", "127.0.0.1.evil.example:80"), ("Authorization", &bearer)]), 403);
    assert_eq!(ask(&[("Host", &host), ("Authorization", &bearer), ("Origin", "http://evil.example")]), 403);
    assert_eq!(ask(&[("Host", &host), ("Authorization", &bearer), ("Origin", "null")]), 403);
    assert_eq!(
        ask(&[("Host", &host), ("Authorization", &bearer), ("Origin", &format!("http://{host}"))]),
        200
    );
    // Through a tunnel.
    assert_eq!(ask(&[("Host", "localhost:8800"), ("Authorization", &bearer)]), 200);
    // The page itself holds no secret, and may run its own files alone.
    let index = page.raw("GET", "/", &[("Host", &host)], b"");
    assert_eq!(index.status, 200);
    let policy = index.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(index.header("x-content-type-options"), Some("nosniff"));
    // Nothing of it comes from elsewhere.
    let text = index.text();
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains(&page.token));
    assert!(page.is_alive());
}

#[test]
fn nothing_but_the_page_is_readable() {
    let page = Served::start(runs(), "explore plane");
    for path in [
        "/../run.toml",
        "/..%2frun.toml",
        "/run.toml",
        "//etc/passwd",
        "/api/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/app.js/../../Cargo.toml",
        "/plane/model.safetensors",
        "/api/nothing",
        "/app.js%00",
    ] {
        let answer = page.get(path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(!answer.text().contains("root:"), "{path}");
    }
}

#[test]
fn what_is_malformed_is_refused_and_the_program_lives() {
    let mut page = Served::start(runs(), "explore plane");
    page.ready();
    let bad = |path: &str, body: Value, status: u16| {
        let answer = page.post(path, &body);
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
        let said = answer.json();
        assert!(said["error"].as_str().is_some_and(|error| error.len() > 8), "{path} {body}: {said}");
    };
    bad("/api/decode", json!({ "codes": [[1.0]] }), 400);
    bad("/api/decode", json!({ "codes": [] }), 400);
    bad("/api/decode", json!({ "codes": vec![vec![0.0; 2]; 5000] }), 400);
    bad("/api/decode", json!({ "codes": [["a", "b"]] }), 422);
    bad("/api/decode", json!({ "points": [[0.0, 0.0]], "plane": "nowhere" }), 404);
    bad("/api/decode", json!({ "codes": [[0.0, 0.0]], "condition": { "age": "3" } }), 400);
    bad("/api/decode", json!({ "unknown": 1 }), 422);
    bad("/api/samples", json!({ "sampler": "nobody", "count": 3 }), 404);
    bad("/api/samples", json!({ "sampler": "prior", "count": 0 }), 400);
    bad("/api/samples", json!({ "sampler": "prior", "count": 3, "temperature": -1.0 }), 400);
    bad("/api/between", json!({ "from": [0.0, 0.0], "to": [1.0, 1.0], "steps": 100000 }), 400);
    bad("/api/mean", json!({ "rows": [999_999_999] }), 404);
    bad("/api/mean", json!({ "rows": [] }), 400);
    bad("/api/nearest", json!({ "code": [0.0], "count": 3 }), 400);
    bad("/api/weights", json!({ "row": "0", "draws": 100_000 }), 400);
    bad("/api/weights", json!({ "row": "x", "draws": 1 }), 400);
    bad("/api/weights", json!({ "row": "u999", "draws": 1 }), 404);
    bad("/api/codes", json!({ "rows": [], "as": "exe" }), 400);
    bad("/api/bring-row", json!({ "values": [1.0] }), 400);
    for (path, status) in [
        ("/api/row?row=99999999", 404),
        ("/api/row?row=-1", 400),
        ("/api/row", 400),
        ("/api/field?name=nothing", 404),
        ("/api/field?name=z0", 404),
        ("/api/field?name=z3", 404),
        ("/api/dimension?dim=2", 404),
        ("/api/points?plane=umap", 404),
        ("/api/pictures?rows=&of=data", 400),
        ("/api/pictures?rows=0&of=secrets", 400),
        ("/api/row?row=0&row=1", 400),
        ("/api/prior?plane=latents&left=nan&right=1&bottom=0&top=1&size=8", 400),
    ] {
        assert_eq!(page.get(path).status, status, "{path}: {}", page.get(path).text());
    }
    // Numbers that are none come back as what a latent can be.
    let answer = page.ask(
        "POST",
        "/api/decode",
        &[("Content-Type", "application/json")],
        b"{\"codes\":[[1e38,-1e38]]}",
    );
    assert_eq!((answer.status, answer.header("x-shape")), (200, Some("1,28,28,1")));
    // Bodies: no JSON, of another type, too large, a file that is none.
    let json = [("Content-Type", "application/json")];
    assert_eq!(page.ask("POST", "/api/decode", &json, b"{").status, 400);
    assert_eq!(page.ask("POST", "/api/decode", &[], b"{}").status, 415);
    assert_eq!(page.ask("POST", "/api/decode", &json, &vec![b' '; 3 << 20]).status, 413);
    assert_eq!(page.ask("POST", "/api/bring", &[], &vec![0; 17 << 20]).status, 413);
    for file in [
        &b""[..],
        b"\x89PNG\r\n\x1a\n broken",
        b"\xff\xd8\xff\xe0 broken",
        b"\x93NUMPY",
        b"a,b\n1,2\n",
        &[0xfe; 100],
    ] {
        let answer = page.ask("POST", "/api/bring", &[], file);
        assert_eq!(answer.status, 400, "{file:?}: {}", answer.text());
        assert!(!answer.text().contains("latent-explore-"), "{}", answer.text());
    }
    // A picture that promises more than it holds.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bomb.extend([0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 8, 2, 0, 0, 0, 1, 2, 3, 4]);
    assert_eq!(page.ask("POST", "/api/bring", &[], &bomb).status, 400);
    // No HTTP, other methods.
    assert!(matches!(page.bytes(b"\x16\x03\x01 hello\r\n\r\n").status, 0 | 400));
    assert_eq!(page.ask("DELETE", "/api/run", &[], b"").status, 405);
    assert!(page.is_alive());
    assert_eq!(page.interrupt(), Some(0));
}

#[test]
fn the_description_names_each_endpoint_and_each_answers() {
    let page = Served::start(runs(), "explore plane");
    page.ready();
    let api = page.get("/api/openapi.json").json();
    assert_eq!(api["openapi"], "3.1.0");
    let paths = api["paths"].as_object().expect("paths");
    assert!(paths.len() >= 20, "{}", paths.len());
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            assert!(operation["summary"].as_str().is_some_and(|summary| summary.len() > 10), "{path}");
            // Without what it wants it refuses or answers; it is there, and takes this method.
            let answer =
                page.ask(&method.to_uppercase(), path, &[("Content-Type", "application/json")], b"{}");
            assert!(!matches!(answer.status, 0 | 405 | 500), "{method} {path}: {}", answer.status);
            let nothing_there = answer.status == 404 && answer.text().contains("nothing of that name");
            assert!(!nothing_there, "{method} {path}");
        }
    }
    // What the page asks for is described.
    let asked = [
        "run",
        "progress",
        "training",
        "points",
        "field",
        "regions",
        "place",
        "prior",
        "codes",
        "row",
        "pictures",
        "nearest",
        "search",
        "decode",
        "lift",
        "dimensions",
        "dimension",
        "between",
        "mean",
        "samples",
        "weights",
        "bring",
        "bring-row",
    ];
    for name in asked {
        assert!(paths.contains_key(&format!("/api/{name}")), "{name}");
    }
}

#[test]
fn twenty_clients_and_a_slow_one_are_served() {
    let mut page = Served::start(runs(), "explore plane");
    page.ready();
    // Clients that never finish what they say.
    let slow: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", page.port)).expect("a connection");
            stream.write_all(b"POST /api/decode HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le").expect("a start");
            stream
        })
        .collect();
    let seconds = std::env::var("LATENT_LOAD_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(2u64);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut times: Vec<f64> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..20)
            .map(|client| {
                let page = &page;
                scope.spawn(move || {
                    let mut times = Vec::new();
                    while Instant::now() < end {
                        let begun = Instant::now();
                        let z = f64::from(client) / 10.0 - 1.0;
                        let answer = page.post("/api/decode", &json!({ "codes": [[z, -z]] }));
                        assert_eq!((answer.status, answer.body.len()), (200, 784));
                        times.push(begun.elapsed().as_secs_f64() * 1e3);
                    }
                    times
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize];
    println!(
        "20 clients for {seconds} s: {} answers, {:.1} ms at the median, {:.1} ms at 95 %, {:.1} ms at 99 %, {:.1} ms at most",
        times.len(),
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
    assert!(times.len() >= 40, "{}", times.len());
    drop(slow);
    assert!(page.is_alive());
}

#[test]
fn what_the_api_says_is_what_the_model_says() {
    let page = Served::start(runs(), "explore plane");
    page.ready();
    let run = page.get("/api/run").json();
    assert_eq!((run["dims"].as_u64(), &run["shape"]), (Some(2), &json!([1, 28, 28])));
    let rows = page.get("/api/progress").json()["of"].as_u64().expect("rows") as usize;
    let points = page.get("/api/points?plane=latents");
    assert_eq!(points.header("x-shape"), Some(format!("{rows},2").as_str()));
    // The place of a row is its code, and the code decoded is its reconstruction.
    let row = page.get("/api/row?row=3&plane=latents").json();
    let places = points.singles();
    let close = |a: &Value, b: f32| (a.as_f64().expect("a number") - f64::from(b)).abs() < 1e-4;
    assert!(close(&row["code"][0], places[6]) && close(&row["place"][1], places[7]), "{row}");
    let rate = page.get("/api/field?name=rate").singles()[3];
    let rates: f64 = row["rates"].as_array().expect("rates").iter().filter_map(Value::as_f64).sum();
    assert!((rates - f64::from(rate)).abs() < 1e-3, "{rates} {rate}");
    let decoded = page.post("/api/decode", &json!({ "codes": [row["code"]] })).body;
    let back = page.get("/api/pictures?rows=3&of=reconstruction").body;
    assert!(decoded.iter().zip(&back).all(|(a, b)| a.abs_diff(*b) <= 1), "they differ");
    // Its own code is nearest to it; the way between two codes ends at both.
    let near = page.post("/api/nearest", &json!({ "code": row["code"], "count": 3 })).json();
    assert_eq!(near[0]["row"], 3);
    let way = page.post(
        "/api/between",
        &json!({ "from": [1.0, 0.0], "to": [0.0, 1.0], "steps": 3, "spherical": true }),
    );
    let way = way.singles();
    let half = 0.5f32.sqrt();
    assert!(way.iter().zip([1.0, 0.0, half, half, 0.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-5), "{way:?}");
    let mean = page.post("/api/mean", &json!({ "rows": [0, 3] })).json();
    assert!(close(&mean["code"][0], (places[0] + places[6]) / 2.0), "{mean}");
    // A standard normal prior.
    let prior = page.get("/api/prior?plane=latents&left=-1&right=1&bottom=-1&top=1&size=3").singles();
    assert!(
        (prior[4] - prior[0] - 1.0).abs() < 1e-4
            && (f64::from(prior[4]) + std::f64::consts::TAU.ln()).abs() < 1e-4
    );
    // Draws in parts are the draws at once.
    let draws = |first: usize, count: usize| -> Vec<f64> {
        let found = page.post("/api/weights", &json!({ "row": "3", "first": first, "draws": count })).json();
        let of = |name: &str| {
            found[name].as_array().expect("numbers").iter().filter_map(Value::as_f64).collect::<Vec<_>>()
        };
        of("posterior")
    };
    if run["without_density"].is_null() {
        let (all, parts) = (draws(0, 8), [draws(0, 4), draws(4, 4)].concat());
        assert!(all.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-2), "{all:?} {parts:?}");
    }
    let csv = page.post("/api/codes", &json!({ "rows": [3], "as": "csv" })).text();
    assert!(csv.starts_with("row,split,position,label,rate,error,z1,z2\n3,validation,3,"), "{csv}");
    let npy = page.post("/api/codes", &json!({ "rows": [], "as": "npy" })).body;
    assert!(npy.starts_with(b"\x93NUMPY") && npy.len() == 128 + rows * 8, "{}", npy.len());
    let found = page.get("/api/search?q=validation%203").json();
    assert_eq!(found["rows"], json!([3]));
}

#[test]
fn a_port_that_is_taken_is_said() {
    let page = Served::start(runs(), "explore plane");
    let line = format!("explore table --port {}", page.port);
    let ended = super::served::latent(runs()).args(line.split(' ')).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("--port") && said.contains("0 for any"), "{said}");
    // A client that is connected and silent holds up no Ctrl-C.
    let mut silent = TcpStream::connect(("127.0.0.1", page.port)).expect("a connection");
    assert_eq!(page.interrupt(), Some(0));
    let _ = silent.read(&mut [0; 8]);
}

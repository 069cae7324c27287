//! The binary, serving; and plain HTTP.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

/// A page that is served.
pub struct Served {
    child: Child,
    pub port: u16,
    pub token: String,
    pub link: String,
}

pub fn latent(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latent"));
    command.current_dir(folder);
    command
}

/// Runs a command that must succeed.
pub fn succeed(folder: &Path, line: &str) {
    let ended = latent(folder).args(line.split_whitespace()).output().expect("the binary runs");
    assert!(ended.status.success(), "`latent {line}`:\n{}", String::from_utf8_lossy(&ended.stderr));
}

impl Served {
    /// Starts `latent LINE --json`, which prints a link.
    pub fn start(folder: &Path, line: &str) -> Self {
        let mut child = latent(folder)
            .args(line.split_whitespace())
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let link = loop {
            let line = lines.next().expect("a link").expect("UTF-8");
            let said: Value = serde_json::from_str(&line).expect("JSON");
            if let Some(link) = said["link"].as_str() {
                break link.to_string();
            }
        };
        // What comes after is read, so that the program never waits for its reader.
        std::thread::spawn(move || lines.for_each(drop));
        let rest = link.strip_prefix("http://127.0.0.1:").expect("loopback");
        let (port, token) = rest.split_once("/#token=").expect("a token");
        Self { child, port: port.parse().expect("a port"), token: token.into(), link: link.clone() }
    }

    /// Asks with the token.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    /// Asks with the token and a body of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// Asks with the token.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let host = format!("127.0.0.1:{}", self.port);
        let mut all = vec![("Authorization", bearer.as_str()), ("Host", host.as_str())];
        all.extend(headers);
        self.raw(method, path, &all, body)
    }

    /// Asks with these headers alone.
    pub fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str("\r\n");
        self.bytes(&[head.as_bytes(), body].concat())
    }

    /// Sends bytes and reads to the end.
    pub fn bytes(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        // A server that refuses may close before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::parse(&answer)
    }

    /// Waits until all rows are surveyed and a map is there.
    pub fn ready(&self) {
        for _ in 0..600 {
            let progress = self.get("/api/progress").json();
            if progress["rows"] == progress["of"]
                && progress["planes"].as_array().is_some_and(|p| !p.is_empty())
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the survey does not end: {}", self.get("/api/progress").text());
    }

    /// Whether the program still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// Ctrl-C; how it ended.
    pub fn interrupt(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-INT", &id]).status().expect("kill");
        for _ in 0..100 {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("Ctrl-C does not end it");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server answered.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head, body: bytes.get(end + 4..).unwrap_or_default().to_vec() }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.head, self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    pub fn singles(&self) -> Vec<f32> {
        self.body
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
            .collect()
    }
}

/// A folder with runs: `plane` (images, two latents), `table` (with a hostile class), `colour` (a folder of pictures).
pub fn runs() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let at = folder.path();
            let small = "--set network.kind=mlp --set network.hidden=[32] --no-report";
            succeed(at, &format!("train --data embedded --out plane --epochs 2 --set posterior.latent=2 --set data.limit=600 {small}"));
            table(&at.join("table.csv"));
            succeed(at, &format!("train --data table.csv --out table --epochs 3 --set data.label=kind {small}"));
            folder
        })
        .path()
}

/// A class that would like to be a script.
pub const HOSTILE: &str = "<img src=x onerror=window.hacked=1>";

fn table(path: &Path) {
    let mut text = String::from("length,rings,kind,\"<b>share</b>\"\n");
    for row in 0..300 {
        let length = 1.5 + (f64::from(row) * 0.7).sin();
        let kind = if row % 3 == 0 { HOSTILE } else { "</script><script>window.hacked=1</script>" };
        text.push_str(&format!("{length:.4},{},{kind},{:.3}\n", (8.0 * length) as i64, 0.5 - length / 9.0));
    }
    fs::write(path, text).expect("a table");
}

/// Where pictures of the page are written, if somebody wants to look at them.
pub fn pictures() -> Option<PathBuf> {
    std::env::var_os("LATENT_SCREENSHOTS").map(PathBuf::from)
}

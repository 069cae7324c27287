//! Lists the presets: a file in `presets/` is one, without a line anywhere else. They lie above the crates, and in a package in
//! the crate; here `presets` is a link to them, which not every system can follow.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let missing = |what| io::Error::new(io::ErrorKind::NotFound, what);
    let own = env::var("CARGO_MANIFEST_DIR").map_err(|_| missing("CARGO_MANIFEST_DIR"))?;
    let out = env::var("OUT_DIR").map_err(|_| missing("OUT_DIR"))?;
    let folders = ["presets", "../../presets"].map(|folder| Path::new(&own).join(folder));
    let [folder, _] = &folders;
    let folder = folders.iter().find(|folder| folder.is_dir()).unwrap_or(folder);
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    let line = |name: &String| {
        let path = folder.join(format!("{name}.toml"));
        format!("    Preset {{ name: {name:?}, text: include_str!({:?}) }},\n", path.display().to_string())
    };
    let lines: String = names.iter().map(line).collect();
    fs::write(Path::new(&out).join("presets.rs"), format!("&[\n{lines}]\n"))
}

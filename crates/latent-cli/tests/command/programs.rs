//! The programs in `examples/` run, as a reader would run them, where cargo has built them.

use std::path::Path;
use std::process::Command;

#[test]
fn example_programs_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let built = Path::new(env!("CARGO_BIN_EXE_latent")).with_file_name("examples");
    // `load` takes what `train` left.
    for name in ["train", "load", "sample", "own_network", "own_term"] {
        let program = built.join(name);
        if !program.exists() {
            println!("skipped: {} is not built", program.display());
            continue;
        }
        let ended = Command::new(&program).current_dir(folder.path()).output().expect("the program runs");
        let said = String::from_utf8_lossy(&ended.stderr).to_string();
        assert!(ended.status.success(), "{name}: {said}");
        assert!(!ended.stdout.is_empty(), "{name} says nothing");
    }
}

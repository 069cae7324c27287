//! What lies in a folder and its subfolders: regular files in the order of their names, each folder once.
//!
//! Links are followed after the folder's own subfolders, so that a link into the tree, or back up to it, adds nothing.
//! Pipes, sockets and devices are never opened.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::DataError;
use super::storage::sort_of;

/// Subfolders of subfolders are read down to this depth.
const DEEPEST: usize = 16;

/// What was passed over is named up to this often.
const NAMED: usize = 5;

/// A file, and the subfolder of the root that it lies in.
pub(super) type Entry = (PathBuf, Option<String>);

struct Walk<'a> {
    is_wanted: &'a dyn Fn(&Path) -> bool,
    /// Folders by their true paths.
    seen: HashSet<PathBuf>,
    entries: Vec<Entry>,
    links: Vec<Folder>,
    passed_over: Vec<String>,
}

struct Folder {
    path: PathBuf,
    class: Option<String>,
    depth: usize,
}

/// The files under `root` that are wanted by name, and the subfolder of each; `log` hears what is passed over.
pub(super) fn walk(
    root: &Path,
    is_wanted: &dyn Fn(&Path) -> bool,
    log: &mut dyn FnMut(String),
) -> Result<Vec<Entry>, DataError> {
    let mut walk = Walk {
        is_wanted,
        seen: HashSet::new(),
        entries: Vec::new(),
        links: Vec::new(),
        passed_over: Vec::new(),
    };
    let true_root = true_path(root)?;
    walk.enter(Folder { path: root.into(), class: None, depth: 0 })?;
    while let Some(link) = walk.links.pop() {
        let target = true_path(&link.path)?;
        if walk.seen.contains(&target) || true_root.starts_with(&target) {
            walk.passed_over.push(format!("{} leads to a folder that is read already", link.path.display()));
        } else {
            walk.enter(link)?;
        }
    }
    for what in walk.passed_over.iter().take(NAMED) {
        log(format!("passed over: {what}"));
    }
    if walk.passed_over.len() > NAMED {
        log(format!("passed over: {} more of that sort", walk.passed_over.len() - NAMED));
    }
    // The order in which a system lists a folder is its own; ours is that of the names.
    walk.entries.sort();
    Ok(walk.entries)
}

fn true_path(path: &Path) -> Result<PathBuf, DataError> {
    fs::canonicalize(path).map_err(|source| DataError::io(path, source))
}

impl Walk<'_> {
    /// Lists a folder and its subfolders; links to others are left for later.
    fn enter(&mut self, folder: Folder) -> Result<(), DataError> {
        let io = |source| DataError::io(&folder.path, source);
        if !self.seen.insert(true_path(&folder.path)?) {
            return Ok(());
        }
        let mut paths = Vec::new();
        for entry in fs::read_dir(&folder.path).map_err(io)? {
            paths.push(entry.map_err(io)?.path());
        }
        paths.sort();
        let mut links = Vec::new();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            // What can't be looked at (a link to nothing, say) is for the reader to name.
            let metadata = fs::metadata(&path).ok();
            if metadata.as_ref().is_some_and(fs::Metadata::is_dir) {
                if folder.depth < DEEPEST {
                    let class = folder.class.clone().unwrap_or_else(|| name.into_owned());
                    let is_link = path.is_symlink();
                    let inner = Folder { path, class: Some(class), depth: folder.depth + 1 };
                    if is_link { links.push(inner) } else { self.enter(inner)? }
                }
            } else if (self.is_wanted)(&path) {
                match metadata.filter(|metadata| !metadata.is_file()) {
                    Some(special) => {
                        self.passed_over.push(format!("{} is {}", path.display(), sort_of(&special)));
                    }
                    None => self.entries.push((path, folder.class.clone())),
                }
            }
        }
        // The last is taken first.
        self.links.extend(links.into_iter().rev());
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn listed(root: &Path) -> (Vec<String>, Vec<String>) {
        let mut heard = Vec::new();
        let wanted = |path: &Path| path.extension().is_some_and(|extension| extension == "png");
        let entries = walk(root, &wanted, &mut |line| heard.push(line)).unwrap();
        let name = |(path, class): Entry| {
            format!("{} {}", path.strip_prefix(root).unwrap().display(), class.unwrap_or_default())
        };
        (entries.into_iter().map(name).collect(), heard)
    }

    #[test]
    fn each_folder_is_read_once_however_often_it_is_linked() {
        let place = tempfile::tempdir().unwrap();
        let (root, elsewhere) = (place.path().join("data"), place.path().join("elsewhere"));
        for folder in [root.join("cats/young"), root.join("dogs"), elsewhere.clone(), root.join(".store")] {
            fs::create_dir_all(folder).unwrap();
        }
        for file in
            ["cats/1.png", "cats/young/2.png", "dogs/3.png", ".store/5.png", "dogs/.hidden.png", "dogs/no"]
        {
            fs::write(root.join(file), "").unwrap();
        }
        fs::write(elsewhere.join("4.png"), "").unwrap();
        symlink(&root, root.join("cats/loop")).unwrap();
        symlink(".", root.join("dogs/here")).unwrap();
        symlink("/", root.join("all")).unwrap();
        // A link that sorts before the folder which it leads to does not take its files away.
        symlink(root.join("cats"), root.join("also-cats")).unwrap();
        symlink(&elsewhere, root.join("birds")).unwrap();
        symlink(&elsewhere, root.join("birds-again")).unwrap();
        symlink(&root, elsewhere.join("back")).unwrap();
        symlink(root.join(".store"), root.join("fish")).unwrap();
        symlink(elsewhere.join("4.png"), root.join("dogs/linked.png")).unwrap();
        let (files, heard) = listed(&root);
        let expected = [
            "birds/4.png birds",
            "cats/1.png cats",
            "cats/young/2.png cats",
            "dogs/3.png dogs",
            "dogs/linked.png dogs",
            "fish/5.png fish",
        ];
        assert_eq!(files, expected);
        assert_eq!(heard.len(), 6, "{heard:?}");
        assert!(heard.iter().any(|line| line.contains("dogs/here leads to a folder")), "{heard:?}");
        assert!(heard[5].ends_with("1 more of that sort"), "{heard:?}");
    }

    #[test]
    fn what_is_no_file_is_named_and_never_opened() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.png"), "").unwrap();
        let _socket = UnixListener::bind(root.path().join("b.png")).unwrap();
        symlink("/dev/zero", root.path().join("c.png")).unwrap();
        symlink("nowhere", root.path().join("d.png")).unwrap();
        let (files, heard) = listed(root.path());
        assert_eq!(files, ["a.png ", "d.png "]);
        assert!(
            heard[0].ends_with("b.png is a socket") && heard[1].ends_with("c.png is a device"),
            "{heard:?}"
        );
    }
}

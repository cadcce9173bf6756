//! Whose the files of a data directory are: its owner's, also those that root makes in it. The server, which is not root,
//! could neither write beside others nor read them.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

/// Gives what root has just made to the owner of the data directory, where it lies in a directory of that owner's.
pub fn hand_over(data: &Path, made: &File) -> io::Result<()> {
    let data = if data.as_os_str().is_empty() { Path::new(".") } else { data };
    let owner = data.metadata()?;
    if owner.uid() == 0 || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    // A file of another name as well is not one that was just made.
    let meta = made.metadata()?;
    if meta.is_file() && meta.nlink() > 1 {
        return Ok(());
    }
    // Where it lies indeed: a name could lead, by a link of the owner's, to where they may write nothing.
    let Ok(place) = fs::read_link(format!("/proc/self/fd/{}", made.as_raw_fd())) else { return Ok(()) };
    let is_theirs = place.parent().is_some_and(|dir| dir.metadata().is_ok_and(|dir| dir.uid() == owner.uid()));
    if is_theirs { fchown(made, Some(owner.uid()), Some(owner.gid())) } else { Ok(()) }
}

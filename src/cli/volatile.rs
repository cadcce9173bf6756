//! A container without a volume: its disk is gone when it is replaced, and with it all keys. Better not to start.

use std::path::Path;

use super::data::Place;
use super::failure::Failure;

/// statfs(2)
const OVERLAYFS: i64 = 0x794c_7630;
const TMPFS: i64 = 0x0102_1994;
const OVERRIDE: &str = "KEYRACK_ALLOW_VOLATILE";

/// Refuses a data directory that does not outlive its container.
pub fn check(place: &Place) -> anyhow::Result<()> {
    let dir = place.dir();
    let is_set = |name: &str| place.environment.iter().any(|(known, value)| known == name && !value.is_empty());
    let is_container = Path::new("/.dockerenv").exists()
        || Path::new("/run/.containerenv").exists()
        || ["container", "KUBERNETES_SERVICE_HOST"].iter().any(|name| is_set(name));
    match refusal(&dir, is_container, file_system(&dir)) {
        Some(words) if !is_set(OVERRIDE) => Err(Failure::failed(words)),
        _ => Ok(()),
    }
}

/// Of the nearest directory that is there.
fn file_system(dir: &Path) -> Option<i64> {
    let there =
        dir.ancestors().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir }).find(|dir| dir.exists())?;
    rustix::fs::statfs(there).ok().map(|stat| stat.f_type)
}

fn refusal(dir: &Path, is_container: bool, file_system: Option<i64>) -> Option<String> {
    let is_volatile = is_container && matches!(file_system, Some(OVERLAYFS | TMPFS));
    is_volatile.then(|| {
        let dir = dir.display();
        format!(
            "{dir} lies on the container's own disk, which is gone when the container is replaced.\n\
             Give it a volume: docker run -v keyrack-data:{dir} …   For a test without one: -e {OVERRIDE}=1"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_container_without_a_volume_is_refused() {
        let refused = |is_container, file_system| refusal(Path::new("/data"), is_container, file_system).is_some();
        assert!(refused(true, Some(OVERLAYFS)) && refused(true, Some(TMPFS)));
        assert!(!refused(true, Some(0xef53)) && !refused(true, None), "a volume, or nobody knows");
        assert!(!refused(false, Some(OVERLAYFS)), "a machine that runs from an overlay");
        let words = refusal(Path::new("/data"), true, Some(OVERLAYFS)).expect("words");
        assert!(words.contains("docker run -v keyrack-data:/data") && words.contains("-e KEYRACK_ALLOW_VOLATILE=1"), "{words}");
    }
}

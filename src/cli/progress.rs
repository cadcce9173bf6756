//! How far a long command is, on a terminal; the summary comes with its result.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::output::Output;
use crate::model::tier::grouped;

const WIDTH: u64 = 30;

/// A line on standard error that is drawn until it is dropped; nothing at all where nobody sees it.
pub struct Progress {
    pub done: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    line: Option<JoinHandle<()>>,
}

impl Progress {
    /// `total`: none where it is not known.
    pub fn start(out: &Output, words: &'static str, total: Option<u64>) -> Self {
        let (done, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let is_seen = !out.is_quiet() && !out.json && std::io::stderr().is_terminal();
        let (counted, ended) = (done.clone(), over.clone());
        let line = is_seen.then(|| {
            std::thread::spawn(move || {
                let began = Instant::now();
                while !ended.load(Relaxed) {
                    draw(words, counted.load(Relaxed), total, began.elapsed());
                    std::thread::sleep(Duration::from_millis(100));
                }
                let _ = write!(std::io::stderr(), "\r\x1b[K");
            })
        });
        Self { done, over, line }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        if let Some(line) = self.line.take() {
            drop(line.join());
        }
    }
}

fn draw(words: &str, done: u64, total: Option<u64>, since: Duration) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "\r\x1b[K{}", line(words, done, total, since));
    let _ = stderr.flush();
}

/// `Importing [=====>    ] 1,204 of 2,000  4,013/s  0 s left`
fn line(words: &str, done: u64, total: Option<u64>, since: Duration) -> String {
    let rate = (done as f64 / since.as_secs_f64().max(0.001)) as u64;
    match total.filter(|total| *total > 0) {
        None => format!("{words} {}  {}/s", grouped(done), grouped(rate)),
        Some(total) => {
            let full = (done.min(total) * WIDTH / total) as usize;
            let bar = format!("{}{}", "=".repeat(full), " ".repeat(WIDTH as usize - full));
            let left = total.saturating_sub(done).checked_div(rate).map_or_else(String::new, |left| format!("  {left} s left"));
            format!("{words} [{bar}] {} of {}  {}/s{left}", grouped(done), grouped(total), grouped(rate))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_how_far_it_is_how_fast_and_how_long_it_takes() {
        let line = line("Importing", 1_000, Some(3_000), Duration::from_secs(2));
        assert_eq!(line, "Importing [==========                    ] 1,000 of 3,000  500/s  4 s left");
        assert_eq!(super::line("Exporting", 1_000, None, Duration::from_secs(1)), "Exporting 1,000  1,000/s");
        assert!(super::line("Importing", 0, Some(10), Duration::ZERO).ends_with("0 of 10  0/s"));
    }
}

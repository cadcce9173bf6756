//! A bar for what takes long, on a terminal alone. What was done is said in words when it is over, on a terminal or not.

use std::io::IsTerminal;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;
use crate::services::backups::Progress;

const STYLE: &str = "{msg} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
const ROWS: &str = "{msg} [{bar:32}] {human_pos} of {human_len} {per_sec} {eta} left";

/// Cloned freely; gone when `done` says so.
#[derive(Clone)]
pub struct Bar(ProgressBar);

impl Bar {
    pub fn new(out: &Output, doing: &'static str) -> Self {
        let is_seen = !out.quiet && !out.json && std::io::stderr().is_terminal();
        let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(STYLE).expect("the template is well formed").progress_chars("=> ");
        Self(ProgressBar::with_draw_target(None, target).with_style(style).with_message(doing))
    }

    /// The same for rows, which are counted.
    pub fn of_rows(out: &Output, doing: &'static str) -> Self {
        let style = ProgressStyle::with_template(ROWS).expect("the template is well formed").progress_chars("=> ");
        let Self(bar) = Self::new(out, doing);
        Self(bar.with_style(style))
    }

    pub fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// What a backup tells of itself.
    pub fn follow(&self) -> Progress {
        let bar = self.0.clone();
        Arc::new(move |done, total| {
            bar.set_length(total);
            bar.set_position(done);
            true
        })
    }

    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}

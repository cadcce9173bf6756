//! Requests over time, as stacked bars that the server draws, with the same in words and as a table.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::view::grouped;
use crate::http::moment::Now;
use crate::http::words::{count, decimal, in_words, msg, t};
use crate::model::clock::Timestamp;
use crate::model::usage::{Outcome, Range, Tally};
use crate::services::usage::Used;

/// The drawing's own units; the style stretches it to the room there is.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 200.0;
/// What is never lost to rounding, however small its share.
const LEAST: f64 = 1.5;

pub struct Chart {
    /// `last 24 hours`
    pub words: &'static str,
    /// That there were no requests.
    pub none: &'static str,
    pub summary: String,
    pub links: Vec<RangeLink>,
    pub legend: [Mark; 4],
    pub bars: Vec<Bar>,
    /// The numbers of the axis, from the top.
    pub scale: [String; 3],
    /// The times under the first bar, the middle one and the last.
    pub times: [String; 3],
    pub note: &'static str,
    pub rows: Vec<Row>,
    pub routes: Vec<Route>,
    pub routes_words: &'static str,
    pub services: Vec<Service>,
    pub is_empty: bool,
}

pub struct RangeLink {
    pub href: String,
    pub words: &'static str,
    pub current: bool,
}

/// An outcome in the legend.
pub struct Mark {
    pub class: &'static str,
    pub words: &'static str,
    pub count: String,
}

pub struct Bar {
    pub words: String,
    pub parts: Vec<Part>,
}

pub struct Part {
    pub class: &'static str,
    pub x: String,
    pub y: String,
    pub width: String,
    pub height: String,
}

/// One bar, in the table.
pub struct Row {
    pub iso: String,
    pub time: String,
    pub counts: [String; 4],
}

pub struct Route {
    pub words: String,
    pub requests: String,
    pub failures: String,
    pub p95: String,
}

/// A service that had keys checked.
pub struct Service {
    /// Empty: it has no label.
    pub label: String,
    pub accepted: String,
    pub refused: String,
    pub rate_limited: String,
}

impl Chart {
    /// `base` is the address of the page, whose links choose another range.
    pub fn new(used: &Used, base: &str, now: &Now) -> Self {
        let (_, _, places) = used.range.bars();
        // Bars of days begin where the days that were counted do.
        let zone = if used.range == Range::Month { TimeZone::UTC } else { now.zone.clone() };
        let most = used.bars.iter().map(|(_, tally)| tally.total()).max().unwrap_or(0);
        let top = round_up(most);
        let bars = used.bars.iter().enumerate();
        let bars = bars.filter(|(_, (_, tally))| tally.total() > 0).map(|(n, (start, tally))| Bar {
            words: t("{time}: {counts}").with("time", time(*start, used.range, &zone)).with("counts", counts_words(tally)).into(),
            parts: parts(n, places, tally, top),
        });
        let middle = used.bars.get(places / 2);
        let label = |bar: Option<&(Timestamp, Tally)>| bar.map(|bar| time(bar.0, used.range, &zone)).unwrap_or_default();
        let rows = used.bars.iter().filter(|(_, tally)| tally.total() > 0).map(|(start, tally)| Row {
            iso: start.to_string(),
            time: time(*start, used.range, &zone),
            counts: Outcome::ALL.map(|outcome| grouped(tally.of(outcome))),
        });
        let routes = used.routes.iter().map(|(route, tally)| Route {
            words: route.clone(),
            requests: grouped(tally.total()),
            failures: grouped(tally.total() - tally.of(Outcome::Success)),
            p95: tally.quantile(0.95).map_or_else(|| "–".into(), took_words),
        });
        let services = used.services.iter().map(|(label, checks)| Service {
            label: label.clone(),
            accepted: grouped(checks.accepted),
            refused: grouped(checks.refused),
            rate_limited: grouped(checks.rate_limited),
        });
        Self {
            words: words(used.range),
            none: none(used.range),
            summary: t("{counts}.").with("counts", counts_words(&used.total)).into(),
            links: Range::ALL
                .map(|range| RangeLink {
                    href: if range == Range::default() { base.into() } else { format!("{base}?range={}", range.name()) },
                    words: words(range),
                    current: range == used.range,
                })
                .into(),
            legend: Outcome::ALL.map(|outcome| Mark {
                class: class(outcome),
                words: legend(outcome),
                count: grouped(used.total.of(outcome)),
            }),
            bars: bars.collect(),
            scale: [grouped(top), if top.is_multiple_of(2) { grouped(top / 2) } else { String::new() }, "0".into()],
            times: [label(used.bars.first()), label(middle), label(used.bars.last())],
            note: match used.range {
                Range::Month => msg!("Days begin at midnight UTC."),
                Range::Week => msg!("Each bar is four hours."),
                _ => "",
            },
            rows: rows.collect(),
            routes: routes.collect(),
            services: services.collect(),
            routes_words: if used.range == Range::Hour { words(Range::Day) } else { words(used.range) },
            is_empty: used.total.total() == 0,
        }
    }
}

fn parts(n: usize, count: usize, tally: &Tally, top: u64) -> Vec<Part> {
    let step = WIDTH / count as f64;
    let mut y = HEIGHT;
    let mut parts = Vec::new();
    for outcome in Outcome::ALL.into_iter().filter(|&outcome| tally.of(outcome) > 0) {
        let height = (tally.of(outcome) as f64 / top as f64 * HEIGHT).max(LEAST);
        y = (y - height).max(0.0);
        parts.push(Part {
            class: class(outcome),
            x: number(n as f64 * step + step * 0.06),
            y: number(y),
            width: number(step * 0.88),
            height: number(height),
        });
    }
    parts
}

fn number(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

const fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "c2",
        Outcome::ClientError => "c4",
        Outcome::RateLimited => "c9",
        Outcome::ServerError => "c5",
    }
}

const fn legend(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => msg!("2xx success"),
        Outcome::ClientError => msg!("4xx error"),
        Outcome::RateLimited => msg!("429 rate limited"),
        Outcome::ServerError => msg!("5xx fault"),
    }
}

const fn words(range: Range) -> &'static str {
    match range {
        Range::Hour => msg!("last hour"),
        Range::Day => msg!("last 24 hours"),
        Range::Week => msg!("last 7 days"),
        Range::Month => msg!("last 30 days"),
    }
}

const fn none(range: Range) -> &'static str {
    match range {
        Range::Hour => msg!("No requests in the last hour."),
        Range::Day => msg!("No requests in the last 24 hours."),
        Range::Week => msg!("No requests in the last 7 days."),
        Range::Month => msg!("No requests in the last 30 days."),
    }
}

fn time(at: Timestamp, range: Range, zone: &TimeZone) -> String {
    let format = match range {
        Range::Hour | Range::Day => msg!("%H:%M"),
        Range::Week => msg!("%a %-d %b %H:%M"),
        Range::Month => msg!("%-d %b"),
    };
    in_words(&at.to_jiff().to_zoned(zone.clone()), format)
}

/// `31,204 requests: 29,880 2xx, 1,012 4xx, 312 rate limited (429)`
fn counts_words(tally: &Tally) -> String {
    let total = tally.total();
    let requests = count(total, "{n} request", "{n} requests");
    let counted: Vec<String> = Outcome::ALL
        .into_iter()
        .filter(|&outcome| tally.of(outcome) > 0)
        .map(|outcome| match outcome {
            Outcome::RateLimited => t("{n} rate limited (429)").with("n", grouped(tally.of(outcome))).into(),
            outcome => format!("{} {}", grouped(tally.of(outcome)), outcome.name()),
        })
        .collect();
    if counted.is_empty() { requests.into() } else { format!("{requests}: {}", counted.join(", ")) }
}

/// The next of 2, 4, 10, 20, 40, 100, …: half of it is a whole number too.
fn round_up(most: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for times in [2, 4, 6, 8, 10] {
            let top = unit.saturating_mul(times);
            if top >= most {
                return top;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// `0.4 ms`, `11 ms`, `1.2 s`
pub fn took_words(took: Duration) -> String {
    let ms = took.as_secs_f64() * 1e3;
    match ms {
        0.0..0.1 => t("under {ms} ms").with("ms", decimal(0.1)).into(),
        ..10.0 => format!("{} ms", decimal(ms)),
        ..1000.0 => format!("{ms:.0} ms"),
        _ => format!("{} s", decimal(ms / 1e3)),
    }
}

/// `95.8%`. Not all is never shown as all.
pub fn share_words(share: Option<f64>) -> String {
    match share {
        None => "–".into(),
        Some(1.0) => "100%".into(),
        Some(share) => format!("{}%", decimal((share * 1000.0).floor() / 10.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_a_round_number_that_has_a_half() {
        for (most, top) in [(0, 2), (1, 2), (3, 4), (5, 6), (9, 10), (11, 20), (47, 60), (950, 1000), (31_204, 40_000)] {
            assert_eq!(round_up(most), top);
        }
        assert!(round_up(u64::MAX) == u64::MAX);
    }

    #[test]
    fn figures_are_short_and_never_flatter() {
        assert_eq!(share_words(Some(0.99999)), "99.9%");
        assert_eq!(share_words(Some(1.0)), "100%");
        assert_eq!(took_words(Duration::from_micros(420)), "0.4 ms");
        assert_eq!(took_words(Duration::from_micros(11_200)), "11 ms");
        assert_eq!(took_words(Duration::from_millis(1_240)), "1.2 s");
    }

    #[test]
    fn a_bar_is_as_high_as_its_share_and_no_part_of_it_vanishes() {
        let mut tally = Tally { outcomes: [100, 0, 1, 0], ..Default::default() };
        let high = parts(0, 24, &tally, 200);
        assert_eq!((high[0].height.as_str(), high[1].height.as_str()), ("100", "1.5"));
        tally.outcomes = [0; 4];
        assert!(parts(0, 24, &tally, 2).is_empty());
    }
}

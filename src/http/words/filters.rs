//! Messages in templates: `{{ "Save"|t }}`, `{{ "Ends {when}"|t|with("when", end) }}`, `{{ n|count("{n} key", "{n} keys") }}`,
//! and with markup in it `{{ "Read [the guide]."|t|link("/docs/x") }}` or `|rich`.
#![allow(unused_braces)] // of the macro's making

use std::fmt::{Display, Write};

use askama::{Result, Values, filter_fn};

use super::message::escape;
use super::{Message, Rich};
use crate::http::moment::Moment;

#[filter_fn]
pub fn t(text: impl AsRef<str>, _: &dyn Values) -> Result<Message> {
    Ok(super::t(text.as_ref()))
}

#[filter_fn]
pub fn count(n: impl Counted, _: &dyn Values, one: &str, many: &str) -> Result<Message> {
    Ok(super::count(n.number(), one, many))
}

/// A number as the language writes it.
#[filter_fn]
pub fn number(n: impl Counted, _: &dyn Values) -> Result<String> {
    Ok(super::number(n.number()))
}

#[filter_fn]
pub fn in_sentence(label: impl Display, _: &dyn Values) -> Result<String> {
    Ok(super::in_sentence(&label.to_string()))
}

#[filter_fn]
pub fn capitalized(text: impl Display, _: &dyn Values) -> Result<String> {
    Ok(super::capitalized(&text.to_string()))
}

#[filter_fn]
pub fn with<S: Said, V: Display>(said: S, _: &dyn Values, name: &'static str, value: V) -> Result<S> {
    Ok(said.change(|message| message.with(name, value)))
}

/// A moment that a page shows by its day.
#[filter_fn]
pub fn date(said: impl Said, _: &dyn Values, name: &'static str, moment: &Moment) -> Result<Rich> {
    let title = format!("{}\" title=\"{}", moment.iso, moment.full);
    Ok(said.rich().map(|message| message.with_html(name, &moment.day, time(&title, &moment.day))))
}

/// A moment to the minute.
#[filter_fn]
pub fn exact(said: impl Said, _: &dyn Values, name: &'static str, moment: &Moment) -> Result<Rich> {
    Ok(said.rich().map(|message| message.with_html(name, &moment.full, time(&moment.iso, &moment.full))))
}

/// A moment as it is away from now.
#[filter_fn]
pub fn ago(said: impl Said, _: &dyn Values, name: &'static str, moment: &Moment) -> Result<Rich> {
    let title = format!("{}\" title=\"{}", moment.iso, moment.full);
    Ok(said.rich().map(|message| message.with_html(name, &moment.relative, time(&title, &moment.relative))))
}

fn time(attributes: &str, words: &str) -> String {
    format!("<time datetime=\"{attributes}\">{words}</time>")
}

/// A key's hint.
#[filter_fn]
pub fn chip<V: Display>(said: impl Said, _: &dyn Values, name: &'static str, hint: V) -> Result<Rich> {
    Ok(said.rich().map(|message| spanned(message, name, "chip", &hint.to_string())))
}

/// A value with a class of its own.
#[filter_fn]
pub fn span<V: Display>(said: impl Said, _: &dyn Values, name: &'static str, class: &'static str, value: V) -> Result<Rich> {
    Ok(said.rich().map(|message| spanned(message, name, class, &value.to_string())))
}

fn spanned(message: Message, name: &'static str, class: &str, text: &str) -> Message {
    let mut html = format!("<span class=\"{class}\">");
    // A string takes whatever is written.
    let _ = escape(&mut html, text);
    let _ = html.write_str("</span>");
    message.with_html(name, text, html)
}

/// Where the next `[link]` leads.
#[filter_fn]
pub fn link<V: Display>(said: impl Said, _: &dyn Values, href: V) -> Result<Rich> {
    Ok(said.rich().link(href.to_string()))
}

/// With markup, and no link or with the ones named before.
#[filter_fn]
pub fn rich(said: impl Said, _: &dyn Values) -> Result<Rich> {
    Ok(said.rich())
}

/// What a service said, which is a sentence with its values filled in already.
#[filter_fn]
pub fn t_refusal(text: impl AsRef<str>, _: &dyn Values) -> Result<String> {
    Ok(super::t_refusal(text.as_ref()))
}

/// What takes values: a message, with markup or without.
pub trait Said: Sized {
    fn change(self, change: impl FnOnce(Message) -> Message) -> Self;
    fn rich(self) -> Rich;
}

impl Said for Message {
    fn change(self, change: impl FnOnce(Message) -> Message) -> Self {
        change(self)
    }

    fn rich(self) -> Rich {
        self.into()
    }
}

impl Said for Rich {
    fn change(self, change: impl FnOnce(Message) -> Message) -> Self {
        self.map(change)
    }

    fn rich(self) -> Rich {
        self
    }
}

/// What can be counted: a number of any size.
pub trait Counted {
    fn number(&self) -> u64;
}

macro_rules! counted {
    ($($number:ty),*) => {
        $(impl Counted for $number {
            fn number(&self) -> u64 {
                u64::try_from(*self).unwrap_or_default()
            }
        })*
    };
}
counted!(u8, u16, u32, u64, usize, i32, i64);

impl<C: Counted + ?Sized> Counted for &C {
    fn number(&self) -> u64 {
        (**self).number()
    }
}

//! A message with the values that stand in it, as text and as a piece of a page.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use askama::filters::{Escaper, Html, HtmlSafe};

#[derive(Clone, Debug)]
pub struct Message {
    text: Cow<'static, str>,
    values: Vec<(Cow<'static, str>, Value)>,
}

#[derive(Clone, Debug)]
struct Value {
    text: String,
    /// Where a page shows more than the text.
    html: Option<String>,
}

impl Message {
    pub(super) fn new(text: Cow<'static, str>) -> Self {
        Self { text, values: Vec::new() }
    }

    /// A value for its place, `{name}`.
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Display) -> Self {
        self.values.push((name.into(), Value { text: value.to_string(), html: None }));
        self
    }

    /// The same with what a page shows for it. The caller has escaped what came from outside.
    pub(super) fn with_html(mut self, name: &'static str, text: &str, html: String) -> Self {
        self.values.push((name.into(), Value { text: text.into(), html: Some(html) }));
        self
    }

    /// A value that leads somewhere.
    pub fn with_link(self, name: &'static str, text: &str, href: &str) -> Self {
        let mut html = String::from("<a href=\"");
        // A string takes whatever is written.
        let _ = escape(&mut html, href);
        html.push_str("\">");
        let _ = escape(&mut html, text);
        html.push_str("</a>");
        self.with_html(name, text, html)
    }

    /// A value that is set apart, since anyone may have chosen it.
    pub fn with_name(self, name: &'static str, text: &str) -> Self {
        let mut html = String::from("<em class=\"name\">");
        let _ = escape(&mut html, text);
        html.push_str("</em>");
        self.with_html(name, text, html)
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text and the values between it, in their order.
    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut rest: &str = &self.text;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            if let Some((value, after)) = self.value_at(rest) {
                rest = after;
                return Some(Piece::Value(value));
            }
            let end = rest.char_indices().skip(1).find(|&(_, c)| c == '{').map_or(rest.len(), |(at, _)| at);
            let (text, after) = rest.split_at(end);
            rest = after;
            Some(Piece::Text(text))
        })
    }

    fn value_at<'a>(&'a self, rest: &'a str) -> Option<(&'a Value, &'a str)> {
        let (name, after) = rest.strip_prefix('{')?.split_once('}')?;
        let value = self.values.iter().find(|value| value.0 == name)?;
        Some((&value.1, after))
    }
}

enum Piece<'a> {
    Text(&'a str),
    Value(&'a Value),
}

impl Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Value(value) => f.write_str(&value.text),
        })
    }
}

impl From<Message> for String {
    fn from(message: Message) -> Self {
        if message.values.is_empty() { message.text.into_owned() } else { message.to_string() }
    }
}

impl PartialEq<&str> for Message {
    fn eq(&self, other: &&str) -> bool {
        let text = self.to_string();
        text == *other
    }
}

/// A message as a piece of a page: `` `code` ``, `*strong*`, `_emphasis_`, `[link]`, and `[what is read out]` where no link is
/// left. Each stands for itself in a value.
#[derive(Clone, Debug)]
pub struct Rich {
    message: Message,
    hrefs: Vec<String>,
}

impl Rich {
    /// Where the next `[link]` leads.
    pub fn link(mut self, href: String) -> Self {
        self.hrefs.push(href);
        self
    }

    pub fn map(self, change: impl FnOnce(Message) -> Message) -> Self {
        Self { message: change(self.message), ..self }
    }
}

impl From<Message> for Rich {
    fn from(message: Message) -> Self {
        Self { message, hrefs: Vec::new() }
    }
}

impl HtmlSafe for Rich {}

impl Display for Rich {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hrefs = self.hrefs.iter();
        let (mut code, mut strong, mut emphasis, mut is_link) = (false, false, false, false);
        for piece in self.message.pieces() {
            let text = match piece {
                Piece::Text(text) => text,
                Piece::Value(Value { html: Some(html), .. }) => {
                    f.write_str(html)?;
                    continue;
                }
                Piece::Value(value) => {
                    escape(f, &value.text)?;
                    continue;
                }
            };
            for c in text.chars() {
                match c {
                    '`' => toggle(f, &mut code, "code")?,
                    _ if code => Html.write_escaped_char(&mut *f, c)?,
                    '*' => toggle(f, &mut strong, "strong")?,
                    '_' => toggle(f, &mut emphasis, "em")?,
                    '[' => match hrefs.next() {
                        Some(href) => {
                            is_link = true;
                            f.write_str("<a href=\"")?;
                            escape(f, href)?;
                            f.write_str(if href.starts_with("https:") { "\" rel=\"noreferrer\">" } else { "\">" })?;
                        }
                        None => f.write_str("<span class=\"quiet\">")?,
                    },
                    ']' => f.write_str(if std::mem::take(&mut is_link) { "</a>" } else { "</span>" })?,
                    _ => Html.write_escaped_char(&mut *f, c)?,
                }
            }
        }
        Ok(())
    }
}

pub(super) fn escape(out: &mut impl Write, text: &str) -> fmt::Result {
    Html.write_escaped_str(out, text)
}

fn toggle(f: &mut fmt::Formatter<'_>, is_open: &mut bool, tag: &str) -> fmt::Result {
    *is_open = !*is_open;
    write!(f, "<{}{tag}>", if *is_open { "" } else { "/" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &'static str) -> Message {
        Message::new(text.into())
    }

    #[test]
    fn a_value_is_no_place_for_another() {
        let said = message("{a} and {b}, {c}").with("a", "{b}").with("b", "{a}");
        assert_eq!(said.to_string(), "{b} and {a}, {c}");
        assert_eq!(message("}{").with("a", 1).to_string(), "}{");
    }

    #[test]
    fn what_is_in_a_value_stays_text_on_a_page() {
        let said = message("*{who}* read [the `{x}` guide], & _so_.").with("who", "<b>*[x]*").with("x", "`_&_`");
        let page = Rich::from(said).link("/docs?a&\"b".into()).to_string();
        assert_eq!(
            page,
            "<strong>&#60;b&#62;*[x]*</strong> read <a href=\"/docs?a&#38;&#34;b\">the <code>`_&#38;_`</code> guide</a>, &#38; <em>so</em>."
        );
    }
}

//! The files of translations: gettext's PO, which translators have tools for. Read once, when a language is first spoken.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Language, Message};

/// Messages of one language, by their English.
pub struct Catalogue {
    messages: HashMap<String, Vec<String>>,
    refusals: Vec<Refusal>,
}

/// The context of sentences that services say, whose values are filled in before they are translated.
const REFUSAL: &str = "refusal";
/// The place in a refusal for another one, which is translated by itself.
const WORDS: &str = "words";

/// A refusal with places for values: what stands between them, and the translation.
struct Refusal {
    texts: Vec<String>,
    names: Vec<String>,
    translation: String,
}

fn catalogue(language: Language) -> Option<&'static Catalogue> {
    static DE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::of(include_str!("de.po")));
    match language {
        Language::De => Some(&DE),
        _ => None,
    }
}

pub fn translated(language: Language, text: &str) -> Cow<'static, str> {
    let found = catalogue(language).and_then(|known| known.messages.get(text));
    let found = found.and_then(|forms| forms.first()).map(|text| Cow::Borrowed(text.as_str()));
    found.unwrap_or_else(|| untranslated(language, text))
}

/// Both languages that there are have one form for one, and another for any other number.
pub fn counted(language: Language, n: u64, one: &str, many: &str) -> Cow<'static, str> {
    let form = usize::from(n != 1);
    let found = catalogue(language).and_then(|known| known.messages.get(one)?.get(form));
    found.map_or_else(|| untranslated(language, if n == 1 { one } else { many }), |text| Cow::Borrowed(text.as_str()))
}

pub fn refusal(language: Language, text: &str) -> String {
    let found =
        catalogue(language).and_then(|known| known.refusals.iter().find_map(|refusal| refusal.translated(language, text)));
    found.unwrap_or_else(|| translated(language, text).into_owned())
}

fn untranslated(language: Language, text: &str) -> Cow<'static, str> {
    match language {
        #[cfg(debug_assertions)]
        Language::Pseudo => pseudo(text).into(),
        _ => text.to_owned().into(),
    }
}

impl Catalogue {
    fn of(text: &str) -> Self {
        let mut catalogue = Self { messages: HashMap::new(), refusals: Vec::new() };
        for entry in entries(text).expect("a test reads each catalogue") {
            if entry.context == REFUSAL {
                catalogue.refusals.push(Refusal::new(&entry));
            } else if entry.context.is_empty() {
                catalogue.messages.insert(entry.id, entry.translations);
            }
        }
        // What says more wins over what has places for anything.
        catalogue
            .refusals
            .sort_by_key(|refusal| (refusal.names.len(), Reverse(refusal.texts.iter().map(String::len).sum::<usize>())));
        catalogue
    }
}

impl Refusal {
    fn new(entry: &Entry) -> Self {
        let (mut texts, mut names, mut rest) = (Vec::new(), Vec::new(), entry.id.as_str());
        while let Some((text, (name, after))) = rest.split_once('{').and_then(|(text, rest)| Some((text, rest.split_once('}')?)))
        {
            texts.push(text.to_owned());
            names.push(name.to_owned());
            rest = after;
        }
        texts.push(rest.to_owned());
        Self { texts, names, translation: entry.translations.first().cloned().unwrap_or_default() }
    }

    fn translated(&self, language: Language, said: &str) -> Option<String> {
        let (first, between) = self.texts.split_first()?;
        let mut rest = said.strip_prefix(first.as_str())?;
        let mut values = Vec::new();
        for (n, text) in between.iter().enumerate() {
            let is_last = n + 1 == between.len();
            let at = if is_last { rest.strip_suffix(text.as_str())?.len() } else { rest.find(text.as_str())? };
            values.push(&rest[..at]);
            rest = &rest[at + text.len()..];
        }
        if !rest.is_empty() {
            return None;
        }
        let mut message = Message::new(self.translation.clone().into());
        for (name, value) in self.names.iter().zip(values) {
            message = match name.as_str() {
                WORDS => message.with(WORDS, refusal(language, value)),
                _ => message.with(name.clone(), value),
            };
        }
        Some(message.into())
    }
}

/// One message of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub line: usize,
    pub context: String,
    pub id: String,
    pub plural: String,
    /// One, or one for each form of a number.
    pub translations: Vec<String>,
}

/// The messages of a file in PO format, without its header; else what is wrong with it.
pub fn entries(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    // The text that a line with nothing but a string goes on with.
    let mut field = "";
    for (n, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            field = "";
            continue;
        }
        let (name, quoted) = line.split_at(line.find('"').ok_or_else(|| format!("line {n}: no string"))?);
        let words: String = serde_json::from_str(quoted).map_err(|err| format!("line {n}: {err}"))?;
        field = if name.is_empty() { field } else { name.trim_end() };
        let is_new = field == "msgctxt" || field == "msgid" && entries.last().is_none_or(|entry| !entry.translations.is_empty());
        if is_new && !name.is_empty() {
            entries.push(Entry { line: n, ..Entry::default() });
        }
        let entry = entries.last_mut().ok_or_else(|| format!("line {n}: before the first msgid"))?;
        match field {
            "msgctxt" => entry.context += &words,
            "msgid" => entry.id += &words,
            "msgid_plural" => entry.plural += &words,
            "msgstr" | "msgstr[0]" | "msgstr[1]" | "msgstr[2]" => {
                if !name.is_empty() {
                    entry.translations.push(String::new());
                }
                if let Some(last) = entry.translations.last_mut() {
                    *last += &words;
                }
            }
            other => return Err(format!("line {n}: {other} is not known")),
        }
    }
    entries.retain(|entry| !entry.id.is_empty());
    Ok(entries)
}

/// `Save {name}` → `⟦Şȧṽḗ {name}····⟧`: every letter is another, and all of it longer, as translations are.
#[cfg(debug_assertions)]
fn pseudo(text: &str) -> String {
    const LOWER: [char; 26] = [
        'ȧ', 'ƀ', 'ƈ', 'ḓ', 'ḗ', 'ƒ', 'ɠ', 'ħ', 'ī', 'ĵ', 'ķ', 'ŀ', 'ḿ', 'ƞ', 'ǿ', 'ƥ', 'ɋ', 'ř', 'ş', 'ŧ', 'ŭ', 'ṽ', 'ẇ', 'ẋ',
        'ẏ', 'ẑ',
    ];
    const UPPER: [char; 26] = [
        'Ȧ', 'Ɓ', 'Ƈ', 'Ḓ', 'Ḗ', 'Ƒ', 'Ɠ', 'Ħ', 'Ī', 'Ĵ', 'Ķ', 'Ŀ', 'Ḿ', 'Ƞ', 'Ǿ', 'Ƥ', 'Ɋ', 'Ř', 'Ş', 'Ŧ', 'Ŭ', 'Ṽ', 'Ẇ', 'Ẋ',
        'Ẏ', 'Ẑ',
    ];
    if text.is_empty() {
        return String::new();
    }
    let (mut said, mut is_name, mut is_code, mut letters) = (String::from("⟦"), false, false, 0_usize);
    for c in text.chars() {
        match c {
            '{' => is_name = true,
            '}' => is_name = false,
            '`' => is_code = !is_code,
            _ => {}
        }
        let other = match c {
            _ if is_name || is_code => c,
            'a'..='z' => LOWER[usize::from(c as u8 - b'a')],
            'A'..='Z' => UPPER[usize::from(c as u8 - b'A')],
            _ => c,
        };
        letters += usize::from(other != c);
        said.push(other);
    }
    said.extend(std::iter::repeat_n('·', letters.div_ceil(5) * 2));
    said.push('⟧');
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_gettext_writes_it() {
        let text = "msgid \"\"\nmsgstr \"Language: de\\n\"\n\n#: src/x.rs:1\nmsgctxt \"verb\"\nmsgid \"Open \\\"{x}\\\"\"\nmsgstr \"\"\n\"Öffnen\"\n\" {x}\"\n\nmsgid \"{n} key\"\nmsgid_plural \"{n} keys\"\nmsgstr[0] \"a\"\nmsgstr[1] \"b\"\n";
        let found = entries(text).expect("is read");
        let of = |entry: &Entry| (entry.context.clone(), entry.id.clone(), entry.plural.clone(), entry.translations.clone());
        assert_eq!(of(&found[0]), ("verb".into(), "Open \"{x}\"".into(), String::new(), vec!["Öffnen {x}".into()]));
        assert_eq!(of(&found[1]), (String::new(), "{n} key".into(), "{n} keys".into(), vec!["a".into(), "b".into()]));
        assert_eq!(entries("msgid \"a").expect_err("no end").split(':').next(), Some("line 1"));
        assert!(entries("msgfoo \"a\"\n").is_err() && entries("nothing").is_err());
    }

    #[test]
    fn a_refusal_is_known_by_what_stands_around_its_values() {
        let refusal = |id: &str, translation: &str| {
            Refusal::new(&Entry { id: id.into(), translations: vec![translation.into()], ..Entry::default() })
        };
        let both = refusal("`{a}` is no {b}.", "{b}: `{a}`");
        assert_eq!(both.translated(Language::En, "`x {b}` is no scope.").as_deref(), Some("scope: `x {b}`"));
        assert_eq!(both.translated(Language::En, "`x` is a scope."), None);
        assert_eq!(refusal("Done.", "Getan.").translated(Language::En, "Done."), Some("Getan.".into()));
        assert_eq!(refusal("Done.", "Getan.").translated(Language::En, "Done. More."), None);
    }

    #[test]
    fn what_is_not_translated_stands_out() {
        assert_eq!(pseudo("Save {name}"), "⟦Şȧṽḗ {name}··⟧");
        assert_eq!(pseudo("`GET` it"), "⟦`GET` īŧ··⟧");
    }
}

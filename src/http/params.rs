//! The parameters of a request: of a query, a form, or, for the token endpoint, a JSON object. Each comes once; one without
//! a value was not sent; unknown ones are nobody's business (RFC 6749 §3.1 and §3.2).

use serde::Deserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::Value;

use crate::model::oauth_error::{OauthCode, OauthError};

#[derive(Debug, Default)]
pub struct Params(Vec<(Vec<u8>, Vec<u8>)>);

impl Params {
    pub fn of_form(text: &[u8]) -> Self {
        let pairs = text.split(|&b| b == b'&').filter(|pair| !pair.is_empty());
        let split = |pair: &[u8]| match pair.iter().position(|&b| b == b'=') {
            Some(at) => (decoded(&pair[..at]), decoded(&pair[at + 1..])),
            None => (decoded(pair), Vec::new()),
        };
        Self(pairs.map(split).collect())
    }

    pub fn of_json(text: &[u8]) -> Result<Self, OauthError> {
        let mut read = serde_json::Deserializer::from_slice(text);
        let pairs = read.deserialize_map(Pairs).and_then(|pairs| read.end().map(|()| pairs));
        pairs
            .map(Self)
            .map_err(|err| OauthCode::InvalidRequest.because(format!("The body is not a JSON object of texts: {err}.")))
    }

    /// As it was sent, byte for byte.
    pub fn bytes(&self, name: &str) -> Result<Option<&[u8]>, OauthError> {
        let mut values = self.0.iter().filter(|(sent, _)| sent == name.as_bytes()).map(|(_, value)| value.as_slice());
        let value = values.next().filter(|value| !value.is_empty());
        if values.next().is_some() {
            return Err(OauthCode::InvalidRequest.because(format!("{name} was sent more than once.")));
        }
        Ok(value)
    }

    pub fn text(&self, name: &str) -> Result<Option<&str>, OauthError> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        let wrong = || OauthCode::InvalidRequest.because(format!("{name} is not UTF-8."));
        std::str::from_utf8(bytes).map(Some).map_err(|_| wrong())
    }

    pub fn required(&self, name: &str) -> Result<&str, OauthError> {
        self.text(name)?.ok_or_else(|| OauthCode::InvalidRequest.because(format!("{name} is missing.")))
    }

    /// Nothing may be sent twice, known or not.
    pub fn check(&self) -> Result<(), OauthError> {
        let mut names: Vec<&[u8]> = self.0.iter().map(|(name, _)| name.as_slice()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(()),
            Some(pair) => {
                let name: String = String::from_utf8_lossy(pair[0]).chars().take(60).collect();
                Err(OauthCode::InvalidRequest.because(format!("{name} was sent more than once.")))
            }
        }
    }
}

/// `application/x-www-form-urlencoded`, into bytes: they need not be UTF-8.
pub fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let hex = |digit: u8| char::from(digit).to_digit(16);
        rest = match (first, after) {
            (b'+', _) => {
                bytes.push(b' ');
                after
            }
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.push((hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0)) as u8);
                after
            }
            _ => {
                bytes.push(first);
                after
            }
        };
    }
    bytes
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(Vec<u8>, Vec<u8>)>;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            let text = match value {
                Value::String(text) => text,
                Value::Null => String::new(),
                _ => return Err(A::Error::custom(format!("{} is not a text", name.chars().take(60).collect::<String>()))),
            };
            pairs.push((name.into_bytes(), text.into_bytes()));
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_byte_for_byte() {
        let params = Params::of_form(b"a=1+2&b=%ff%0d%0A&c=&d&e=%zz%4&&f=x=y");
        assert_eq!(params.bytes("a").expect("once"), Some(b"1 2".as_slice()));
        assert_eq!(params.bytes("b").expect("once"), Some(b"\xff\r\n".as_slice()));
        assert!(params.text("b").is_err(), "no UTF-8");
        assert_eq!((params.text("c").expect("once"), params.text("d").expect("once")), (None, None), "empty is not sent");
        assert_eq!(params.text("e").expect("once"), Some("%zz%4"));
        assert_eq!(params.text("f").expect("once"), Some("x=y"));
        assert!(params.check().is_ok());
    }

    #[test]
    fn what_comes_twice_is_refused() {
        let form = Params::of_form(b"a=1&a=1");
        assert!(form.text("a").is_err() && form.check().is_err());
        let json = Params::of_json(br#"{"a":"1","a":"1"}"#).expect("an object");
        assert!(json.text("a").is_err() && json.check().is_err());
    }

    #[test]
    fn json_is_an_object_of_texts() {
        let params = Params::of_json(br#"{"a":"1","b":null}"#).expect("an object");
        assert_eq!((params.text("a").expect("once"), params.text("b").expect("once")), (Some("1"), None));
        for bad in ["", "[]", "1", "{", r#"{"a":1}"#, r#"{"a":{}}"#, r#"{"a":["x"]}"#, r#"{"a":"1"} x"#] {
            assert!(Params::of_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

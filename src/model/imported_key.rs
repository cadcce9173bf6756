//! Keys that another system made, as a file lists them: JSON records, one on each line or in one array. Only hashes
//! come; the secrets stay with those who have them.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use serde::Serialize;
use serde_json::{Map, Value};

use super::api_key::Metadata;
use super::clock::Timestamp;
use super::email::Email;
use super::error::{FieldErrors, Problem};
use super::ids::UserId;
use super::json_records::{Split, Splitter};
use super::name::Name;
use super::scope::{ScopeSet, ScopesAsked};

/// The largest file of records.
pub const MAX_BYTES: usize = 32 << 20;
/// A file with more wrong lines than this is told of the first ones.
pub const MAX_ERRORS: usize = 1_000;

const FIELDS: &[&str] =
    &["hash", "hash_format", "strip_prefix", "name", "user_id", "user_email", "scopes", "expires_at", "metadata", "hint"];

#[derive(Clone, Debug)]
pub struct ImportedKey {
    /// The line it begins on, from 1.
    pub line: usize,
    pub hash: [u8; 32],
    /// What stands before the part of the secret that was hashed; empty where all of it was.
    pub strip_prefix: String,
    pub name: Name,
    pub owner: Owner,
    pub scopes: ScopesAsked,
    pub expires_at: Option<Timestamp>,
    pub metadata: Metadata,
    /// What people recognise the key by.
    pub hint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    Id(UserId),
    Email(Email),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineError {
    pub line: usize,
    /// Empty where the line as a whole is wrong.
    pub field: String,
    pub message: String,
}

impl LineError {
    pub fn new(line: usize, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { line, field: field.into(), message: message.into() }
    }
}

/// The records of a file, and what is wrong in it.
#[derive(Clone, Debug, Default)]
pub struct Records {
    pub keys: Vec<ImportedKey>,
    pub errors: Vec<LineError>,
}

/// Reads records as their file comes.
#[derive(Debug, Default)]
pub struct Reader {
    splitter: Splitter,
    records: Records,
}

impl Reader {
    pub fn push(&mut self, piece: &[u8]) {
        let Self { splitter, records } = self;
        splitter.push(piece, |split| records.note(split));
    }

    pub fn finish(self) -> Records {
        let Self { splitter, mut records } = self;
        splitter.finish(|split| records.note(split));
        records
    }
}

impl Records {
    pub fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader::default();
        reader.push(bytes);
        reader.finish()
    }

    fn note(&mut self, (line, record): Split) {
        // More are told to nobody.
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        let record = match record.map(serde_json::from_slice) {
            Ok(Ok(Value::Object(record))) => record,
            Ok(Ok(_)) => return self.errors.push(LineError::new(line, "", "A record is a JSON object.")),
            Ok(Err(err)) => return self.errors.push(LineError::new(line, "", not_json(&err))),
            Err(problem) => return self.errors.push(LineError::new(line, "", problem)),
        };
        match parse(line, record) {
            Ok(key) => self.keys.push(key),
            Err(errors) => {
                let errors = errors.as_slice().iter();
                self.errors.extend(errors.map(|error| LineError::new(line, &error.field, &error.message)));
            }
        }
    }
}

fn not_json(err: &serde_json::Error) -> String {
    let text = err.to_string();
    let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
    format!("This is not valid JSON: {problem} at column {}.", err.column())
}

fn parse(line: usize, mut record: Map<String, Value>) -> Result<ImportedKey, FieldErrors> {
    let mut errors = FieldErrors::default();
    for field in record.keys().filter(|field| !FIELDS.contains(&field.as_str())) {
        let shown: String = field.chars().take(60).collect();
        errors.add(&*shown, "unknown_field", format!("There is no field `{shown}`. The fields are: {}.", FIELDS.join(", ")));
    }
    let mut text = |errors: &mut FieldErrors, field: &'static str| match record.remove(field) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => {
            errors.add(field, "wrong_type", format!("`{field}` must be a string."));
            None
        }
    };
    let given = ["hash", "hash_format", "strip_prefix", "name", "user_id", "user_email", "expires_at", "hint"]
        .map(|field| text(&mut errors, field));
    let [hash, hash_format, strip_prefix, name, user_id, user_email, expires_at, hint] = given;
    for (field, value) in [("hash", &hash), ("hash_format", &hash_format), ("name", &name)] {
        if value.is_none() && errors.of(field).is_none() {
            errors.add(field, "required", format!("`{field}` is required."));
        }
    }
    let hash = hash.zip(hash_format).and_then(|(hash, format)| {
        let problem = |(field, problem): (&'static str, Problem)| errors.add(field, problem.code, problem.message);
        decode(&hash, &format).map_err(problem).ok()
    });
    let name = name.and_then(|name| errors.note("name", Name::parse(&name)));
    let owner = match (user_id, user_email) {
        (Some(id), None) => {
            let no_id = || Problem::new("invalid_id", "`user_id` must be the id of a user.");
            errors.note("user_id", UserId::parse(&id).map(Owner::Id).ok_or_else(no_id))
        }
        (None, Some(email)) => errors.note("user_email", Email::parse(&email).map(Owner::Email)),
        (id, _) => {
            let (code, words) = if id.is_some() {
                ("conflict", "Give one of `user_id` and `user_email`.")
            } else {
                ("required", "Give the owner's `user_id` or `user_email`.")
            };
            errors.add("user_id", code, words);
            None
        }
    };
    let expires_at = expires_at.and_then(|text| {
        let example = || Problem::new("invalid_time", "`expires_at` must be a time such as 2027-10-27T10:00:00Z.");
        errors.note("expires_at", Timestamp::parse(&text).ok_or_else(example))
    });
    let scopes = record.remove("scopes").filter(|value| !value.is_null());
    let scopes = scopes.and_then(|value| errors.note("scopes", scopes_of(&value)));
    let metadata = record.remove("metadata").filter(|value| !value.is_null());
    let metadata = metadata.and_then(|value| {
        errors.note(
            "metadata",
            match value {
                Value::Object(map) => Metadata::new(map),
                _ => Err(Problem::new("wrong_type", "`metadata` must be a JSON object.")),
            },
        )
    });
    let strip_prefix = strip_prefix.unwrap_or_default();
    if strip_prefix.len() > 64 || strip_prefix.chars().any(|c| !c.is_ascii_graphic()) {
        errors.add("strip_prefix", "invalid", "`strip_prefix` has at most 64 visible ASCII characters.");
    }
    let hint = hint.unwrap_or_else(|| format!("{strip_prefix}…"));
    if hint.is_empty() || hint.chars().count() > 65 || hint.chars().any(char::is_control) {
        errors.add("hint", "invalid", "`hint` has 1 to 65 characters, for example sk_…9f2c.");
    }
    let (Some(hash), Some(name), Some(owner)) = (hash, name, owner) else { return Err(errors) };
    if !errors.as_slice().is_empty() {
        return Err(errors);
    }
    Ok(ImportedKey {
        line,
        hash,
        strip_prefix,
        name,
        owner,
        scopes: scopes.unwrap_or_else(|| ScopeSet::default_for_keys().into()),
        expires_at,
        metadata: metadata.unwrap_or_default(),
        hint,
    })
}

fn decode(hash: &str, format: &str) -> Result<[u8; 32], (&'static str, Problem)> {
    let (bytes, example) = match format {
        "sha256-hex" => (HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).ok(), "64 hexadecimal digits"),
        "sha256-base64" => {
            // With or without padding, in either alphabet: what libraries print differs.
            let bare = hash.trim_end_matches('=').as_bytes();
            (BASE64_NOPAD.decode(bare).or_else(|_| BASE64URL_NOPAD.decode(bare)).ok(), "43 characters of base64")
        }
        _ => {
            let words = "`hash_format` must be sha256-hex or sha256-base64.";
            return Err(("hash_format", Problem::new("invalid_choice", words)));
        }
    };
    let wrong = || ("hash", Problem::new("invalid_hash", format!("`hash` must be a SHA-256: {example}.")));
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)
}

fn scopes_of(value: &Value) -> Result<ScopesAsked, Problem> {
    let names: Option<Vec<&str>> = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
    ScopesAsked::parse(names.ok_or_else(|| Problem::new("wrong_type", "`scopes` must be a list of strings."))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"hash":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","hash_format":"sha256-hex","name":"Old","user_email":"ada@example.com"}"#;

    #[test]
    fn lines_and_arrays_are_read_alike_and_errors_name_their_line() {
        let lines = Records::read(format!("{RECORD}\n\n  {RECORD}\r\n").as_bytes());
        assert_eq!(lines.keys.iter().map(|key| key.line).collect::<Vec<_>>(), [1, 3]);
        let array = Records::read(format!("[\n  {RECORD},\n\n  {RECORD}\n]").as_bytes());
        assert_eq!(array.keys.iter().map(|key| key.line).collect::<Vec<_>>(), [2, 4]);
        assert!(lines.errors.is_empty() && array.errors.is_empty());
        let broken = Records::read(format!("{RECORD}\n{{\"hash\": }}\n[1]\n7").as_bytes());
        assert_eq!(broken.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2, 3, 4]);
        let open = Records::read(b"[1,\n2").errors;
        assert!(open.last().expect("an error").message.starts_with("This is not valid JSON"), "{open:?}");
        assert!(Records::read(b"").keys.is_empty());
    }

    #[test]
    fn hashes_are_read_in_the_forms_that_libraries_print() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let wanted = decode(hex, "sha256-hex").expect("a hash");
        assert_eq!(decode(&hex.to_uppercase(), "sha256-hex").expect("a hash"), wanted);
        for base64 in [
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
        ] {
            assert_eq!(decode(base64, "sha256-base64").expect("a hash"), wanted);
        }
        assert_eq!(decode(hex, "sha256-base64").expect_err("of another form").0, "hash");
        assert_eq!(decode(hex, "md5").expect_err("unknown").0, "hash_format");
    }
}

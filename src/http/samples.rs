//! A request in five languages, with the address, the key and the body filled in; the very first one in PowerShell, too.

use serde_json::Value;

/// What stands in a sample where a key belongs.
pub const YOUR_KEY: &str = "YOUR_API_KEY";

pub struct Sample {
    pub lang: &'static str,
    pub words: &'static str,
    pub code: String,
}

/// A request that a sample sends.
pub struct Request<'a> {
    pub method: &'a str,
    pub url: String,
    /// None: it is sent without one.
    pub key: Option<&'a str>,
    pub body: Option<&'a Value>,
    /// The answer has a body, and that is JSON.
    pub answers_json: bool,
}

/// `base_url` without a slash at its end; `key` is a secret or a placeholder.
pub fn first_request(base_url: &str, key: &str) -> Vec<Sample> {
    let url = format!("{base_url}/v1/users/me");
    let shell = format!("Invoke-RestMethod {url} `\n  -Headers @{{ Authorization = \"Bearer {key}\" }}");
    let mut samples = request(&Request { method: "GET", url, key: Some(key), body: None, answers_json: true });
    samples.push(Sample { lang: "powershell", words: "PowerShell", code: shell });
    samples
}

pub fn request(request: &Request) -> Vec<Sample> {
    vec![
        Sample { lang: "curl", words: "cURL", code: curl(request) },
        Sample { lang: "javascript", words: "JavaScript", code: javascript(request) },
        Sample { lang: "python", words: "Python", code: python(request) },
        Sample { lang: "go", words: "Go", code: go(request) },
        Sample { lang: "rust", words: "Rust", code: rust(request) },
    ]
}

fn curl(request: &Request) -> String {
    let mut lines = vec![match request.method {
        "GET" => format!("curl -i {}", quoted(&request.url)),
        method => format!("curl -i -X {method} {}", quoted(&request.url)),
    }];
    if let Some(key) = request.key {
        lines.push(format!("-H \"Authorization: Bearer {key}\""));
    }
    if let Some(body) = request.body {
        lines.push("-H \"Content-Type: application/json\"".into());
        lines.push(format!("-d '{}'", body.to_string().replace('\'', r"'\''")));
    }
    lines.join(" \\\n  ")
}

/// Quoted where a shell would read more than a word.
fn quoted(url: &str) -> String {
    if url.contains(['?', '&', '*']) { format!("\"{url}\"") } else { url.into() }
}

fn javascript(request: &Request) -> String {
    let mut options = Vec::new();
    if request.method != "GET" {
        options.push(format!("  method: \"{}\",", request.method));
    }
    let mut headers = Vec::new();
    headers.extend(request.key.map(|key| format!("Authorization: \"Bearer {key}\"")));
    headers.extend(request.body.map(|_| "\"Content-Type\": \"application/json\"".to_owned()));
    match headers.as_slice() {
        [] => {}
        [one] => options.push(format!("  headers: {{ {one} }},")),
        several => options.push(format!("  headers: {{\n    {},\n  }},", several.join(",\n    "))),
    }
    if let Some(body) = request.body {
        options.push(format!("  body: JSON.stringify({}),", indented(body, 2)));
    }
    let options = if options.is_empty() { String::new() } else { format!(", {{\n{}\n}}", options.join("\n")) };
    let read = if request.answers_json { "json" } else { "text" };
    format!("const response = await fetch(\"{}\"{options});\nconsole.log(response.status, await response.{read}());", request.url)
}

fn python(request: &Request) -> String {
    let mut arguments = vec![format!("\"{}\"", request.url)];
    arguments.extend(request.key.map(|key| format!("headers={{\"Authorization\": \"Bearer {key}\"}}")));
    arguments.extend(request.body.map(|body| format!("json={}", pythonic(body, 4))));
    arguments.push("timeout=10".into());
    let read = if request.answers_json { "json()" } else { "text" };
    format!(
        "import requests\n\nresponse = requests.{}(\n    {},\n)\nprint(response.status_code, response.{read})",
        request.method.to_ascii_lowercase(),
        arguments.join(",\n    "),
    )
}

fn go(request: &Request) -> String {
    let (body, import) = match request.body {
        None => ("nil".into(), ""),
        Some(body) => (format!("strings.NewReader(`{body}`)"), "\n\t\"strings\""),
    };
    let mut headers = String::new();
    if let Some(key) = request.key {
        headers += &format!("\n\treq.Header.Set(\"Authorization\", \"Bearer {key}\")");
    }
    if request.body.is_some() {
        headers += "\n\treq.Header.Set(\"Content-Type\", \"application/json\")";
    }
    GO.replace("{import}", import)
        .replace("{headers}", &headers)
        .replace("{body}", &body)
        .replace("{method}", request.method)
        .replace("{url}", &request.url)
}

const GO: &str = r#"package main

import (
	"fmt"
	"io"
	"log"
	"net/http"{import}
)

func main() {
	req, err := http.NewRequest("{method}", "{url}", {body})
	if err != nil {
		log.Fatal(err)
	}{headers}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, string(answer))
}"#;

fn rust(request: &Request) -> String {
    let features = if request.body.is_some() { "blocking,json" } else { "blocking" };
    let also = if request.body.is_some() { " && cargo add serde_json" } else { "" };
    let mut calls = vec![format!(".{}(\"{}\")", request.method.to_ascii_lowercase(), request.url)];
    calls.extend(request.key.map(|key| format!(".bearer_auth(\"{key}\")")));
    calls.extend(request.body.map(|body| format!(".json(&serde_json::json!({}))", indented(body, 8))));
    calls.push(".send()?;".into());
    format!(
        "// cargo add reqwest --features {features}{also}\n\
         fn main() -> Result<(), Box<dyn std::error::Error>> {{\n    \
             let response = reqwest::blocking::Client::new()\n        {}\n    \
             println!(\"{{}} {{}}\", response.status(), response.text()?);\n    \
             Ok(())\n}}",
        calls.join("\n        "),
    )
}

/// JSON over several lines, all but the first moved in by so many spaces.
fn indented(value: &Value, by: usize) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.replace('\n', &format!("\n{}", " ".repeat(by)))
}

/// The same as Python writes it.
fn pythonic(value: &Value, by: usize) -> String {
    let inner = " ".repeat(by + 4);
    let wrap = |open: char, parts: Vec<String>, close: char| match parts.is_empty() {
        true => format!("{open}{close}"),
        false => format!("{open}\n{inner}{},\n{}{close}", parts.join(&format!(",\n{inner}")), " ".repeat(by)),
    };
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Array(list) => wrap('[', list.iter().map(|value| pythonic(value, by + 4)).collect(), ']'),
        Value::Object(map) => {
            let fields = map.iter().map(|(name, value)| format!("\"{name}\": {}", pythonic(value, by + 4)));
            wrap('{', fields.collect(), '}')
        }
        other => other.to_string(),
    }
}

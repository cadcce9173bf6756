//! The first request in five languages and PowerShell, with the address and the key filled in.

pub struct Sample {
    pub lang: &'static str,
    pub words: &'static str,
    pub code: String,
}

/// `base_url` without a slash at its end; `key` is a secret or a placeholder.
pub fn first_request(base_url: &str, key: &str) -> Vec<Sample> {
    let url = format!("{base_url}/v1/users/me");
    let sample =
        |lang, words, template: &str| Sample { lang, words, code: template.replace("{url}", &url).replace("{key}", key) };
    vec![
        sample("curl", "cURL", CURL),
        sample("javascript", "JavaScript", JAVASCRIPT),
        sample("python", "Python", PYTHON),
        sample("go", "Go", GO),
        sample("rust", "Rust", RUST),
        sample("powershell", "PowerShell", POWERSHELL),
    ]
}

const CURL: &str = r#"curl -i {url} \
  -H "Authorization: Bearer {key}""#;

const JAVASCRIPT: &str = r#"const response = await fetch("{url}", {
  headers: { Authorization: "Bearer {key}" },
});
console.log(response.status, await response.json());"#;

const PYTHON: &str = r#"import requests

response = requests.get(
    "{url}",
    headers={"Authorization": "Bearer {key}"},
    timeout=10,
)
print(response.status_code, response.json())"#;

const GO: &str = r#"package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
)

func main() {
	req, err := http.NewRequest("GET", "{url}", nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer {key}")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, string(body))
}"#;

const RUST: &str = r#"// cargo add reqwest --features blocking
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let response = reqwest::blocking::Client::new()
        .get("{url}")
        .bearer_auth("{key}")
        .send()?;
    println!("{} {}", response.status(), response.text()?);
    Ok(())
}"#;

const POWERSHELL: &str = r#"Invoke-RestMethod {url} `
  -Headers @{ Authorization = "Bearer {key}" }"#;

//! The settings, read from all their sources.

use std::collections::BTreeMap;

use super::*;

fn file(text: &str) -> Inputs<'static> {
    Inputs { file: Some(ConfigFile { name: "keyrack.toml".into(), text: text.into() }), ..Inputs::default() }
}

fn faults(inputs: &Inputs) -> String {
    load(inputs).expect_err("a mistake").to_string()
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_example_file_tells_the_defaults() {
    let written = include_str!("../../packaging/config.example.toml");
    assert_eq!(written, example_file(), "run: keyrack config explain --toml > packaging/config.example.toml");
    let uncommented: String = written
        .lines()
        .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line).to_owned() + "\n")
        .collect();
    let loaded = load(&file(&uncommented)).expect("the example loads");
    assert_eq!(loaded.config, Config::default());
    assert!(SETTINGS.iter().all(|setting| matches!(loaded.source(setting), Source::File { .. })), "it names every setting");
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_dashboard() {
    let set = |flag: bool, variable: bool, in_file: bool, stored: bool| {
        let environment = variables(if variable { &[("KEYRACK_SERVER_LISTEN", "127.0.0.1:2")] } else { &[] });
        let loaded = load(&Inputs {
            flags: if flag { vec![Flag { name: "--listen", value: "127.0.0.1:1".into() }] } else { vec![] },
            environment: &environment,
            file: in_file.then(|| ConfigFile { name: "f".into(), text: "\n[server]\nlisten = '127.0.0.1:3'".into() }),
            stored: stored.then(|| ("server.listen".to_owned(), "127.0.0.1:4".to_owned())).into_iter().collect(),
            read_file: None,
        })
        .expect("it loads");
        let setting = Setting::find("server.listen").expect("a setting");
        (loaded.config.server.listen.port(), loaded.source(setting).to_string())
    };
    assert_eq!(set(true, true, true, true), (1, "--listen".into()));
    assert_eq!(set(false, true, true, true), (2, "KEYRACK_SERVER_LISTEN".into()));
    assert_eq!(set(false, false, true, true), (3, "f:3".into()));
    assert_eq!(set(false, false, false, true), (4, "dashboard".into()));
    assert_eq!(set(false, false, false, false), (8080, "default".into()));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_a_suggestion() {
    assert_eq!(
        faults(&file("[server]\nlisten = \"127.0.0.1:80\"\npubic_url = \"https://a.example\"\n")),
        "keyrack.toml:3: unknown key \"pubic_url\".\nDid you mean public_url?   All keys: keyrack config explain"
    );
    assert_eq!(
        faults(&file("[server]\nmax_concurrent = 3")),
        "keyrack.toml:2: unknown key \"max_concurrent\".\n\
         Did you mean max_concurrent under [limits]?   All keys: keyrack config explain"
    );
    assert!(faults(&file("[sever]\nlisten = 3")).contains("unknown section [sever].\nDid you mean [server]?"));
    assert!(faults(&file("listen = 3")).contains("before any section.\nDid you mean listen under [server]?"));
}

#[test]
fn a_bad_value_is_quoted_with_what_to_write_instead() {
    assert_eq!(
        faults(&file("[server]\ndrain_timeout = \"2 weeks\"")),
        "keyrack.toml:2: drain_timeout = \"2 weeks\": use a number and unit, for example \"30s\" or \"2m\"."
    );
    for (text, advice) in [
        ("[server]\nlisten = 8080", "use an address and a port"),
        ("[server]\nlisten = \"example.com:80\"", "use an address and a port"),
        ("[server]\npublic_url = \"keys.example.com\"", "use a URL without a path"),
        ("[server]\npublic_url = \"https://keys.example.com/a\"", "use a URL without a path"),
        ("[server]\npublic_url = \"ftp://keys.example.com\"", "use a URL without a path"),
        ("[server]\ninsecure_http = \"maybe\"", "use true or false"),
        ("[server]\ntrusted_proxies = \"10.0.0.0/8\"", "use a list of networks"),
        ("[server]\ntrusted_proxies = [\"10.0.0.0/99\"]", "use a list of networks"),
        ("[server]\nmax_body_bytes = 0", "use a whole number from 1024"),
        ("[server]\nmax_body_bytes = -1", "use a whole number from 1024"),
        ("[server]\nbody_timeout = 10", "use a number and unit"),
        ("[server]\nbody_timeout = \"0s\"", "use a time from 1s to 1h"),
        ("[api]\ndialect = \"klingon\"", "use \"native\""),
        ("[api]\nkey_prefix = \"no dash-\"", "a _ at the end"),
        ("[api]\nkey_prefix = \"kro_\"", "not kro_"),
        ("[limits]\nmax_concurrent = 0", "use a whole number from 1"),
        ("[log]\nrequest_log_sample = 1.5", "use a number from 0 to 1"),
        ("[log]\nlevel = \"loud\"", "\"error\" or \"warn\""),
    ] {
        let told = faults(&file(text));
        assert!(told.contains(advice) && told.starts_with("keyrack.toml:2: "), "{text}: {told}");
    }
    assert!(faults(&file("[server\n")).starts_with("keyrack.toml:1: "));
}

#[test]
fn all_mistakes_are_told_together() {
    let environment = variables(&[("KEYRACK_LOG_LEVEL", "loud"), ("KEYRACK_SERVER_PUBIC_URL", "x")]);
    let mut inputs = file("[server]\nlisten = 1\n[limits]\nmax_queued = \"many\"");
    inputs.environment = &environment;
    inputs.flags = vec![Flag { name: "--public-url", value: "x".into() }];
    let told = faults(&inputs);
    for part in [
        "keyrack.toml:2: listen = 1: ",
        "keyrack.toml:4: max_queued = \"many\": ",
        "KEYRACK_LOG_LEVEL=\"loud\": ",
        "KEYRACK_SERVER_PUBIC_URL: unknown key \"pubic_url\".\nDid you mean KEYRACK_SERVER_PUBLIC_URL?",
        "--public-url x: ",
    ] {
        assert!(told.contains(part), "{part}\nin:\n{told}");
    }
}

#[test]
fn variables_of_others_are_left_alone_and_empty_ones_set_nothing() {
    let environment = variables(&[
        ("KEYRACK_DATA", "/srv"),
        ("KEYRACK_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("KEYRACK_API_KEY", "kr_secret"),
        ("KEYRACK_API_SERVICE_HOST", "10.0.0.1"),
        ("KEYRACK_SERVER_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("SERVER_LISTEN", "x"),
        ("KEYRACK_SERVER_LISTEN", ""),
        ("KEYRACK_SERVER_TRUSTED_PROXIES", "10.1.2.3/8, ::ffff:192.0.2.0/120,2001:db8::7"),
        ("KEYRACK_SERVER_INSECURE_HTTP", "true"),
        ("KEYRACK_LIMITS_MAX_QUEUED", "1_000"),
    ]);
    let loaded = load(&Inputs { environment: &environment, ..Inputs::default() }).expect("it loads");
    assert_eq!(loaded.config.server.listen.port(), 8080);
    assert_eq!(loaded.config.server.trusted_proxies.show(), "[\"10.0.0.0/8\", \"192.0.2.0/24\", \"2001:db8::7/128\"]");
    assert!(loaded.config.server.insecure_http);
    assert_eq!(loaded.config.limits.max_queued, 1_000);
}

#[test]
fn a_secret_is_read_from_a_file_and_never_shown() {
    let read = |path: &str| if path == "/run/token" { Ok("0123456789abcdef".to_owned()) } else { Err("not found".to_owned()) };
    let environment = variables(&[("KEYRACK_METRICS_TOKEN_FILE", "/run/token")]);
    let loaded = load(&Inputs { environment: &environment, read_file: Some(&read), ..Inputs::default() }).expect("it loads");
    assert!(loaded.config.metrics.token.as_ref().is_some_and(|token| token.is("0123456789abcdef")));
    let setting = Setting::find("metrics.token").expect("a setting");
    assert_eq!(
        (setting.show(&loaded.config).as_str(), loaded.source(setting).to_string()),
        ("\"(not shown)\"", "KEYRACK_METRICS_TOKEN_FILE".into())
    );
    assert!(!format!("{:?}", loaded.config).contains("0123456789abcdef"));
    let inputs =
        Inputs { read_file: Some(&read), ..file("[backup]\npassphrase_file = '/run/token'\n[metrics]\ntoken_file = '/nowhere'") };
    assert_eq!(faults(&inputs), "keyrack.toml:4: token_file: not found.");
    let told = faults(&file("[metrics]\ntoken = \"hunter2\""));
    assert!(told.starts_with("keyrack.toml:2: token: use at least 16") && !told.contains("hunter2"), "{told}");
}

#[test]
fn a_schedule_is_a_span_or_a_time_of_day() {
    let at = |text: &str| crate::model::clock::Timestamp::parse(text).expect("a time");
    let due = |schedule: &str, last: Option<&str>, now: &str| {
        Schedule::parse(schedule).expect("a schedule").is_due(last.map(at), at(now))
    };
    assert!(due("24h", None, "2026-11-22T10:00:00Z"));
    assert!(due("24h", Some("2026-11-21T10:00:00Z"), "2026-11-22T10:00:00Z"));
    assert!(!due("24h", Some("2026-11-21T10:00:01Z"), "2026-11-22T10:00:00Z"));
    assert!(due("03:30", Some("2026-11-21T10:00:00Z"), "2026-11-22T03:30:00Z"));
    assert!(!due("03:30", Some("2026-11-21T10:00:00Z"), "2026-11-22T03:29:59Z"));
    assert!(!due("03:30", Some("2026-11-22T03:30:00Z"), "2026-11-23T03:29:00Z"));
    assert!(!due("off", None, "2026-11-22T10:00:00Z"));
    for text in ["", "24", "25:00", "3:30", "1s", "daily"] {
        assert!(Schedule::parse(text).is_none(), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_file_brings_the_program_down(text in r#"(\[(server|api|x)\]\n|[a-z_]{1,8} ?= ?("[^"]{0,4}"|[0-9a-z\[\],"]{0,6})\n|#é\n|\PC{0,6}\n?){0,8}"#) {
        if let Err(faults) = load(&file(&text)) {
            proptest::prop_assert!(!faults.0.is_empty() && !faults.to_string().is_empty());
        }
    }
}

#[test]
fn what_a_newer_version_stored_is_passed_over() {
    let stored = BTreeMap::from([("server.of_tomorrow".to_owned(), "yes".to_owned())]);
    assert!(load(&Inputs { stored, ..Inputs::default() }).is_ok());
}

#[test]
fn a_public_url_is_kept_as_its_origin() {
    let url = |text| PublicUrl::parse(text).expect("a url");
    assert_eq!(url("HTTPS://Keys.Example.com:443/").as_str(), "https://keys.example.com");
    assert_eq!(url("http://localhost:8080").to_string(), "http://localhost:8080");
    assert!(url("http://[::1]:8080").is_loopback() && !url("https://10.0.0.1").is_loopback());
    assert!(PublicUrl::parse("https://user:pw@keys.example.com").is_err());
}

#[test]
fn a_domain_is_all_that_a_public_server_has_to_be_told() {
    let flags = |extra: Vec<Flag>| {
        let domain = Flag { name: "--domain", value: "Keys.Example.com".into() };
        load(&Inputs { flags: std::iter::once(domain).chain(extra).collect(), ..Inputs::default() }).expect("it loads")
    };
    let loaded = flags(vec![]);
    let shown = |name: &str| Setting::find(name).expect("a setting").show(&loaded.config);
    assert_eq!(
        ["tls.mode", "tls.acme_domains", "server.listen", "server.http_listen", "server.public_url"].map(shown),
        ["\"acme\"", "[\"keys.example.com\"]", "\"[::]:443\"", "\"[::]:80\"", "\"https://keys.example.com\""]
    );
    assert_eq!(loaded.source(Setting::find("tls.mode").expect("a setting")), &Source::Flag("--domain"));
    assert_eq!(loaded.config.fault(), None);
    let other_port = flags(vec![Flag { name: "--listen", value: "0.0.0.0:8443".into() }]);
    assert_eq!(other_port.config.server.listen.port(), 8443);
}

#[test]
fn what_does_not_go_together_is_told() {
    let fault = |text: &str| load(&file(text)).expect("it loads").config.fault().unwrap_or_default();
    assert!(fault("[server]\nlisten = '0.0.0.0:80'").starts_with("Refusing plain HTTP on 0.0.0.0:80"));
    assert_eq!(fault("[server]\nlisten = '0.0.0.0:443'\n[tls]\nmode = 'self-signed'"), "");
    assert!(fault("[server]\nhttp_listen = '0.0.0.0:80'").contains("tls.mode is \"off\""));
    assert!(fault("[tls]\nmode = 'acme'").contains("no domain is named"));
    assert!(fault("[tls]\nmode = 'files'\ncert_file = 'a'").contains("no files are named"));
}

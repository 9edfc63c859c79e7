//! Options: any text is an error that says so, or a value within its range.

use std::time::Duration;

use awork_api::credentials::oauth::code;
use awork_api::credentials::{Secret, redacted};
use awork_api::error::{ErrorKind, excerpt};
use awork_api::settings::{Settings, file, flag, is_allowed, redirect_uri};
use proptest::prelude::*;
use url::Url;

use super::hold;

const OPTIONS: [&str; 11] = [
    "api_url",
    "page_size",
    "max_concurrency",
    "max_retries",
    "rate_limit",
    "rate_limit_max_wait",
    "cache_ttl",
    "ssl_ca_file",
    "connect_timeout",
    "request_timeout",
    "api_key",
];

/// Text that someone may set an option to, by mistake or not.
fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        "[ \\t]?[+-]?[0-9]{0,4}(\\.[0-9]{0,3})?[ ]?",
        prop::sample::select(&["NaN", "inf", "-0", "1e400", "0x10", "１２", "\u{0}", ""][..])
            .prop_map(str::to_owned),
        urls(),
    ]
}

fn urls() -> impl Strategy<Value = String> {
    let scheme = prop::sample::select(
        &["https", "http", "HTTP", "file", "javascript", "ftp", "data", "gopher"][..],
    );
    let slashes = prop::sample::select(&["://", ":", ":/", ":///", "://@", ":\\\\"][..]);
    let host = prop_oneof![
        Just("localhost".to_owned()),
        Just("127.0.0.1".to_owned()),
        Just("[::1]".to_owned()),
        Just("0x7f.1".to_owned()),
        Just("2130706433".to_owned()),
        Just("127.0.0.1.evil.example".to_owned()),
        Just("localhost.".to_owned()),
        Just("[::ffff:127.0.0.1]".to_owned()),
        Just("user:secret@localhost".to_owned()),
        "[a-z.@:%0-9]{0,12}",
        any::<String>(),
    ];
    (scheme, slashes, host, "(:[0-9]{1,6})?(/[a-z?#%./\\\\]{0,8})?")
        .prop_map(|(scheme, slashes, host, rest)| format!("{scheme}{slashes}{host}{rest}"))
}

#[test]
fn settings_are_errors_or_within_their_ranges() {
    let option = prop::sample::select(&OPTIONS[..]);
    hold("options: settings", 10_000, (option, values()), |(option, value)| {
        let mut settings = Settings::default();
        if let Err(error) = settings.set(option, &value) {
            prop_assert_eq!(error.kind, ErrorKind::Setting);
            prop_assert!(error.message.contains(option), "{}", error.message);
            prop_assert_eq!(settings, Settings::default());
            return Ok(());
        }
        let within = |duration: Duration, least: f64, most: f64| {
            (least..=most).contains(&duration.as_secs_f64())
        };
        prop_assert!((1..=1000).contains(&settings.page_size));
        prop_assert!((1..=32).contains(&settings.max_concurrency));
        prop_assert!(settings.max_retries <= 10);
        prop_assert!(settings.rate_limit.is_none_or(|rate| (0.1..=500.0).contains(&rate)));
        prop_assert!(within(settings.rate_limit_max_wait, 0.0, 3600.0));
        prop_assert!(within(settings.cache_ttl, 0.0, 86_400.0));
        prop_assert!(within(settings.connect_timeout, 0.001, 3600.0));
        prop_assert!(within(settings.request_timeout, 0.001, 3600.0));
        prop_assert!(settings.ssl_ca_file.is_none_or(|file| file.is_absolute()));
        let url = &settings.api_url;
        let host = url.host_str().unwrap_or_default();
        let is_local = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        prop_assert!(url.scheme() == "https" || (url.scheme() == "http" && is_local), "{}", url);
        prop_assert!(!host.is_empty() && url.username().is_empty() && url.password().is_none());
        prop_assert!(url.query().is_none() && url.fragment().is_none());
        Ok(())
    });
}

#[test]
fn a_value_that_is_accepted_is_accepted_again_as_it_is_shown() {
    hold("options: addresses", 5000, urls(), |value| {
        let mut settings = Settings::default();
        if settings.set("api_url", &value).is_err() {
            return Ok(());
        }
        let url = settings.api_url.clone();
        prop_assert!(settings.set("api_url", url.as_str()).is_ok(), "{}", url);
        prop_assert_eq!(&settings.api_url, &url);
        let base = settings.base(1).unwrap();
        // What is sent goes to the host that was checked.
        let asked = Url::parse(&format!("{base}/users?page=1")).unwrap();
        prop_assert_eq!(asked.host_str(), url.host_str());
        prop_assert_eq!(asked.port(), url.port());
        prop_assert!(asked.username().is_empty());
        let _ = settings.base(2);
        Ok(())
    });
}

#[test]
fn other_options_are_no_danger() {
    let inputs = (values(), any::<String>());
    hold("options: others", 5000, inputs, |(value, text)| {
        let _ = (redirect_uri(&value), flag("fan_out", &value), file("api_key_file", &value));
        let url = Url::parse("https://api.awork.com/api/v1").unwrap();
        let mine = value.split(',').any(|entry| {
            ["api.awork.com", "*.api.awork.com", "*.awork.com", "*.com", "*"]
                .contains(&entry.trim().to_ascii_lowercase().as_str())
        });
        prop_assert_eq!(is_allowed(&value, &url), mine, "{}", value);
        let state = Secret::new("state", "4f2a").unwrap();
        let _ = code(&value, &state);
        if let Ok(secret) = Secret::new("api_key", &value) {
            let shown = secret.redact(&format!("{text}{value}{text}"));
            // The mask may make up one that has an asterisk.
            prop_assert!(!shown.contains(&value) || value.contains('*'), "{}", shown);
            let debug = format!("{secret:?}");
            prop_assert!(!debug.contains(&value) || value.len() < 8, "{}", debug);
        }
        let _ = redacted(&text);
        prop_assert!(excerpt(&text).chars().count() <= 101);
        Ok(())
    });
}

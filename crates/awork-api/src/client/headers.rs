//! What the headers of an answer say of its list, and of the rate limits.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::pages::PageInfo;
use crate::shared::budget::Allowance;

/// What they say of the list (API documentation, "Pagination").
pub(super) fn page_info(headers: &HeaderMap) -> PageInfo {
    let number = |name| text(headers, name).and_then(|t| t.trim().parse().ok());
    PageInfo {
        total: number("aw-totalitems"),
        page: number("aw-page"),
        page_size: number("aw-pagesize"),
        fingerprint: None,
    }
}

/// What an answer says of the rate limits. The headers that name no window are only heeded where
/// no others are there.
pub(super) fn allowance(headers: &HeaderMap, status: StatusCode) -> Allowance {
    let number = |name: &str| text(headers, name).and_then(|t| t.trim().parse::<u64>().ok());
    let window = |of: &str| {
        let limit = number(&format!("x-ratelimit-limit-{of}")).filter(|&limit| limit > 0)?;
        Some((limit, number(&format!("x-ratelimit-remaining-{of}"))?))
    };
    let (second, minute) = (window("second"), window("minute"));
    let unnamed = second.is_none() && minute.is_none() && status != StatusCode::TOO_MANY_REQUESTS;
    let is_used_up = unnamed && number("ratelimit-remaining") == Some(0);
    let used_up = number("ratelimit-reset").filter(|&reset| is_used_up && reset <= 60);
    Allowance { second, minute, used_up }
}

/// How long a 429 says to wait, in whole seconds. A moment more, so that the request does not
/// come in the last instant of the window that is used up.
pub(super) fn reset(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |name| text(headers, name).and_then(|t| t.trim().parse::<u64>().ok());
    let seconds = seconds("retry-after").or_else(|| seconds("ratelimit-reset"))?;
    Some(Duration::from_secs(seconds) + Duration::from_millis(50))
}

/// The value of a header, if it is a text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

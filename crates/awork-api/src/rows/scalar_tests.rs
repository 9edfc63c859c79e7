use super::*;

fn cell(raw: &str, kind: Kind) -> Result<Option<u64>, &'static str> {
    decode(token(raw), kind, &mut Batch::new(1))
}

fn token(raw: &str) -> Token<'_> {
    Token { raw: raw.as_bytes(), escaped: raw.contains('\\') }
}

fn text(raw: &str, kind: Kind) -> Result<String, &'static str> {
    let mut batch = Batch::new(1);
    let word = decode(token(raw), kind, &mut batch)?.expect("no text");
    Ok(batch.text_at(word).to_owned())
}

fn word(value: i64) -> Result<Option<u64>, &'static str> {
    Ok(Some(value as u64))
}

const INT4: Kind = Kind::Int { bits: 32 };
const INT8: Kind = Kind::Int { bits: 64 };

#[test]
fn null_is_null_in_every_kind() {
    for kind in [Kind::Bool, INT4, Kind::Uuid, Kind::Instant, Kind::Text, Kind::Json] {
        assert_eq!(cell("null", kind), Ok(None));
    }
}

#[test]
fn whole_numbers_keep_all_digits_and_their_range() {
    assert_eq!(cell("637993625322118356", INT8), word(637_993_625_322_118_356));
    assert_eq!(cell("6.4e17", INT8), word(640_000_000_000_000_000));
    assert_eq!(cell("5.0", INT4), word(5));
    assert_eq!(cell("-2147483648", INT4), word(-2_147_483_648));
    assert!(cell("2147483648", INT4).is_err());
    assert!(cell("9223372036854775808", INT8).is_err());
    assert!(cell("1e400", INT8).is_err());
    assert!(cell("5.5", INT4).is_err());
    assert!(cell("\"5\"", INT4).is_err());
    assert!(cell("true", INT4).is_err());
    assert!(cell("40000", Kind::Int { bits: 16 }).is_err());
}

#[test]
fn numbers() {
    assert_eq!(cell("0.1", Kind::Float { bits: 64 }), Ok(Some(0.1_f64.to_bits())));
    assert!(cell("1e400", Kind::Float { bits: 64 }).is_err());
    assert!(cell("1e39", Kind::Float { bits: 32 }).is_err());
    assert!(cell("\"0.1\"", Kind::Float { bits: 64 }).is_err());
    assert!(cell("[1]", Kind::Float { bits: 64 }).is_err());
}

#[test]
fn text_is_unescaped_and_anything_else_is_shown_as_json() {
    assert_eq!(text(r#""""#, Kind::Text).unwrap(), "");
    assert_eq!(text(r#""a\n\u00e4\ud83d\ude00""#, Kind::Text).unwrap(), "a\nä😀");
    assert_eq!(text("12.50", Kind::Text).unwrap(), "12.50");
    assert_eq!(text("true", Kind::Text).unwrap(), "true");
    assert_eq!(text(r#"{"a": 1}"#, Kind::Text).unwrap(), r#"{"a": 1}"#);
    assert!(text(r#""a\u0000b""#, Kind::Text).unwrap_err().contains("NUL"));
    assert!(text(r#""\ud83d""#, Kind::Text).is_err());
}

#[test]
fn json_that_jsonb_cannot_hold_is_refused() {
    for good in [r#""a\\u0000""#, r#"{"a":"\ud83d\ude00"}"#, r#""\"\\""#, "1", r#""\n""#] {
        assert_eq!(text(good, Kind::Json).unwrap(), good);
    }
    for bad in
        [r#""a\u0000""#, r#"{"\u0000":1}"#, r#""\ud83d""#, r#""\ude00""#, r#""\ud83dx\ude00""#]
    {
        assert!(text(bad, Kind::Json).is_err(), "{bad}");
    }
}

#[test]
fn uuids_and_booleans() {
    let uuid = "\"123e4567-e89b-12d3-a456-426614174000\"";
    let mut batch = Batch::new(1);
    assert_eq!(decode(token(uuid), Kind::Uuid, &mut batch), word(0));
    assert_eq!(batch.arena(), 0x123e4567_e89b_12d3_a456_426614174000_u128.to_be_bytes());
    assert_eq!(cell("\"\\u0031\"", Kind::Instant), Err(FORM));
    assert!(cell("\"123\"", Kind::Uuid).is_err());
    assert!(cell("5", Kind::Uuid).is_err());
    assert_eq!(cell("false", Kind::Bool), word(0));
    assert!(cell("\"false\"", Kind::Bool).is_err());
    assert!(cell("0", Kind::Bool).is_err());
}

#[test]
fn presence_is_about_null_only() {
    assert_eq!(cell("null", Kind::Presence), word(0));
    assert_eq!(cell("\"\"", Kind::Presence), word(1));
}

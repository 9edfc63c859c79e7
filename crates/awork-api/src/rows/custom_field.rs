//! The value of one custom field in a row: `{"customFieldDefinitionId": …, "textValue": …}`, with
//! one property for the value, whose name depends on the type of the field.

use uuid::Uuid;

use super::decode::{NO_NAME, Stop};
use super::json::{Json, Token};

/// Where a value can be, the most telling first. Of a choice, the option's text is looked for first,
/// and its id comes last.
const VALUES: &[&[u8]] = &[
    b"textValue",
    b"numberValue",
    b"dateValue",
    b"booleanValue",
    b"userIdValue",
    b"clientIdValue",
];

/// The place for the value of a type that is not known yet.
const NEW: usize = VALUES.len();

/// An element of `customFields`.
#[derive(Default)]
pub(super) struct Entry<'b> {
    definition: Option<Token<'b>>,
    /// The text of the chosen option.
    option: Option<Token<'b>>,
    values: [Option<Token<'b>>; NEW + 1],
    option_id: Option<Token<'b>>,
}

const NULL: Token<'static> = Token { raw: b"null", escaped: false };

impl<'b> Entry<'b> {
    /// Reads an object, which must be next.
    pub(super) fn read(json: &mut Json<'b>) -> Result<Self, Stop> {
        let mut entry = Self::default();
        properties(json, |name, json| {
            match name {
                b"customFieldDefinitionId" => entry.definition = Some(json.value()?),
                b"selectionOption" => entry.option = option(json)?,
                b"selectionOptionIdValue" => entry.option_id = given(json.value()?),
                name if name.ends_with(b"Value") => {
                    let place = VALUES.iter().position(|value| *value == name).unwrap_or(NEW);
                    entry.values[place] = given(json.value()?);
                }
                _ => json.skip()?,
            }
            Ok(())
        })?;
        Ok(entry)
    }

    /// Which custom field it is of; none where that is no id.
    pub(super) fn definition(&self) -> Option<Uuid> {
        let token = self.definition?;
        match token.escaped {
            false => Uuid::try_parse_ascii(token.inner()?).ok(),
            true => Uuid::try_parse(&token.unescaped()?).ok(),
        }
    }

    /// The value, which may be null.
    pub(super) fn value(&self) -> Token<'b> {
        let values = self.values.iter().flatten().next().copied();
        self.option.or(values).or(self.option_id).unwrap_or(NULL)
    }
}

/// The text of an option, where there is one.
fn option<'b>(json: &mut Json<'b>) -> Result<Option<Token<'b>>, Stop> {
    if json.peek() != b'{' {
        json.skip()?;
        return Ok(None);
    }
    let mut value = None;
    properties(json, |name, json| {
        match name {
            b"value" => value = given(json.value()?),
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok(value)
}

/// A value, unless it is null.
fn given(token: Token<'_>) -> Option<Token<'_>> {
    (!token.is_null()).then_some(token)
}

/// Hands over the properties of an object, which must be next, by their names.
fn properties<'b>(
    json: &mut Json<'b>,
    mut read: impl FnMut(&[u8], &mut Json<'b>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut more = json.enter(b'{', b'}')?;
    while more {
        let name = json.name()?;
        match name.escaped {
            false => read(name.inner().unwrap_or_default(), json)?,
            true => read(name.unescaped().ok_or(NO_NAME)?.as_bytes(), json)?,
        }
        more = json.more(b'}')?;
    }
    Ok(())
}

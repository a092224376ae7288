//! Scores of the texts that links publish. The link, its codec and its transport make no difference: what is scored is
//! the event.
use super::event::Event;
use crate::{
    json::{NotJson, Reader},
    score::Scorer,
    wire::ClientFrame,
};
use std::borrow::Cow;

/// The kind of publishes whose body has a text.
const KIND: &str = "text";

/// Bodies that `score_publishes` would read, in bytes.
pub fn unscored_bytes(events: &[Event]) -> usize {
    let bodies = events.iter().filter_map(|event| match event {
        Event::Frame(ClientFrame::Publish { kind, body, retry_after_ms: 0, score: None, .. }) if kind == KIND => {
            Some(body.len())
        }
        _ => None,
    });
    bodies.sum()
}

/// Scores the publishes of kind `text` that the limit lets pass. One whose body has no string `text` keeps none: it will
/// be refused.
pub fn score_publishes(events: &mut [Event], scorer: &Scorer) {
    for event in events {
        if let Event::Frame(ClientFrame::Publish { kind, body, retry_after_ms: 0, score, .. }) = event {
            if kind == KIND {
                *score = text(body).map(|text| scorer.score(&text));
            }
        }
    }
}

/// The member `text` of a JSON object, when it is a string. Of duplicates the last counts, as with JSON.parse.
fn text(body: &[u8]) -> Option<Cow<'_, str>> {
    let mut found = None;
    let read = Reader::new(std::str::from_utf8(body).ok()?).members(|reader, name| {
        let value = reader.value()?;
        if name.text().is_some_and(|name| name == KIND) {
            found = Some(value);
        }
        Ok::<(), NotJson>(())
    });
    read.ok().and(found)?.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_body_is_its_last_string_of_that_name() {
        for (body, expected) in [
            (r#"{"text":"plain"}"#, Some("plain")),
            (r#"{ "a" : {"text":"inner"}, "text" : "a\"\\\n\u00e9\ud83d\udc1d" }"#, Some("a\"\\\né🐝")),
            (r#"{"text":"first","text":"last"}"#, Some("last")),
            (r#"{"text":"first","\u0074ext":"last"}"#, Some("last")),
            (r#"{"text":"first","text":7}"#, None),
            (r#"{"Text":"no"}"#, None),
            (r#"{"text":null}"#, None),
            (r#"{"text":["x"]}"#, None),
            ("{}", None),
        ] {
            let read = text(body.as_bytes());
            assert_eq!(read.as_deref(), expected, "{body}");
            let oracle: serde_json::Value = serde_json::from_str(body).expect("the body is JSON");
            assert_eq!(read.as_deref(), oracle["text"].as_str());
        }
    }
}

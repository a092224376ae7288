//! What a text is worth a moderator's look for. Pure: no clock, no policy; `chat.service` decides what a score means.
pub mod detect;
pub mod normalise;

//! An endpoint against quinn's own client, in memory and on a clock that the tests turn.
mod world;

mod ends;
mod harm;
mod resumption;
mod streams;

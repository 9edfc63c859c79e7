//! The invented workspace that the sandbox serves.

pub(crate) mod business;
pub(crate) mod children;
pub(crate) mod clock;
pub(crate) mod entries;
pub(crate) mod entry_json;
pub(crate) mod fabric;
pub(crate) mod guid;
pub(crate) mod library;
pub(crate) mod people;
pub(crate) mod planning;
pub(crate) mod seed;
pub(crate) mod sizes;
pub(crate) mod tasks;
pub(crate) mod words;
pub(crate) mod world;

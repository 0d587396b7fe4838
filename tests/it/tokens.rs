//! `capigate token` as a person runs it: the real program, with secrets on its standard input,
//! against the simulated Meta.

mod add;
mod app;
mod assign;
mod exchange;
mod extend;
mod inspect;
mod list;
mod page;
mod place;
mod revoke;
mod rotate;
mod system_user;
mod vault;
mod verify;
mod world;

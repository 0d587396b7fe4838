//! capigate: a gateway for Meta's Conversions API.
//!
//! # The path of an event
//!
//! 1. [`ingest::listener`] accepts a connection, within its limits. [`ingest::router`] looks at the
//!    path and at the key, if it stands in a header or the query.
//! 2. The body is read within [`ingest::admission`]'s bytes, [`ingest::encoding`] unpacks it, and
//!    [`ingest::request`] takes it apart, JSON or form: request options, the caller's key, and one raw
//!    slice of JSON for each event. Each operation of a batch goes this way by itself. Only the
//!    SHA-256 of the key is ever looked at, in constant time ([`ingest::auth`]).
//! 3. Each slice becomes an [`event::RawEvent`], whose personal fields cannot be serialised; its
//!    only way on is `hash`, which normalises, hashes and checks it, and gives an
//!    [`event::HashedEvent`]; that encodes to an [`event::EncodedEvent`]: the exact bytes for the
//!    wire. Faults are collected by index; the good events go on without the bad ones.
//! 4. What is held to the window of [`duplicates`] and was accepted before is left out here.
//!    [`journal::Journal::append`] writes the envelopes and syncs them, together with those of all
//!    requests that came meanwhile: one write and one `fdatasync` a group.
//! 5. **Only now** [`ingest::answer`] says 200. From here the event is ours.
//! 6. The lane of its pixel, request options and class ([`lanes`]) wakes, lingers for company, waits
//!    until pixel, token and app let it pass, for its place in flight and for its pace; then it
//!    leases a batch, and puts what has expired among the dead letters.
//! 7. [`graph::payload`] joins the stored bytes, and [`graph::client`] posts them with the token of
//!    [`tokens`].
//! 8. [`graph::verdict`] says what the answer means. Success settles the leases as delivered. A
//!    refused batch is searched for its bad events, which become dead letters; the others are
//!    delivered. Anything else returns the leases to the journal, and the pixel backs off, or the
//!    pixel, the token or the app is throttled or held.
//! 9. A segment of the journal whose records are all settled is recycled.
//!
//! # Where things fail, and what then
//!
//! | what | then |
//! |---|---|
//! | a bad event | its neighbours are accepted; it is named by index, path and rule |
//! | a bound is reached | 413, 429 or 503 with the bound's name, which is its configuration key |
//! | the disk is full | 503 until there is room; what was acknowledged still goes out |
//! | a write or sync fails | the journal takes nothing more, readiness goes false, the process ends with 70; the next start reads what is on disk |
//! | the process dies | the next start finds every acknowledged event; a batch in flight may go out twice, under the same `event_id`s |
//! | Graph is down or slow | the pixel backs off, with full jitter; events wait on disk |
//! | a limit of Graph is reached | nothing is sent for that pixel, token or app for a while, and more slowly then |
//! | the token is bad | each of its pixels goes on with its next token; without one it is held, which `/readyz` says, and one event is tried now and then |
//! | Graph refuses a batch | its bad events are found and become dead letters; its neighbours are delivered |
//! | an event grows too old | it becomes a dead letter on disk, to be looked at, redriven or purged |
//!
//! Every accepted event ends in exactly one of *delivered*, *dead*, or *in the journal*:
//! `accepted + recovered = delivered + dead + in journal`, counted in [`telemetry::metrics`].
//! Which one it was can be asked for by `event_id` ([`receipts`]).
//!
//! # The rooms
//!
//! One way only: `ingest → event → journal → lanes → graph`; beside them [`duplicates`],
//! [`receipts`], [`redrive`], which takes dead letters back to the journal, [`issues`], [`tail`] and
//! [`attempts`], which tell what goes wrong, what happens and what Graph said, [`tokens`], [`custody`],
//! which looks after them, [`alerts`], [`backup`], [`sandbox`], [`config`], [`telemetry`] and [`cli`]; [`app`]
//! puts them together. Every refusal and warning has its row in [`codes`].
//! `tests/layers.rs` holds every `use` to that.

pub mod alerts;
pub mod app;
pub mod attempts;
pub mod backup;
pub mod cli;
pub mod codes;
pub mod config;
pub mod custody;
pub mod duplicates;
pub mod event;
mod failpoint;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod graph;
pub mod ingest;
pub mod issues;
pub mod journal;
pub mod lanes;
pub mod lint;
mod loopback;
pub mod origin;
pub mod pixel;
pub mod private_file;
pub mod receipts;
pub mod redrive;
pub mod sandbox;
pub mod secret;
pub mod tail;
pub mod telemetry;
pub mod test_mode;
pub mod text;
pub mod time;
pub mod tokens;
pub mod traffic;

//! Whatever goes wrong at whichever request: the operator ends where it would have ended, and lets nobody in meanwhile whom
//! the declaration denies.
//!
//! Each scenario runs once without faults, which tells the requests and the state at each rest. Then it runs once for each
//! request and each trouble whose turn it is today. The operator is the product's own wiring on a runtime of its own, which is shut down where it
//! is to crash, and started anew. All the time the oracle asks auth for everybody who must not come in:
//!
//! - whom the objects deny that the process has been told of; a disappearance may wait for its companions;
//! - whom the declaration denied before the process started.
//!
//! One case is run again with `FAULTS='<scenario> <number of the request> <trouble>'`, as a failure names it; each part may
//! be left out from the end on. `FAULTS=all` runs every trouble at every request of every scenario. A random history is run
//! again with `HISTORY_SEED`, and `HISTORIES` says how many there are.

mod cases;
mod histories;
mod oracle;
mod process;
mod scenarios;
mod world;

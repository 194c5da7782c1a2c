//! How far a denial is proved, as it is answered.

use crate::{access::Proof, api::proof::ProofBody};

impl From<Proof> for ProofBody {
    fn from(proof: Proof) -> Self {
        Self {
            denied_at: proof.denied_at,
            contained_at: proof.contained_at,
            sessions_zero_at: proof.sessions_zero_at,
            waiting_for: proof.waiting_for,
            unprovable: proof.unprovable,
            left_out: proof.left_out,
            withdrawn_at: proof.withdrawn_at,
        }
    }
}

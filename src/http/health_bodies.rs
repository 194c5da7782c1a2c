//! Checks, as they are answered.

use crate::{
    access::{Check, CheckResult},
    api::health::{CheckBody, CheckResultBody},
};

impl From<Check> for CheckBody {
    fn from(check: Check) -> Self {
        Self {
            ok: check.is_ok(),
            result: match check.result {
                CheckResult::Ok => CheckResultBody::Ok,
                CheckResult::Warning => CheckResultBody::Warning,
                CheckResult::Failed => CheckResultBody::Failed,
            },
            name: check.name,
            details: check.details,
            advice: check.advice,
            note: check.note,
        }
    }
}

//! A folder of YAML as the source.
//!
//! Files are read on threads of their own, cut into documents, and compared by digest with what is in force. One object-store
//! thread owns which objects there are, sends the events, and writes behind to the record from which a restart begins.
//! What the operator itself changes is written gently. May use the model and the clock; must never decide about access,
//! hold an object in memory that the record holds, or treat something that cannot be read as something that is gone.

mod access_edit;
mod apply;
mod backoff;
mod check;
mod damage;
mod deposit;
mod document;
mod document_text;
mod document_writer;
mod edit;
mod event_sender;
mod files;
mod load;
mod mailbox;
mod mend;
mod message_loop;
mod object;
mod object_store;
mod odd_characters;
mod problem;
mod queue;
mod reading_state;
mod record;
mod record_ledger;
mod record_rows;
mod references;
mod rules;
mod scan;
mod scanner;
mod separation;
mod source;
mod source_status;
mod spanned_document;
mod split;
mod walk;
mod watch;
mod ways;
mod writers;
mod yaml_value;

pub use check::{CheckReport, UserAt, check};
pub use deposit::{Deposit, DepositError, Placed};
pub use object::SOURCE_FILE;
pub use problem::Problem;
pub use record::scrub as scrub_record;
pub use references::Reference;
pub use source::{FolderOptions, FolderSource};

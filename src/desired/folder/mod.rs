//! A folder of YAML as the source.
mod document;
mod edit;
mod marks;
mod object;
mod problem;
mod rules;
mod split;

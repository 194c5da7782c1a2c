//! A folder of YAML as a source of desired state.

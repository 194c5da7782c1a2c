//! Doubles and fixtures shared by the scenarios.

//! The rules that all methods follow, checked on all of them: the tables must name every method that has the field.

mod change;
mod create;
mod list;
mod sweep;

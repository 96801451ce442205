//! The API over real sockets: one port, three protocols, hostile input.

mod aip;
mod artifact;
mod catalogue;
mod checked;
mod dataset;
mod deployment;
mod drain;
mod edge;
mod experiment;
mod fixture;
mod job;
mod metric;
mod model;
mod one_port;
mod opening;
mod predict;
mod support;
mod upload;
mod wire;

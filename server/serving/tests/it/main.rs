//! The loader and the predictor over a real platform, with a model kind whose loading can be held up.

mod support;
mod toy;

mod loading;
mod series;

//! A report in the forms in which it is wanted. All of them are pure.

pub mod html;
pub mod json;
pub mod junit;
pub mod pages;
pub mod prometheus;
pub mod terminal;

//! `latent explore` as it is used: the real binary serves, plain sockets ask and abuse it, and headless Chromium drives the page
//! over the DevTools protocol. Where there is no Chromium, the tests of the page say so and end.

mod abuse;
mod bring;
mod browser;
mod page;
mod served;

//! The real window, end to end: the built application under a virtual display, driven through WebDriver.
//!
//! Needs Xvfb, dbus-daemon, WebKitWebDriver and tauri-driver (`make test` installs them) and the built executables.
#![cfg(target_os = "linux")]

mod dragging;
mod surroundings;
mod webdriver;
mod window;
mod x11;

mod assisting;
mod comparing;
mod computing;
mod importing;
mod keyboard;
mod labelling;
mod measuring;
mod opening;
mod starting;
mod training;
mod viewing;

//! The real window, end to end: the built application under a virtual display, driven through WebDriver.
//!
//! Needs Xvfb, dbus-daemon, WebKitWebDriver and tauri-driver (`make test` installs them) and the built executables.
#![cfg(target_os = "linux")]

mod surroundings;
mod webdriver;
mod window;

mod assisting;
mod starting;
mod viewing;

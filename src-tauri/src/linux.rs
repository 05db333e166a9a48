//! What WebKitGTK needs from its surroundings on Linux.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Without a GPU that WebKit can share buffers with (virtual machines, remote desktops, some drivers) the DMA-BUF
/// renderer paints nothing; through shared memory it paints everywhere.
const SHARED_MEMORY: &str = "WEBKIT_DMABUF_RENDERER_FORCE_SHM";

/// Makes WebKit paint through shared memory unless the user has chosen otherwise.
///
/// The environment of a running process cannot be changed safely once libraries read it, so the process replaces itself:
/// same identifier, same arguments, one more variable. If that fails, the window opens without it.
pub fn settle_environment() {
    if std::env::var_os(SHARED_MEMORY).is_some() {
        return;
    }
    let Ok(executable) = std::env::current_exe() else {
        return;
    };
    let error = Command::new(executable)
        .args(std::env::args_os().skip(1))
        .env(SHARED_MEMORY, "1")
        .exec();
    eprintln!("lucency: the window's environment could not be set: {error}");
}

/// True if the desktop says where to draw.
pub fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

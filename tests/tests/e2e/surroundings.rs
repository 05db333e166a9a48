//! What a window needs around it, private to one test: a display, a session bus, a WebDriver.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child process that dies with the test, however the test ends.
pub struct Guarded(Child);

impl Guarded {
    /// Starts `program`; the kernel kills it when the test's thread is gone.
    fn spawn(program: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--", program]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        prepare(&mut command);
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{program} does not start: {e}"));
        Self(child)
    }

    /// The first line that it prints.
    fn first_line(&mut self) -> String {
        let output = self.0.stdout.as_mut().expect("standard output is piped");
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the child writes text");
        line.trim().to_owned()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SIGTERM first: the driver takes its own children with it.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An X server in memory.
pub struct Display {
    pub name: String,
    _server: Guarded,
}

impl Display {
    /// Starts a server on a free display.
    pub fn start(width: u32, height: u32) -> Self {
        let mut server = Guarded::spawn("Xvfb", |command| {
            command.args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0"]);
            command.arg(format!("{width}x{height}x24"));
            command.stdout(Stdio::piped());
        });
        let number = server.first_line();
        assert!(!number.is_empty(), "Xvfb found no free display");
        Self {
            name: format!(":{number}"),
            _server: server,
        }
    }
}

/// A D-Bus session bus, through which a second start finds the first.
pub struct Bus {
    pub address: String,
    _daemon: Guarded,
}

impl Bus {
    /// Starts a bus whose socket lies in `folder`.
    pub fn start(folder: &Path) -> Self {
        let mut daemon = Guarded::spawn("dbus-daemon", |command| {
            command.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
            command.arg(format!("--address=unix:path={}/bus", folder.display()));
            command.stdout(Stdio::piped());
        });
        Self {
            address: daemon.first_line(),
            _daemon: daemon,
        }
    }
}

/// `tauri-driver` with WebKit's own driver behind it.
pub struct Driver {
    pub port: u16,
    _process: Guarded,
}

impl Driver {
    /// Starts a driver; the window that it opens later inherits `environment`.
    pub fn start(environment: &[(String, String)]) -> Self {
        let (port, native) = (free_port(), free_port());
        let process = Guarded::spawn("tauri-driver", |command| {
            command.args(["--port", &port.to_string()]);
            command.args(["--native-port", &native.to_string()]);
            command.stdout(Stdio::null());
            command.envs(environment.iter().map(|(k, v)| (k, v)));
        });
        let deadline = Instant::now() + Duration::from_secs(20);
        for port in [port, native] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(Instant::now() < deadline, "the WebDriver does not listen");
                std::thread::sleep(Duration::from_millis(30));
            }
        }
        Self {
            port,
            _process: process,
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("this machine has free ports")
        .port()
}

//! A small X11 client: requests one at a time, and the events that come in between.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use x11rb_protocol::connect::Connect;
use x11rb_protocol::protocol::xproto::{Screen, Setup};
use x11rb_protocol::x11_utils::{ReplyRequest, Request, TryParse, VoidRequest};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Longer than the server takes to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of the fixed part of every reply, event and error.
const PACKET: usize = 32;

/// A connection to an X server.
pub struct Client {
    stream: UnixStream,
    setup: Setup,
    next_id: u32,
    events: VecDeque<Vec<u8>>,
}

impl Client {
    /// Connects to a server without access control, such as `:99`.
    ///
    /// Errors if the server does not take the connection.
    pub fn connect(display: &str) -> Result<Self> {
        let number = display.trim_start_matches(':');
        let mut stream = UnixStream::connect(format!("/tmp/.X11-unix/X{number}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (mut greeting, request) = Connect::with_authorization(Vec::new(), Vec::new());
        stream.write_all(&request)?;
        let mut done = false;
        while !done {
            let buffer = greeting.buffer();
            let length = buffer.len();
            stream.read_exact(buffer)?;
            done = greeting.advance(length);
        }
        let setup = greeting.into_setup()?;
        Ok(Self {
            stream,
            next_id: setup.resource_id_base,
            setup,
            events: VecDeque::new(),
        })
    }

    /// The one screen of a server in memory.
    pub fn screen(&self) -> &Screen {
        &self.setup.roots[0]
    }

    /// An identifier for something new.
    pub fn new_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// Sends a request that has no reply.
    pub fn send(&mut self, request: impl VoidRequest) -> Result<()> {
        self.write(request)
    }

    fn write(&mut self, request: impl Request) -> Result<()> {
        // Only requests of extensions need the opcode that is given here.
        let (bytes, _) = request.serialize(0);
        self.stream.write_all(&bytes)?;
        Ok(())
    }

    /// Sends a request and waits for its reply.
    ///
    /// Errors if the server refuses it.
    pub fn ask<Q: ReplyRequest>(&mut self, request: Q) -> Result<Q::Reply> {
        self.write(request)?;
        loop {
            let packet = self.packet()?.ok_or("the X server does not answer")?;
            match packet[0] {
                0 => return Err(format!("the X server refuses: error {}", packet[1]).into()),
                1 => return Ok(Q::Reply::try_parse(&packet)?.0),
                _ => self.events.push_back(packet),
            }
        }
    }

    /// The next event within `time`, if any; its kind is its first byte without the highest bit.
    ///
    /// Errors if the server refused an earlier request.
    pub fn event(&mut self, time: Duration) -> Result<Option<Vec<u8>>> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        self.stream.set_read_timeout(Some(time))?;
        let packet = self.packet();
        self.stream.set_read_timeout(Some(PATIENCE))?;
        match packet? {
            Some(packet) if packet[0] == 0 => {
                Err(format!("the X server refuses: error {}", packet[1]).into())
            }
            packet => Ok(packet),
        }
    }

    /// One packet; none if time is up.
    fn packet(&mut self) -> Result<Option<Vec<u8>>> {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        let mut packet = vec![0; PACKET];
        match self.stream.read_exact(&mut packet) {
            Err(e) if matches!(e.kind(), TimedOut | WouldBlock) => return Ok(None),
            read => read?,
        }
        // Replies and generic events may be longer.
        if matches!(packet[0] & 0x7f, 1 | 35) {
            let words = u32::from_ne_bytes([packet[4], packet[5], packet[6], packet[7]]);
            packet.resize(PACKET + words as usize * 4, 0);
            self.stream.set_read_timeout(Some(PATIENCE))?;
            self.stream.read_exact(&mut packet[PACKET..])?;
        }
        Ok(Some(packet))
    }
}

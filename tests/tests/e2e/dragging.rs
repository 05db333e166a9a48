//! The other application of a drag and drop: offers files and drops them on the window, as a file manager does.
//!
//! Source: the XDND protocol, version 5 (freedesktop.org).

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use x11rb_protocol::protocol::xproto::{
    Atom, AtomEnum, CLIENT_MESSAGE_EVENT, ChangePropertyRequest, ClientMessageEvent,
    CreateWindowAux, CreateWindowRequest, EventMask, GetGeometryRequest, GetPropertyRequest,
    GetWindowAttributesRequest, InternAtomRequest, MapState, PropMode, QueryTreeRequest,
    SELECTION_NOTIFY_EVENT, SELECTION_REQUEST_EVENT, SelectionNotifyEvent, SelectionRequestEvent,
    SendEventRequest, SetSelectionOwnerRequest, Window, WindowClass,
};
use x11rb_protocol::x11_utils::TryParse;

use crate::x11::{Client, Result};

const VERSION: u32 = 5;
/// Longer than the window takes to look at what is offered.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the pointer seems to move.
const MOVES: Duration = Duration::from_millis(100);

/// The protocol's words.
struct Atoms {
    aware: Atom,
    enter: Atom,
    position: Atom,
    status: Atom,
    drop: Atom,
    finished: Atom,
    selection: Atom,
    copy: Atom,
    uri_list: Atom,
}

/// One drag, from entering to dropping.
struct Drag {
    client: Client,
    atoms: Atoms,
    source: Window,
    target: Window,
    list: String,
    accepted: bool,
    asked: Option<Instant>,
    finished: bool,
}

/// Drops `files` on the middle of the application's window on `display`, and returns once the window has taken them.
///
/// Errors if there is no window that takes drops, or if it refuses these.
pub fn drop_files(display: &str, files: &[&Path]) -> Result<()> {
    let mut client = Client::connect(display)?;
    let atoms = Atoms::of(&mut client)?;
    let (target, middle) = aware_window(&mut client, &atoms)?;
    let source = own_window(&mut client)?;
    client.send(SetSelectionOwnerRequest {
        owner: source,
        selection: atoms.selection,
        time: 0,
    })?;
    let list = files
        .iter()
        .map(|file| format!("file://{}\r\n", file.display()).replace(' ', "%20"))
        .collect();
    let mut drag = Drag {
        client,
        atoms,
        source,
        target,
        list,
        accepted: false,
        asked: None,
        finished: false,
    };
    drag.run(middle)
}

impl Atoms {
    fn of(client: &mut Client) -> Result<Self> {
        let mut atom = |name: &'static str| -> Result<Atom> {
            let request = InternAtomRequest {
                only_if_exists: false,
                name: Cow::Borrowed(name.as_bytes()),
            };
            Ok(client.ask(request)?.atom)
        };
        Ok(Self {
            aware: atom("XdndAware")?,
            enter: atom("XdndEnter")?,
            position: atom("XdndPosition")?,
            status: atom("XdndStatus")?,
            drop: atom("XdndDrop")?,
            finished: atom("XdndFinished")?,
            selection: atom("XdndSelection")?,
            copy: atom("XdndActionCopy")?,
            uri_list: atom("text/uri-list")?,
        })
    }
}

impl Drag {
    fn run(&mut self, middle: (i16, i16)) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let kinds = [self.source, VERSION << 24, self.atoms.uri_list, 0, 0];
        self.tell(self.atoms.enter, kinds)?;
        let mut moves = 0;
        // Until the window takes it and has had time to read what is offered.
        while !(self.accepted && self.asked.is_some_and(|a| a.elapsed() > 5 * MOVES)) {
            if Instant::now() > deadline {
                return Err(
                    format!("the window does not take the drop after {moves} moves").into(),
                );
            }
            let (x, y) = (middle.0 as u32 + moves % 7, middle.1 as u32);
            let copy = self.atoms.copy;
            self.tell(self.atoms.position, [self.source, 0, x << 16 | y, 0, copy])?;
            moves += 1;
            self.serve(MOVES)?;
        }
        self.tell(self.atoms.drop, [self.source, 0, 0, 0, 0])?;
        while !self.finished && Instant::now() < deadline {
            self.serve(MOVES)?;
        }
        match self.finished {
            true => Ok(()),
            false => Err("the window never finished the drop".into()),
        }
    }

    fn tell(&mut self, message: Atom, data: [u32; 5]) -> Result<()> {
        let event = ClientMessageEvent::new(32, self.target, message, data);
        self.send_event(self.target, event.into())
    }

    fn send_event(&mut self, destination: Window, event: [u8; 32]) -> Result<()> {
        self.client.send(SendEventRequest {
            propagate: false,
            destination,
            event_mask: EventMask::NO_EVENT,
            event: Cow::Owned(event),
        })
    }

    /// Answers what the window asks for `time`.
    fn serve(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while let Some(left) = until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            let Some(event) = self.client.event(left)? else {
                continue;
            };
            match event[0] & 0x7f {
                SELECTION_REQUEST_EVENT => {
                    self.hand_over(&SelectionRequestEvent::try_parse(&event)?.0)?;
                }
                CLIENT_MESSAGE_EVENT => {
                    let message = ClientMessageEvent::try_parse(&event)?.0;
                    if message.type_ == self.atoms.status {
                        self.accepted = message.data.as_data32()[1] & 1 == 1;
                    }
                    self.finished |= message.type_ == self.atoms.finished;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives the list of files to whoever asks for it.
    fn hand_over(&mut self, request: &SelectionRequestEvent) -> Result<()> {
        let wanted = request.target == self.atoms.uri_list;
        if wanted {
            let list = self.list.clone().into_bytes();
            self.client.send(ChangePropertyRequest {
                mode: PropMode::REPLACE,
                window: request.requestor,
                property: request.property,
                type_: self.atoms.uri_list,
                format: 8,
                data_len: list.len() as u32,
                data: Cow::Owned(list),
            })?;
            self.asked.get_or_insert_with(Instant::now);
        }
        let notice = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property: if wanted {
                request.property
            } else {
                AtomEnum::NONE.into()
            },
        };
        self.send_event(request.requestor, notice.into())
    }
}

/// The largest visible window that takes drops, and its middle on the screen.
fn aware_window(client: &mut Client, atoms: &Atoms) -> Result<(Window, (i16, i16))> {
    let root = client.screen().root;
    let mut best: Option<(u32, Window, (i16, i16))> = None;
    for window in client.ask(QueryTreeRequest { window: root })?.children {
        let aware = client.ask(GetPropertyRequest {
            delete: false,
            window,
            property: atoms.aware,
            type_: AtomEnum::ANY.into(),
            long_offset: 0,
            long_length: 1,
        })?;
        let attributes = client.ask(GetWindowAttributesRequest { window })?;
        if aware.value_len == 0 || attributes.map_state != MapState::VIEWABLE {
            continue;
        }
        let place = client.ask(GetGeometryRequest { drawable: window })?;
        let area = u32::from(place.width) * u32::from(place.height);
        let middle = (
            place.x + (place.width / 2) as i16,
            place.y + (place.height / 2) as i16,
        );
        if best.is_none_or(|(largest, ..)| area > largest) {
            best = Some((area, window, middle));
        }
    }
    let (_, window, middle) = best.ok_or("no window takes drops")?;
    Ok((window, middle))
}

/// A window that is never seen: the protocol wants one.
fn own_window(client: &mut Client) -> Result<Window> {
    let wid = client.new_id();
    let parent = client.screen().root;
    client.send(CreateWindowRequest {
        depth: 0,
        wid,
        parent,
        x: -10,
        y: -10,
        width: 1,
        height: 1,
        border_width: 0,
        class: WindowClass::INPUT_OUTPUT,
        visual: 0,
        value_list: Cow::Owned(CreateWindowAux::new()),
    })?;
    Ok(wid)
}

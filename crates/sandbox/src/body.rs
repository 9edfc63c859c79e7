//! Bodies that can pause, break off or go on for ever.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::log::Open;

/// The largest piece that is handed over at once, so that the log sees how far a client read.
const PIECE: usize = 128 * 1024;

/// A part of a body.
#[derive(Debug)]
pub(crate) enum Step {
    Data(Bytes),
    Pause(Duration),
    /// The connection is closed here.
    Cut,
    /// These bytes, this many times.
    Repeat(Bytes, u64),
}

/// A body in steps; it notes in the log what became of it.
#[derive(Debug)]
pub(crate) struct Flow {
    steps: VecDeque<Step>,
    pause: Option<Pin<Box<Sleep>>>,
    /// The announced length, where one is.
    left: Option<u64>,
    open: Option<Open>,
}

impl Flow {
    /// A body that no log waits for.
    pub(crate) fn plain(data: Bytes) -> Flow {
        let left = Some(data.len() as u64);
        Flow { steps: VecDeque::from([Step::Data(data)]), pause: None, left, open: None }
    }

    /// A body of these steps, `length` long as far as the client is told.
    pub(crate) fn logged(steps: Vec<Step>, length: Option<u64>, mut open: Open) -> Flow {
        if steps.is_empty() {
            open.complete();
        }
        Flow { steps: steps.into(), pause: None, left: length, open: Some(open) }
    }

    fn hand_over(&mut self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(open) = &mut self.open {
            open.sent(data.len());
            if self.steps.is_empty() {
                open.complete();
            }
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(data.len() as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl Body for Flow {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let flow = self.get_mut();
        loop {
            if let Some(pause) = &mut flow.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                flow.pause = None;
            }
            match flow.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Data(data)) if data.is_empty() => {
                    if flow.steps.is_empty()
                        && let Some(open) = &mut flow.open
                    {
                        open.complete();
                    }
                }
                Some(Step::Data(mut data)) => {
                    if data.len() > PIECE {
                        flow.steps.push_front(Step::Data(data.split_off(PIECE)));
                    }
                    return flow.hand_over(data);
                }
                Some(Step::Pause(time)) => flow.pause = Some(Box::pin(tokio::time::sleep(time))),
                Some(Step::Cut) => {
                    return Poll::Ready(Some(Err(io::Error::other("cut on request"))));
                }
                Some(Step::Repeat(data, times)) => {
                    if times > 1 {
                        flow.steps.push_front(Step::Repeat(data.clone(), times - 1));
                    }
                    return flow.hand_over(data);
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

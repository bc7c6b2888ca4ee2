//! A new connection for each message: send it, end, show the whole answer (`--per-message`).

use std::time::Duration;

use crate::error::Error;
use crate::input::Input;
use crate::line::Line;
use crate::messages::Messages;
use crate::pipe::pipe;
use crate::view::View;

/// Calls `connect` for each message; the next connection is made when the last has ended.
///
/// # Errors
/// The first failure of `connect`, of the input, or of [`pipe`].
pub async fn per_message(
    connect: impl AsyncFn() -> Result<Line, Error>,
    mut messages: Messages,
    view: &View,
    timeout: Option<Duration>,
) -> Result<(), Error> {
    while let Some(message) = messages.next().await {
        let message = message?;
        let line = connect().await?;
        view.next_connection();
        pipe(&line, Some(Input::once(message)), view, timeout).await?;
    }
    Ok(())
}

//! Settings become a conversation: the prompt, a pipe, datagrams or a connection a line.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Seek, Write};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use sockeye_host::client::ReachError;
use sockeye_net::{Endpoint, shown};
use sockeye_talk::prompt::{Console, History, Style, prompt};
use sockeye_talk::record::{self, Recorder};
use sockeye_talk::{
    Error, Input, Line, Messages, Output, Show, Step, Transcript, View, datagram, dial,
    per_message, pipe, replay,
};

use super::settings::{ConnectSettings, Source};

/// Holds the conversation.
pub(super) async fn converse(settings: &ConnectSettings) -> Result<(), anyhow::Error> {
    // Files first: nobody is called before it is known that there is something to say.
    let recording = match &settings.source {
        Source::Recording(path) => Some(open_recording(path)?),
        Source::Input | Source::Nowhere => None,
    };
    let record = settings.record.as_deref().map(open_record).transpose()?;
    let tell = |step: &Step| {
        if settings.verbose || step.is_important() {
            // A closed standard error has nobody to be told.
            let _ = writeln!(io::stderr(), "sockeye: {step}");
        }
    };
    if settings.per_message {
        return Ok(each_line(settings, &tell).await?);
    }
    let line = connect(settings, &tell).await?;
    let mut transcript = Transcript::new(show(settings));
    if let Some(file) = record {
        transcript = transcript.recorded(begin_record(file, settings)?);
    }
    if is_interactive(settings) {
        let history = History::default_path().map(History::open);
        let style = Style { crlf: settings.crlf, lines: settings.lines() };
        let console = Console::terminal(history)?;
        return Ok(prompt(&line, console, transcript, style, &tell).await?);
    }
    let input = match (&settings.source, recording) {
        (Source::Nowhere, _) => None,
        (_, Some(recording)) => Some(replay::input(recording)),
        (_, None) => Some(standard_input(settings)?),
    };
    let view = view(settings, transcript)?;
    let result = if line.is_stream() {
        pipe::pipe(&line, input, &view, settings.timeout).await
    } else {
        let messages = input.map(|input| Messages::datagrams(input, settings.split));
        datagram::datagrams(&line, messages, &view, settings.timeout, &tell).await
    };
    Ok(view.finish(result).await?)
}

async fn each_line(settings: &ConnectSettings, tell: dial::Tell<'_>) -> Result<(), Error> {
    let view = view(settings, Transcript::new(show(settings)))?;
    let messages = Messages::lines(standard_input(settings)?);
    let connect = async || connect(settings, tell).await;
    let result = per_message::per_message(connect, messages, &view, settings.timeout).await;
    view.finish(result).await
}

async fn connect(settings: &ConnectSettings, tell: dial::Tell<'_>) -> Result<Line, Error> {
    let ConnectSettings { endpoint, dial: how, retries, .. } = settings;
    if matches!(endpoint, Endpoint::Tls(_)) {
        let attempt =
            async || settings.trust.reach(endpoint, how, async |reach| reach.stream().await).await;
        let may_pass = |error: &ReachError| match error {
            ReachError::Dial(error) => dial::may_pass(error),
            _ => false,
        };
        return match dial::again(*retries, tell, attempt, may_pass).await {
            Ok(stream) => Ok(Line::secured(Box::new(stream), endpoint)),
            Err(ReachError::Dial(error)) => Err(error.into()),
            Err(other) => Err(Error::Security(other.to_string())),
        };
    }
    if endpoint.transport().is_stream() {
        Line::stream(dial::stream(endpoint, how, *retries, tell).await?, endpoint)
    } else {
        Line::datagram(dial::datagram(endpoint, how, *retries, tell).await?, endpoint)
    }
}

/// A prompt needs a person at both ends, and lines to ask for.
fn is_interactive(settings: &ConnectSettings) -> bool {
    let asks = settings.source == Source::Input
        && !settings.discard
        && settings.split != sockeye_talk::Split::Whole;
    asks && io::stdin().is_terminal() && io::stdout().is_terminal()
}

fn show(settings: &ConnectSettings) -> Show {
    match (settings.hex, settings.raw) {
        (true, _) => Show::Hex,
        (false, false) if io::stdout().is_terminal() => Show::Escaped,
        (false, _) => Show::AsIs,
    }
}

fn view(settings: &ConnectSettings, transcript: Transcript) -> Result<View, Error> {
    let output = if settings.discard {
        Output::discard()
    } else {
        // Not io::stdout(): its buffer would hold back what has no newline.
        Output::new(File::from(io::stdout().as_fd().try_clone_to_owned().map_err(Error::Output)?))
    };
    let view = View::new(transcript, output);
    Ok(if settings.lines() { view.with_lines() } else { view })
}

fn standard_input(settings: &ConnectSettings) -> Result<Input, Error> {
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(Error::Input)?;
    let input = Input::new(File::from(stdin));
    Ok(if settings.crlf { input.with_crlf() } else { input })
}

/// Opens a recording and, where it can be read twice, looks for broken lines before anything of it
/// is sent.
fn open_recording(path: &Path) -> Result<BufReader<File>, anyhow::Error> {
    let opened = File::open(path).with_context(|| format!("cannot replay {}", shown_path(path)));
    let mut file = opened.map_err(one_line)?;
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        record::check(BufReader::new(&file))?;
        file.rewind().map_err(Error::Input)?;
    }
    Ok(BufReader::new(file))
}

/// Opens the file for a recording. It is emptied only once there is a conversation to record.
fn open_record(path: &Path) -> Result<File, anyhow::Error> {
    let opened = File::options().write(true).create(true).truncate(false).open(path);
    opened.with_context(|| format!("cannot record to {}", shown_path(path))).map_err(one_line)
}

fn begin_record(file: File, settings: &ConnectSettings) -> Result<Recorder, Error> {
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        file.set_len(0).map_err(Error::Record)?;
    }
    Recorder::new(file, &settings.endpoint.to_string())
}

fn shown_path(path: &Path) -> String {
    shown::bytes(path.as_os_str().as_encoded_bytes())
}

/// The whole chain in one message, because only the outermost is printed.
fn one_line(error: anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}. Check the name and the rights to it.")
}

//! The Run frame (clause P-F5): written, read, and what makes one invalid on either side.

use sockeye_limits as limits;

use crate::field::{Reader, Short, put_bytes, put_count};
use crate::frame::window_bytes;
use crate::message::{Program, Run, Terminal, WindowSize};

const STDIN: u8 = 1;
const DETACH: u8 = 1 << 1;
const DIRECTORY: u8 = 1 << 2;
const TERMINAL: u8 = 1 << 3;
const TIMEOUT: u8 = 1 << 4;
const MAX_OUTPUT: u8 = 1 << 5;
const ALL_FLAGS: u8 = (1 << 6) - 1;

const ARGUMENTS: u8 = 1;
const LINE: u8 = 2;
const LOGIN: u8 = 3;

/// Why a [`Run`] cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRun {
    /// No argument, not even the program.
    #[error("no program is named. Name one.")]
    NoProgram,
    /// More arguments than [`limits::RUN_ARGUMENTS`].
    #[error("there are more than {} arguments. Give fewer.", limits::RUN_ARGUMENTS)]
    Arguments,
    /// More variables than [`limits::RUN_ENVIRONMENT`].
    #[error("there are more than {} variables. Set fewer.", limits::RUN_ENVIRONMENT)]
    Environment,
    /// A NUL byte, which no argument, variable or name of a file can hold.
    #[error("there is a NUL byte in it. Leave it out.")]
    Nul,
    /// A variable's name is empty or has a `=` in it.
    #[error("a variable's name is empty or holds an equals sign. Name it otherwise.")]
    VariableName,
    /// The directory is the empty word.
    #[error("the directory has no name. Name one, or none at all.")]
    Directory,
    /// The terminal's name is longer than [`limits::TERMINAL_NAME`].
    #[error("the terminal's name is longer than {} bytes. Set TERM.", limits::TERMINAL_NAME)]
    TerminalName,
    /// A detached command has neither standard input nor a terminal.
    #[error("a detached command has no input and no terminal. Ask for one or the other.")]
    Detached,
    /// More bytes in all than [`limits::RUN_BYTES`].
    #[error("it takes more than {} bytes in all. Send the rest as input.", limits::RUN_BYTES)]
    Length,
}

impl InvalidRun {
    /// The same of a Run that came from a peer: what its payload has.
    fn found(self) -> &'static str {
        match self {
            InvalidRun::NoProgram => "no program",
            InvalidRun::Arguments => "too many arguments",
            InvalidRun::Environment => "too many variables",
            InvalidRun::Nul => "a NUL byte",
            InvalidRun::VariableName => "a variable whose name is empty or holds an equals sign",
            InvalidRun::Directory => "an empty directory name",
            InvalidRun::TerminalName => "a terminal name that is too long",
            InvalidRun::Detached => "input or a terminal for a detached command",
            InvalidRun::Length => "too many bytes",
        }
    }
}

fn no_nul(bytes: &[u8]) -> Result<(), InvalidRun> {
    if bytes.contains(&0) { Err(InvalidRun::Nul) } else { Ok(()) }
}

/// What must hold of a Run, whoever made it.
fn check(run: &Run) -> Result<(), InvalidRun> {
    match &run.program {
        Program::Arguments(arguments) if arguments.is_empty() => return Err(InvalidRun::NoProgram),
        Program::Arguments(arguments) if arguments.len() > limits::RUN_ARGUMENTS => {
            return Err(InvalidRun::Arguments);
        }
        Program::Arguments(arguments) => arguments.iter().try_for_each(|word| no_nul(word))?,
        Program::Line(line) => no_nul(line)?,
        Program::Login => {}
    }
    if let Some(directory) = &run.directory {
        no_nul(directory)?;
        if directory.is_empty() {
            return Err(InvalidRun::Directory);
        }
    }
    check_environment(&run.environment)?;
    if let Some(terminal) = &run.terminal {
        no_nul(&terminal.name)?;
        if terminal.name.len() > limits::TERMINAL_NAME {
            return Err(InvalidRun::TerminalName);
        }
    }
    if run.detach && (run.stdin || run.terminal.is_some()) {
        return Err(InvalidRun::Detached);
    }
    Ok(())
}

fn check_environment(environment: &[(Vec<u8>, Vec<u8>)]) -> Result<(), InvalidRun> {
    if environment.len() > limits::RUN_ENVIRONMENT {
        return Err(InvalidRun::Environment);
    }
    for (name, value) in environment {
        no_nul(name)?;
        no_nul(value)?;
        if name.is_empty() || name.contains(&b'=') {
            return Err(InvalidRun::VariableName);
        }
    }
    Ok(())
}

fn flags(run: &Run) -> u8 {
    let all = [
        (run.stdin, STDIN),
        (run.detach, DETACH),
        (run.directory.is_some(), DIRECTORY),
        (run.terminal.is_some(), TERMINAL),
        (run.timeout_ms.is_some(), TIMEOUT),
        (run.max_output.is_some(), MAX_OUTPUT),
    ];
    all.into_iter().filter(|(set, _)| *set).fold(0, |flags, (_, flag)| flags | flag)
}

/// The payload of a Run frame.
pub(crate) fn encode(run: &Run) -> Result<Vec<u8>, InvalidRun> {
    check(run)?;
    let mut out = vec![flags(run)];
    match &run.program {
        Program::Arguments(arguments) => {
            out.push(ARGUMENTS);
            put_count(arguments.len(), &mut out);
            for argument in arguments {
                put_bytes(argument, &mut out);
            }
        }
        Program::Line(line) => {
            out.push(LINE);
            put_bytes(line, &mut out);
        }
        Program::Login => out.push(LOGIN),
    }
    put_count(run.environment.len(), &mut out);
    for (name, value) in &run.environment {
        put_bytes(name, &mut out);
        put_bytes(value, &mut out);
    }
    if let Some(directory) = &run.directory {
        put_bytes(directory, &mut out);
    }
    if let Some(terminal) = &run.terminal {
        put_bytes(&terminal.name, &mut out);
        out.extend_from_slice(&window_bytes(terminal.size));
    }
    for number in [run.timeout_ms, run.max_output].into_iter().flatten() {
        out.extend_from_slice(&number.to_be_bytes());
    }
    if out.len() > limits::RUN_BYTES { Err(InvalidRun::Length) } else { Ok(out) }
}

/// Reads the payload of a Run frame; the error says what it has that it must not have.
pub(crate) fn decode(payload: &[u8]) -> Result<Run, &'static str> {
    let mut fields = Reader::new(payload);
    let run = read(&mut fields).map_err(|wrong| match wrong {
        Wrong::Short => "a field that is cut short",
        Wrong::Flags => "unknown flags",
        Wrong::Program => "an unknown form of program",
        Wrong::Invalid(invalid) => invalid.found(),
    })?;
    if !fields.is_empty() {
        return Err("bytes behind its last field");
    }
    check(&run).map_err(InvalidRun::found)?;
    Ok(run)
}

enum Wrong {
    Short,
    Flags,
    Program,
    Invalid(InvalidRun),
}

impl From<Short> for Wrong {
    fn from(_: Short) -> Wrong {
        Wrong::Short
    }
}

fn read(fields: &mut Reader<'_>) -> Result<Run, Wrong> {
    let flags = fields.u8()?;
    if flags & !ALL_FLAGS != 0 {
        return Err(Wrong::Flags);
    }
    let has = |flag: u8| flags & flag != 0;
    let mut run = Run::new(read_program(fields)?);
    run.stdin = has(STDIN);
    run.detach = has(DETACH);
    run.environment = read_environment(fields)?;
    if has(DIRECTORY) {
        run.directory = Some(fields.bytes()?.to_vec());
    }
    if has(TERMINAL) {
        run.terminal = Some(Terminal { name: fields.bytes()?.to_vec(), size: window(fields)? });
    }
    if has(TIMEOUT) {
        run.timeout_ms = Some(fields.u64()?);
    }
    if has(MAX_OUTPUT) {
        run.max_output = Some(fields.u64()?);
    }
    Ok(run)
}

fn read_program(fields: &mut Reader<'_>) -> Result<Program, Wrong> {
    match fields.u8()? {
        ARGUMENTS => {
            let count = fields.count(4)?;
            if count > limits::RUN_ARGUMENTS {
                return Err(Wrong::Invalid(InvalidRun::Arguments));
            }
            let words = (0..count).map(|_| Ok(fields.bytes()?.to_vec()));
            words.collect::<Result<_, Short>>().map(Program::Arguments).map_err(Wrong::from)
        }
        LINE => Ok(Program::Line(fields.bytes()?.to_vec())),
        LOGIN => Ok(Program::Login),
        _ => Err(Wrong::Program),
    }
}

type Environment = Vec<(Vec<u8>, Vec<u8>)>;

fn read_environment(fields: &mut Reader<'_>) -> Result<Environment, Wrong> {
    let count = fields.count(8)?;
    if count > limits::RUN_ENVIRONMENT {
        return Err(Wrong::Invalid(InvalidRun::Environment));
    }
    let pairs = (0..count).map(|_| Ok((fields.bytes()?.to_vec(), fields.bytes()?.to_vec())));
    pairs.collect::<Result<_, Short>>().map_err(Wrong::from)
}

/// A window size as it is in Run and Resize.
pub(crate) fn window(fields: &mut Reader<'_>) -> Result<WindowSize, Short> {
    Ok(WindowSize {
        rows: fields.u16()?,
        columns: fields.u16()?,
        width: fields.u16()?,
        height: fields.u16()?,
    })
}

//! What people see of a run: a line that moves, then the result as a picture, as JSON, as a page.

mod live;
mod stop;

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;
use sockeye_host::client::window_size;
use sockeye_host::quoted;
use sockeye_limits as limits;
use sockeye_load::Report;
use sockeye_load::draw::ink::Ink;
use sockeye_load::draw::{self, page};
use sockeye_load::models::Comparison;
use sockeye_load::throughput::ThroughputReport;
use sockeye_net::shown;

pub(super) use live::{Live, Rounds};
pub(super) use stop::asked;

use super::args::OutputArgs;
use crate::cli::docs::write_out;
use crate::cli::usage::Failure;

/// Refuses what could not be shown at the end, before anything is measured.
pub(super) fn check(output: &OutputArgs) -> Result<(), Failure> {
    let Some(path) = &output.html else { return Ok(()) };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let shown = path.display();
    if path.is_dir() {
        return Err(Failure::Usage(format!("--html {shown} is a directory: name a file in it")));
    }
    if !parent.is_dir() {
        return Err(Failure::Usage(format!(
            "--html {shown}: there is no directory {}; make it, or name another file",
            parent.display()
        )));
    }
    // The run may be long, and its page is written at the end.
    let place = if path.exists() { path.as_path() } else { parent };
    rustix::fs::access(place, rustix::fs::Access::WRITE_OK).map_err(|errno| {
        let error = io::Error::from(errno);
        Failure::Usage(format!("--html {shown}: {error}; name a file that can be written"))
    })
}

/// The result of `bench ENDPOINT`.
pub(super) fn report(report: &Report, output: &OutputArgs) -> Result<(), Failure> {
    let draw = |columns, ink| draw::report(report, columns, ink);
    result(output, || report.json(), draw, |made| page::report(report, made))
}

/// The result of `bench throughput`.
pub(super) fn throughput(report: &ThroughputReport, output: &OutputArgs) -> Result<(), Failure> {
    let draw = |columns, ink| draw::throughput(report, columns, ink);
    result(output, || report.json(), draw, |made| page::throughput(report, made))
}

/// The result of `bench models`.
pub(super) fn models(comparison: &Comparison, output: &OutputArgs) -> Result<(), Failure> {
    let draw = |columns, ink| draw::comparison(comparison, columns, ink);
    result(output, || comparison.json(), draw, |made| page::comparison(comparison, made))
}

fn result(
    output: &OutputArgs,
    json: impl FnOnce() -> Value,
    draw: impl FnOnce(usize, Ink) -> Vec<String>,
    page: impl FnOnce(page::Made) -> page::Page,
) -> Result<(), Failure> {
    let text = match output.json {
        true => json_line(&json()),
        false => format!("{}\n", draw(columns(), ink()).join("\n")),
    };
    // What a long run has measured is worth both: one that cannot be written does not take the other
    // with it.
    let written = output.html.as_ref().map_or(Ok(()), |path| {
        fs::write(path, page(made()).html()).map_err(|error| {
            let path = path.display();
            anyhow::anyhow!("cannot write {path}: {error}. Name a file that can be written.")
        })
    });
    write_out(text.as_bytes())?;
    Ok(written?)
}

fn json_line(value: &Value) -> String {
    format!("{}\n", shown::json(&value.to_string()))
}

/// How wide the result may be: as the terminal, where it goes to one.
fn columns() -> usize {
    let size = window_size(io::stdout()).map(|size| usize::from(size.columns));
    let wide = size.filter(|columns| *columns > 0);
    wide.map_or(limits::PRINT_COLUMNS, |columns| columns.min(limits::PRINT_COLUMNS_MAX))
}

/// Colours, where stdout is a terminal that has them and nobody objects: no-color.org.
fn ink() -> Ink {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    match io::stdout().is_terminal() && !unwanted && !dumb {
        true => Ink::Colour,
        false => Ink::Plain,
    }
}

/// The command line of this process, and the time.
fn made() -> page::Made {
    use std::os::unix::ffi::OsStringExt;
    let words: Vec<Vec<u8>> = std::env::args_os().skip(1).map(OsStringExt::into_vec).collect();
    let words = quoted(&[vec![b"sockeye".to_vec()], words].concat());
    let now = Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    page::Made {
        command: String::from_utf8_lossy(&words).into_owned(),
        when: format!("{now} · sockeye {}", env!("CARGO_PKG_VERSION")),
    }
}

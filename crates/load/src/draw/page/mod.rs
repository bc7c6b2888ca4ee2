//! One HTML page that holds everything: style, charts and figures. It loads nothing, from nowhere.

pub mod chart;
mod frame;
mod results;

use std::fmt::Write as _;

pub use results::{Made, comparison, report, throughput};

/// A page: a head, then its parts in order. All texts are plain text; they are escaped here.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What was measured.
    pub title: String,
    /// What it says beneath the title.
    pub subtitle: String,
    /// The command that made it.
    pub command: String,
    /// When, and with which version.
    pub made: String,
    /// What follows.
    pub parts: Vec<Part>,
}

/// A part of a page.
#[derive(Debug, Clone)]
pub enum Part {
    /// Large figures side by side.
    Cards(Vec<Card>),
    /// A paragraph.
    Text(String),
    /// Charts, as many side by side as there is room for.
    Charts(Vec<Chart>),
    /// A table: its title, its head, its rows. The first cell of a row is its name.
    Table(String, Vec<String>, Vec<Vec<String>>),
}

/// A large figure.
#[derive(Debug, Clone)]
pub struct Card {
    /// What it is.
    pub name: String,
    /// The figure.
    pub value: String,
    /// More about it, small.
    pub note: String,
}

/// A chart with what explains it.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// How to read it; may be empty.
    pub note: String,
    /// The names of its series and their places in the palette; none where it has only one.
    pub legend: Vec<(String, usize)>,
    /// The picture: an SVG element of this module's own making.
    pub(crate) svg: String,
}

impl Page {
    /// The whole file.
    pub fn html(&self) -> String {
        let mut body = String::new();
        for part in &self.parts {
            part.write(&mut body);
        }
        let [title, subtitle, command, made] =
            [&self.title, &self.subtitle, &self.command, &self.made].map(|text| escape(text));
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <header>\n<h1>{title}</h1>\n<p>{subtitle}</p>\n<pre>{command}</pre>\n</header>\n\
             {body}<footer>{made}</footer>\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
        )
    }
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

impl Part {
    fn write(&self, out: &mut String) {
        match self {
            Part::Cards(cards) => {
                let cards = cards.iter().map(Card::html).collect::<String>();
                push(out, format_args!("<section class=\"cards\">\n{cards}</section>\n"));
            }
            Part::Text(text) => push(out, format_args!("<p class=\"say\">{}</p>\n", escape(text))),
            Part::Charts(charts) => {
                let charts = charts.iter().map(Chart::html).collect::<String>();
                push(out, format_args!("<section class=\"charts\">\n{charts}</section>\n"));
            }
            Part::Table(title, head, rows) => {
                let head = row("th", head);
                let rows = rows.iter().map(|cells| row("td", cells)).collect::<String>();
                let title = escape(title);
                push(
                    out,
                    format_args!(
                        "<section class=\"table\">\n<h2>{title}</h2>\n<div><table>\n\
                         <thead>{head}</thead>\n<tbody>{rows}</tbody>\n</table></div>\n</section>\n"
                    ),
                );
            }
        }
    }
}

impl Card {
    fn html(&self) -> String {
        let [name, value, note] = [&self.name, &self.value, &self.note].map(|text| escape(text));
        format!("<div><span>{name}</span><b>{value}</b><small>{note}</small></div>\n")
    }
}

impl Chart {
    fn html(&self) -> String {
        let [title, note] = [&self.title, &self.note].map(|text| escape(text));
        let entry = |(name, series): &(String, usize)| {
            format!("<li><i class=\"f{series}\"></i>{}</li>", escape(name))
        };
        let legend = self.legend.iter().map(entry).collect::<String>();
        let legend = if legend.is_empty() { legend } else { format!("<ul>{legend}</ul>") };
        let note = if note.is_empty() { note } else { format!("<p>{note}</p>") };
        format!(
            "<figure>\n<figcaption><h2>{title}</h2>{note}{legend}</figcaption>\n{}</figure>\n",
            self.svg
        )
    }
}

fn row(tag: &str, cells: &[String]) -> String {
    let cells = cells.iter().map(|text| format!("<{tag}>{}</{tag}>", escape(text)));
    format!("<tr>{}</tr>\n", cells.collect::<String>())
}

/// Text as HTML, in elements and in quoted attributes (HTML Living Standard, section 13.1.2). What
/// a terminal or a page could act on, and what turns the direction of writing, becomes U+FFFD.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            '\n' => out.push('\n'),
            _ if letter.is_control() => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}

/// Adds to a text, which cannot fail.
pub(crate) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes whatever is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B1: nothing that was given as text is markup in the page.
    #[test]
    fn escaped() {
        let evil = "</title><script>alert('x')</script>\"&\u{202e}\x1b[2J";
        let text = || evil.to_owned();
        let card = Card { name: text(), value: text(), note: text() };
        let chart =
            Chart { title: text(), note: text(), legend: vec![(text(), 0)], svg: "".into() };
        let page = Page {
            title: text(),
            subtitle: text(),
            command: text(),
            made: text(),
            parts: vec![
                Part::Cards(vec![card]),
                Part::Text(text()),
                Part::Charts(vec![chart]),
                Part::Table(text(), vec![text()], vec![vec![text()]]),
            ],
        };
        let html = page.html();
        assert_eq!(html.matches("<script>").count(), 1, "{html}");
        assert!(!html.contains("alert('x')") && !html.contains(['\x1b', '\u{202e}']), "{html}");
        assert_eq!(html.matches("&lt;script&gt;alert(&#39;x&#39;)").count(), 15, "{html}");
    }

    /// B1: the page loads nothing.
    #[test]
    fn self_contained() {
        let html = Page::default().html();
        for word in ["http://", "https://", "src=", "url(", "@import", "<link", "fetch(", "import("]
        {
            assert!(!html.contains(word), "{word}: {html}");
        }
        assert!(html.contains("default-src 'none'"));
        assert!(STYLE.contains("prefers-color-scheme: dark"));
    }
}

//! Load on a server of one's own, without the command line: an endpoint, and as many connections,
//! bytes, requests in flight and seconds as are said; the report as JSON.
//!
//! ```sh
//! cargo run --release -p sockeye-load --example drive -- 9000 50 64 1 2
//! ```
#![forbid(unsafe_code)]

use std::error::Error;
use std::time::Duration;

use sockeye_load::{Plan, run};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let endpoint = words.first().map_or("9000", String::as_str).parse()?;
    let number = |place: usize, usual: usize| match words.get(place) {
        Some(word) => word.parse(),
        None => Ok(usual),
    };
    let plan = Plan {
        connections: number(1, 50)?,
        size: number(2, 64)?,
        depth: number(3, 1)?,
        duration: Duration::from_secs(number(4, 2)? as u64),
        churn: words.get(5).is_some_and(|word| word == "churn"),
        ..Plan::new(endpoint)
    };
    let report = run(&plan, &mut ())?;
    println!("{}", report.json());
    Ok(())
}

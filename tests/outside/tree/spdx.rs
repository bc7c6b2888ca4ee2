//! Licence expressions as crates have them: SPDX 2.3, annex D, and the "/" of old manifests for OR.

use std::iter::Peekable;
use std::vec::IntoIter;

/// Whether an expression can be kept to with the licences that `is_allowed` knows: a term is an
/// identifier, or "IDENTIFIER WITH EXCEPTION".
///
/// # Errors
/// What is wrong with the expression.
pub(super) fn holds(expression: &str, is_allowed: impl Fn(&str) -> bool) -> Result<bool, String> {
    let mut parser = Parser { words: words(expression).into_iter().peekable(), is_allowed };
    let holds = parser.any()?;
    match parser.words.next() {
        None => Ok(holds),
        Some(word) => Err(format!("{word:?} comes after its end")),
    }
}

fn words(expression: &str) -> Vec<String> {
    let mut spaced = expression.replace('/', " OR ");
    for parenthesis in ["(", ")"] {
        spaced = spaced.replace(parenthesis, &format!(" {parenthesis} "));
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// Reads a level of precedence a method: WITH binds closest, then AND, then OR.
struct Parser<F> {
    words: Peekable<IntoIter<String>>,
    is_allowed: F,
}

impl<F: Fn(&str) -> bool> Parser<F> {
    fn any(&mut self) -> Result<bool, String> {
        let mut holds = self.all()?;
        while self.words.next_if_eq("OR").is_some() {
            holds |= self.all()?;
        }
        Ok(holds)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut holds = self.one()?;
        while self.words.next_if_eq("AND").is_some() {
            holds &= self.one()?;
        }
        Ok(holds)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.words.next_if_eq("(").is_some() {
            let holds = self.any()?;
            return match self.words.next_if_eq(")") {
                Some(_) => Ok(holds),
                None => Err("a parenthesis is not closed".into()),
            };
        }
        let mut term = self.identifier()?;
        if self.words.next_if_eq("WITH").is_some() {
            term = format!("{term} WITH {}", self.identifier()?);
        }
        Ok((self.is_allowed)(&term))
    }

    fn identifier(&mut self) -> Result<String, String> {
        match self.words.next() {
            Some(word) if !["AND", "OR", "WITH", "(", ")"].contains(&word.as_str()) => Ok(word),
            Some(word) => Err(format!("{word} where a licence is due")),
            None => Err("it ends where a licence is due".into()),
        }
    }
}

#[test]
fn expressions() {
    let is_allowed = |term: &str| ["A", "B", "C WITH x"].contains(&term);
    let held = [
        ("A", true),
        ("Z", false),
        ("Z OR A", true),
        ("A OR Z", true),
        ("Z/A", true),
        ("Z / Y", false),
        ("A AND B", true),
        ("A AND Z", false),
        ("Z AND A", false),
        // AND binds closer than OR.
        ("A OR Z AND Z", true),
        ("Z AND Z OR A", true),
        ("(A OR Z) AND Z", false),
        ("(A OR Z) AND B", true),
        ("((A))", true),
        ("Z OR (A AND (Z OR B))", true),
        // An exception makes it another licence.
        ("C WITH x", true),
        ("C", false),
        ("A WITH x", false),
        ("Z OR C WITH x AND A", true),
        // Names are what they are.
        ("a", false),
        ("A-2.0", false),
    ];
    for (expression, holds_is) in held {
        assert_eq!(holds(expression, is_allowed), Ok(holds_is), "{expression}");
    }
    let wrong = [
        "",
        "A OR",
        "OR A",
        "A B",
        "(A",
        "A)",
        "()",
        "A WITH",
        "WITH x",
        "A AND OR B",
        "A WITH (x)",
    ];
    for expression in wrong {
        assert!(holds(expression, is_allowed).is_err(), "{expression}");
    }
}

//! Whose an account is, as people say it in a CSV file.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use super::lines::{self, Line};
use crate::model::corporate_id::CorporateId;

/// What the column of accounts may be called, in small letters without spaces, dashes and underscores.
const ACCOUNT_NAMES: [&str; 4] = ["account", "username", "user", "login"];
/// What the column of corporate IDs may be called.
const ID_NAMES: [&str; 2] = ["corporateid", "id"];

/// Whose accounts are, by account. None has two people, and no person two accounts.
#[derive(Debug, Clone, Default)]
pub struct Matches {
    by_account: BTreeMap<String, Match>,
}

#[derive(Debug, Clone)]
struct Match {
    line: u64,
    /// Nobody's: it stays at the panel as it is.
    id: Option<CorporateId>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFault {
    /// Which line, from 1.
    pub line: u64,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

impl Matches {
    /// Reads a file with a line an account: the account, then the corporate ID, or nothing where the account is to stay at the panel
    /// as it is. A first line that names the columns may put them in another order, and others beside them.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of lines.
    pub fn read(text: &str) -> Result<Self, Vec<LineFault>> {
        let mut lines = lines::lines(text).into_iter().peekable();
        let columns = lines.peek().and_then(Columns::named);
        if columns.is_some() {
            lines.next();
        }
        let columns = columns.unwrap_or(Columns::AS_THEY_COME);
        let (mut matches, mut ids, mut faults) = (Self::default(), HashMap::new(), Vec::new());
        for line in lines {
            if let Err(message) = matches.take(&line, &columns, &mut ids) {
                let line = line.number;
                faults.push(LineFault { line, message });
            }
        }
        if faults.is_empty() { Ok(matches) } else { Err(faults) }
    }

    fn take(
        &mut self,
        line: &Line,
        columns: &Columns,
        ids: &mut HashMap<CorporateId, (String, u64)>,
    ) -> Result<(), String> {
        let values = &line.values;
        let of_interest = [columns.account, columns.id].map(|column| values.get(column));
        let is_long = of_interest.into_iter().flatten().any(|value| value.contains('\n'));
        if line.unclosed || is_long {
            return Err("a quote is not closed".to_owned());
        }
        if columns.most.is_some_and(|most| values.len() > most) {
            return Err(format!(
                "{} values stand here: give an account and a corporate ID, or name the columns in the first line",
                values.len()
            ));
        }
        let value = |column: usize| values.get(column).map_or("", String::as_str);
        let account = spelling(value(columns.account));
        if account.is_empty() {
            return Err("there is no account here".to_owned());
        }
        if values.len() <= columns.id {
            return Err(format!(
                "there is no corporate ID for {account}: give one, or `{account},` to leave the account at the panel as it is"
            ));
        }
        let id = match value(columns.id) {
            "" => None,
            text => Some(CorporateId::parse(text).map_err(|error| format!("{account}: {error}"))?),
        };
        if let Some(first) = self.by_account.get(&account) {
            return Err(format!("{account} stands in line {} already", first.line));
        }
        if let Some(id) = &id {
            if let Some((other, first)) = ids.get(id) {
                return Err(format!(
                    "{id} has {other} already, in line {first}: a person has one account, so leave one of them at the panel with \
                     `{account},` or declare by hand whose it is"
                ));
            }
            ids.insert(id.clone(), (account.clone(), line.number));
        }
        let line = line.number;
        self.by_account.insert(account, Match { line, id });
        Ok(())
    }

    /// The lines about accounts that the panel does not have.
    #[must_use]
    pub fn unknown<'a>(&self, accounts: impl Iterator<Item = &'a String>) -> Vec<LineFault> {
        let there: HashSet<String> = accounts.map(|name| spelling(name)).collect();
        let unknown = self.by_account.iter().filter(|(account, _)| !there.contains(*account));
        let mut faults: Vec<LineFault> = unknown
            .map(|(account, it)| LineFault {
                line: it.line,
                message: if it.line == 1 {
                    format!(
                        "the panel has no account {account}; if this line names the columns, call them account and corporate_id"
                    )
                } else {
                    format!("the panel has no account {account}")
                },
            })
            .collect();
        faults.sort_by_key(|fault| fault.line);
        faults
    }

    /// What is said of an account. `None` when nothing is.
    pub(super) fn said(&self, account: &str) -> Option<Whose<'_>> {
        let id = self.by_account.get(&spelling(account))?.id.as_ref();
        Some(id.map_or(Whose::Nobodys, Whose::Persons))
    }
}

/// Whose an account is said to be.
pub(super) enum Whose<'a> {
    Persons(&'a CorporateId),
    /// It stays at the panel as it is.
    Nobodys,
}

/// An account by which lines are found: case and the space around it, a line end at the panel included, do not matter.
fn spelling(account: &str) -> String {
    account.trim().to_ascii_lowercase()
}

/// Where the values stand on a line.
struct Columns {
    account: usize,
    id: usize,
    /// Most values on a line; any number where the columns have names.
    most: Option<usize>,
}

impl Columns {
    const AS_THEY_COME: Self = Self {
        account: 0,
        id: 1,
        most: Some(2),
    };

    /// The columns that a first line names, if it does.
    fn named(line: &Line) -> Option<Self> {
        let names: Vec<String> = line.values.iter().map(|name| plain(name)).collect();
        let place = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
        Some(Self {
            account: place(&ACCOUNT_NAMES)?,
            id: place(&ID_NAMES)?,
            most: None,
        })
    }
}

fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| !matches!(letter, ' ' | '-' | '_'));
    letters.collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<(String, String)> {
        let matches = Matches::read(text).unwrap();
        let said = matches.by_account.iter();
        said.map(|(account, it)| (account.clone(), it.id.as_ref().map_or("-", |id| id.as_str()).to_owned()))
            .collect()
    }

    fn faults(text: &str) -> Vec<String> {
        Matches::read(text)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_first_line_may_name_the_columns_in_any_order() {
        let want = [
            ("anna".to_owned(), "AB123456".to_owned()),
            ("guest".to_owned(), "-".to_owned()),
        ];
        for text in [
            "Anna,AB123456\nguest,\n",
            "account,corporate_id\nanna,AB123456\nguest,\n",
            "Corporate ID;Name;User-name\nAB123456;\"Ivanova; Anna\";anna\n;;guest\n",
        ] {
            assert_eq!(said(text), want, "{text}");
        }
        assert!(said("").is_empty() && said("account,id\n").is_empty());
    }

    #[test]
    fn everything_that_is_wrong_is_named_with_its_line() {
        let faults = faults(
            "anna,AB123456\nANNA,CD234567\n\nbob,ab123456\nchris,no ID\ndora\n,EF345678\neva,EF345678,x\nfrank,\"EF345678\n",
        );
        let want = [
            "2: anna stands in line 1 already",
            "4: ab123456 has anna already, in line 1",
            "5: chris: the corporate ID has a character that is not accepted at position 3",
            "6: there is no corporate ID for dora",
            "7: there is no account here",
            "8: 3 values stand here",
            "9: a quote is not closed",
        ];
        assert_eq!(faults.len(), want.len(), "{faults:#?}");
        for (fault, want) in faults.iter().zip(want) {
            assert!(fault.starts_with(want), "{fault}");
        }
    }

    #[test]
    fn a_quote_that_swallows_lines_is_named_and_long_values_beside_are_none_of_our_business() {
        assert_eq!(
            faults("anna,\"AB123456\nbob,CD234567\n\nchris,\"EF345678\n"),
            ["1: a quote is not closed"]
        );
        let text = "account,note,id\nanna,\"two\nlines\",AB123456\nbob,,CD234567\n";
        assert_eq!(said(text).len(), 2);
    }

    #[test]
    fn accounts_that_the_panel_does_not_have_are_named() {
        let matches = Matches::read("Konto,Nummer\nanna,AB123456\nbob,CD234567\n").unwrap();
        let there = ["anna".to_owned()];
        let unknown: Vec<String> = matches.unknown(there.iter()).iter().map(ToString::to_string).collect();
        assert_eq!(unknown.len(), 2, "{unknown:?}");
        assert!(unknown[0].starts_with("1: the panel has no account konto; if this line names the columns"));
        assert_eq!(unknown[1], "3: the panel has no account bob");
    }
}

//! Reading a file of IDs: every line is looked at, and every line that is wrong is named.

use std::collections::{HashMap, hash_map};

use csv::{ByteRecord, ReaderBuilder};
use jiff::Timestamp;

use super::{BadLine, COLUMNS, Columns, Row, Table, cell, lines::Lines};
use crate::{
    model::corporate_id::CorporateId,
    registry::{entry::Owner, status::Status},
};

/// Reads a whole file. The first line names the columns, of which only `id` has to be there; values are separated by `,`, `;`
/// or tab, whichever the first line has.
///
/// # Errors
/// Every line that is wrong, in their order. With one of them nothing of the file counts.
pub fn read(bytes: &[u8]) -> Result<Table, Vec<BadLine>> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator(bytes))
        .from_reader(bytes);
    let mut lines = Lines::of(bytes);
    let mut record = ByteRecord::new();
    let mut header: Option<Header> = None;
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    let mut first_lines: HashMap<CorporateId, u64> = HashMap::new();
    loop {
        let begun = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                // Only reading fails, and memory is read; a later version of the library may know more.
                bad.push(BadLine {
                    line: lines.of_record(begun),
                    message: error.to_string(),
                });
                break;
            }
        }
        let line = lines.of_record(begun);
        let wrong = |message: String| BadLine { line, message };
        if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
            continue;
        }
        let cells: Result<Vec<&str>, _> = record.iter().map(std::str::from_utf8).collect();
        let Ok(cells) = cells else {
            bad.push(wrong("is no UTF-8: save the file as 'CSV UTF-8'".to_owned()));
            if header.is_none() {
                break;
            }
            continue;
        };
        let Some(header) = &header else {
            match Header::read(&cells) {
                Ok(read) => header = Some(read),
                Err(message) => return Err(vec![wrong(message)]),
            }
            continue;
        };
        match header.row(line, &cells) {
            Ok(row) => match first_lines.entry(row.id.clone()) {
                hash_map::Entry::Vacant(free) => {
                    free.insert(line);
                    rows.push(row);
                }
                hash_map::Entry::Occupied(first) => {
                    bad.push(wrong(format!("{} stands on line {} already", row.id, first.get())));
                }
            },
            Err(faults) => bad.push(wrong(faults.join("; "))),
        }
    }
    match header {
        _ if !bad.is_empty() => Err(bad),
        Some(header) => Ok(Table {
            rows,
            columns: header.columns(),
        }),
        None => Err(vec![BadLine {
            line: 1,
            message: format!(
                "the file is empty: its first line names the columns: {}",
                COLUMNS.join(",")
            ),
        }]),
    }
}

/// The first of the separators that the first line has.
fn separator(bytes: &[u8]) -> u8 {
    let line = bytes.iter().skip_while(|byte| byte.is_ascii_whitespace());
    let mut line = line.take_while(|byte| !matches!(byte, b'\n' | b'\r'));
    line.find(|byte| matches!(byte, b',' | b';' | b'\t'))
        .copied()
        .unwrap_or(b',')
}

/// Where each column stands.
struct Header {
    places: [Option<usize>; COLUMNS.len()],
    width: usize,
}

impl Header {
    fn read(cells: &[&str]) -> Result<Self, String> {
        let known = || format!("known columns are {}", COLUMNS.join(", "));
        let mut places = [None; COLUMNS.len()];
        for (at, name) in cells.iter().enumerate() {
            let name = name.trim();
            let column = COLUMNS.iter().position(|column| column.eq_ignore_ascii_case(name));
            let Some(place) = column.and_then(|column| places.get_mut(column)) else {
                let name: String = name.chars().take(40).flat_map(char::escape_debug).collect();
                return Err(format!("there is no column '{name}': {}", known()));
            };
            if place.replace(at).is_some() {
                return Err(format!("the column '{}' stands there twice", name.to_ascii_lowercase()));
            }
        }
        let width = cells.len();
        match places {
            [Some(_), ..] => Ok(Self { places, width }),
            _ => Err(format!("no column 'id': the first line names the columns; {}", known())),
        }
    }

    fn columns(&self) -> Columns {
        let [_, owner, email, department, ..] = self.places.map(|place| place.is_some());
        Columns {
            owner,
            email,
            department,
        }
    }

    fn row(&self, line: u64, cells: &[&str]) -> Result<Row, Vec<String>> {
        if cells.len() != self.width {
            let (has, wants) = (cells.len(), self.width);
            return Err(vec![format!(
                "has {has} values, and the first line names {wants} columns: is a quote not closed, or a separator missing?"
            )]);
        }
        let [id, owner, email, department, status, issued_at, updated_at] = self
            .places
            .map(|at| at.and_then(|at| cells.get(at)).and_then(|cell| cell::text(cell)));
        let mut faults = Vec::new();
        let mut note = |fault: Result<(), String>| faults.extend(fault.err());
        let id = id.map(|id| CorporateId::capital(&id).ok_or_else(|| CorporateId::parse(&id)));
        let id = match id {
            Some(Ok(id)) => Some(id),
            Some(Err(Err(error))) => {
                note(Err(format!("id: {error}")));
                None
            }
            Some(Err(Ok(_))) | None => {
                note(Err("id: is empty".to_owned()));
                None
            }
        };
        let owner = Owner {
            owner,
            email,
            department,
        };
        note(owner.check().map_err(|wrong| wrong.to_string()));
        let status = status.map(|word| Status::parse(&word));
        if status == Some(None) {
            let words = Status::ALL.map(Status::as_str).join(", ");
            note(Err(format!("status: must be one of {words}")));
        }
        let mut moment = |field: &str, text: Option<String>| {
            let read = text.map(|text| text.parse::<Timestamp>()).transpose();
            if read.is_err() {
                note(Err(format!("{field}: must be a time like 2026-05-01T12:00:00Z")));
            }
            read.ok().flatten()
        };
        let (issued_at, updated_at) = (moment("issued_at", issued_at), moment("updated_at", updated_at));
        match id {
            Some(id) if faults.is_empty() => Ok(Row {
                line,
                id,
                owner,
                status: status.flatten(),
                issued_at,
                updated_at,
            }),
            _ => Err(faults),
        }
    }
}

use proptest::{option, prelude::*, sample::select};

use super::*;
use crate::registry::entry::whole;

fn entries() -> impl Strategy<Value = Entry> {
    // What people are called, and what spreadsheets stumble over.
    let text = || {
        option::of("[ -~äß№\u{4e2d}]{0,12}|[=+@'-]{1,3}[a-z\",;]{0,4}").prop_map(|text| {
            let text = text?.trim().to_owned();
            (!text.is_empty()).then_some(text)
        })
    };
    let email = option::of("[a-z'+=-]{1,5}@example\\.com");
    let id = "[A-HJ-NP-Z]{2}[0-9]{6}|[a-z0-9][a-z._-]{0,5}[a-z0-9]";
    let at = || (0..4_000_000_000_000_i64).prop_map(|ms| whole(Timestamp::from_millisecond(ms).unwrap()));
    (
        id,
        text(),
        email,
        text(),
        select(Status::ALL.to_vec()),
        option::of(at()),
        at(),
    )
        .prop_filter_map(
            "an address that a VpnUser may have",
            |(id, owner, email, department, status, issued_at, updated_at)| {
                let owner = Owner {
                    owner,
                    email,
                    department,
                };
                owner.check().ok()?;
                Some(Entry {
                    id: CorporateId::capital(&id)?,
                    status,
                    owner,
                    issued_at,
                    updated_at,
                })
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(mut entries in prop::collection::vec(entries(), 0..12)) {
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        entries.dedup_by(|a, b| a.id == b.id);
        let text = header() + &lines(&entries);
        let table = read(text.as_bytes()).unwrap();
        prop_assert_eq!(table.columns, Columns { owner: true, email: true, department: true });
        let back: Vec<Entry> = table.rows.into_iter().map(|row| Entry {
            id: row.id,
            status: row.status.unwrap(),
            owner: row.owner,
            issued_at: row.issued_at,
            updated_at: row.updated_at.unwrap(),
        }).collect();
        prop_assert_eq!(back, entries);
    }

    #[test]
    fn no_cell_is_a_formula(entries in prop::collection::vec(entries(), 1..6)) {
        let text = lines(&entries);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        for record in reader.records() {
            for cell in &record.unwrap() {
                prop_assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_line_by_line(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "id,owner\r?\n([A-C]{2}[0-9]{6}|[\",;\n\r]{1,3}|,x){0,9}".prop_map(String::into_bytes),
        ],
    ) {
        match read(&bytes) {
            Ok(table) => prop_assert!(table.rows.windows(2).all(|two| two[0].line < two[1].line)),
            Err(bad) => {
                let ends = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
                prop_assert!(!bad.is_empty() && bad.windows(2).all(|two| two[0].line < two[1].line), "{bad:?}");
                prop_assert!(bad.iter().all(|it| (1..=ends + 1).contains(&it.line)), "{bad:?}");
            }
        }
    }
}

fn bad(text: &str) -> Vec<String> {
    read(text.as_bytes())
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_spreadsheets_write_is_read_whatever_separates_and_ends_its_lines() {
    for text in [
        "id,owner\nAB123456,Anna\nold_one,\"Bob, \"\"B\"\"\"\n",
        "\u{feff}ID;Owner\r\nab123456;Anna\r\n;\r\n\r\nold_one;\"Bob, \"\"B\"\"\"\r\n",
        "\"id\"\t\"owner\"\rab123456\t Anna \rold_one\t\"Bob, \"\"B\"\"\"",
    ] {
        let table = read(text.as_bytes()).unwrap();
        let rows: Vec<_> = table
            .rows
            .iter()
            .map(|row| (row.id.as_str(), row.owner.owner.as_deref().unwrap()))
            .collect();
        assert_eq!(rows, [("AB123456", "Anna"), ("old_one", "Bob, \"B\"")], "{text:?}");
        assert!(table.columns.owner && !table.columns.email, "{text:?}");
    }
}

#[test]
fn every_bad_line_is_named_with_its_number_and_everything_that_is_wrong_with_it() {
    let text = "id,owner,email,status,issued_at\r\n\
                AB123456,Anna,anna@example.com,issued,2026-05-01T12:00:00Z\r\n\
                \r\n\
                A B,Anna,anna,gone,yesterday\r\n\
                EF345678,\"two\nlines\",,,\r\n\
                GH456789\r\n\
                ab123456,Twice,,,\r\n\
                ,nobody,,,\r\n";
    let bad = bad(text);
    let starts = [
        "line 4: id: the corporate ID has a character",
        "line 5: owner: must be one line",
        "line 7: has 1 values, and the first line names 5",
        "line 8: AB123456 stands on line 2 already",
        "line 9: id: is empty",
    ];
    assert_eq!(bad.len(), starts.len(), "{bad:#?}");
    for (line, start) in bad.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
    for field in ["email: ", "status: must be one of issued, active", "issued_at: "] {
        assert!(bad[0].contains(field), "{}", bad[0]);
    }
}

#[test]
fn a_first_line_that_is_no_header_is_said_and_nothing_else() {
    assert!(bad("")[0].contains("the file is empty"));
    assert!(bad("owner\nAnna\n")[0].starts_with("line 1: no column 'id'"));
    assert!(bad("\n\nid,id\nx,y\n")[0].starts_with("line 3: the column 'id' stands there twice"));
    assert!(bad("AB123456,Anna\nx,y\n")[0].contains("there is no column 'AB123456'"));
    assert_eq!(read(b"id\n\xff\nAB123456\n\xfe\n").unwrap_err().len(), 2);
}

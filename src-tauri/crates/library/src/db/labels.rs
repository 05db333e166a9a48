//! Labels of readers: given, undone, done again, read.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params_from_iter};

use super::SqliteStore;
use super::connection::Sql;
use super::{filter, read};
use crate::error::{LibraryError, Result};
use crate::records::{
    Count, Filter, LabelAction, LabelScheme, LabelValue, Reading, Wanted, reader_name,
};
use crate::storage::Labelling;

/// A label's name with its value before and after an action, as `label_actions.changes` holds it.
type Change = (String, Option<i64>, Option<i64>);

/// Which way through the actions of a reader.
#[derive(Clone, Copy)]
enum Way {
    Undo,
    Redo,
}

impl Labelling for SqliteStore {
    fn label_sets(&self) -> Result<Vec<LabelScheme>> {
        self.read(sets)
    }

    fn label_set(&self, name: &str) -> Result<LabelScheme> {
        let sets = self.label_sets()?;
        let same = |set: &&LabelScheme| set.name.to_lowercase() == name.trim().to_lowercase();
        if let Some(set) = sets.iter().find(same) {
            return Ok(set.clone());
        }
        let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        Err(LibraryError::Request(match names.is_empty() {
            true => "the library has no set of labels yet; define one first".into(),
            false => format!(
                "the library has no set of labels {name:?}; it has {}",
                names.join(", ")
            ),
        }))
    }

    fn put_label_set(&self, set: &LabelScheme) -> Result<()> {
        let set = set.checked()?;
        let classes = serde_json::Value::from(set.classes).to_string();
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO label_sets (name, exclusive, classes) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET name = excluded.name, exclusive = excluded.exclusive,
                     classes = excluded.classes",
                (&set.name, set.exclusive, &classes),
            )?;
            Ok(())
        })
    }

    fn remove_label_set(&self, name: &str) -> Result<bool> {
        self.write(|transaction| {
            let sql = "DELETE FROM label_sets WHERE name = ?1";
            Ok(transaction.execute(sql, [name.trim()])? > 0)
        })
    }

    fn give_labels(
        &self,
        case_id: &str,
        reader: &str,
        wanted: &[Wanted],
        at: &str,
    ) -> Result<Option<LabelAction>> {
        let reader = reader_name(reader)?;
        self.change(|transaction| give(transaction, case_id, &reader, wanted, at))
    }

    fn undo_labels(&self, reader: &str, at: &str) -> Result<Option<LabelAction>> {
        let reader = reader_name(reader)?;
        self.change(|transaction| step(transaction, &reader, Way::Undo, at))
    }

    fn redo_labels(&self, reader: &str, at: &str) -> Result<Option<LabelAction>> {
        let reader = reader_name(reader)?;
        self.change(|transaction| step(transaction, &reader, Way::Redo, at))
    }

    fn undoable_labels(&self, reader: &str) -> Result<(u64, u64)> {
        let count = |undone: bool| {
            self.read(|connection| {
                let n: i64 = connection.query_row(
                    "SELECT count(*) FROM label_actions WHERE reader = ?1 AND undone = ?2",
                    (reader.trim(), undone),
                    |row| row.get(0),
                )?;
                Ok(n.max(0) as u64)
            })
        };
        Ok((count(false)?, count(true)?))
    }

    fn readings(&self, reader: Option<&str>, names: &[String]) -> Result<Vec<Reading>> {
        self.read(|connection| readings(connection, reader, names))
    }

    fn unread(
        &self,
        filter: &Filter,
        reader: &str,
        names: &[String],
        read_by: Option<&str>,
    ) -> Result<Vec<String>> {
        self.read(|connection| unread(connection, filter, reader, names, read_by))
    }

    fn readers(&self, names: &[String]) -> Result<Vec<Count>> {
        self.read(|connection| {
            let sql = format!(
                "SELECT reader, count(DISTINCT case_row) FROM labels
                 WHERE reader <> '' AND {} GROUP BY reader ORDER BY 2 DESC, 1",
                among(names)
            );
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(params_from_iter(names), |row| {
                Ok(Count {
                    name: row.get(0)?,
                    cases: row.get::<_, i64>(1)?.max(0) as u64,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

fn sets(connection: &Connection) -> Sql<Vec<LabelScheme>> {
    let mut statement =
        connection.prepare("SELECT name, exclusive, classes FROM label_sets ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        let classes: String = row.get(2)?;
        Ok(LabelScheme {
            name: row.get(0)?,
            exclusive: row.get(1)?,
            classes: serde_json::from_str(&classes).unwrap_or_default(),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The condition that a label's name is one of those that follow as parameters.
fn among(names: &[String]) -> String {
    format!("name IN ({})", vec!["?"; names.len()].join(", "))
}

fn readings(connection: &Connection, reader: Option<&str>, names: &[String]) -> Sql<Vec<Reading>> {
    let whose = match reader {
        Some(_) => "reader = ?",
        None => "reader <> ''",
    };
    let sql = format!(
        "SELECT cases.id, name, value, reader, at FROM labels JOIN cases ON cases.row = case_row
         WHERE {} AND {whose} ORDER BY case_row, name, reader",
        among(names)
    );
    let text = |text: &str| Value::Text(text.trim().to_owned());
    let values = names.iter().map(|name| text(name)).chain(reader.map(text));
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| {
        Ok(Reading {
            case_id: row.get(0)?,
            label: read::label(row, 1)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn unread(
    connection: &Connection,
    filter: &Filter,
    reader: &str,
    names: &[String],
    read_by: Option<&str>,
) -> Sql<Vec<String>> {
    let (condition, mut values) = filter::condition(filter, "cases");
    let mut sql = format!(
        "SELECT id FROM cases {condition} {} EXISTS (SELECT 1 FROM images WHERE case_row = cases.row)",
        if condition.is_empty() { "WHERE" } else { "AND" }
    );
    let mut ask = |word: &str, reader: &str| {
        sql += &format!(
            " AND {word} (SELECT 1 FROM labels WHERE case_row = cases.row AND reader = ? AND {})",
            among(names)
        );
        values.push(Value::Text(reader.trim().to_owned()));
        values.extend(names.iter().map(|name| Value::Text(name.clone())));
    };
    ask("NOT EXISTS", reader);
    if let Some(other) = read_by {
        ask("EXISTS", other);
    }
    sql += " ORDER BY cases.row";
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn give(
    transaction: &Transaction<'_>,
    case_id: &str,
    reader: &str,
    wanted: &[Wanted],
    at: &str,
) -> Sql<Option<LabelAction>> {
    let find = "SELECT row FROM cases WHERE id = ?1";
    let case: Option<i64> = transaction
        .query_row(find, [case_id], |row| row.get(0))
        .optional()?;
    let case = case.ok_or_else(|| LibraryError::NoCase { id: case_id.into() })?;
    let mut changes: Vec<Change> = Vec::new();
    for (name, value) in wanted {
        let before: Option<i64> = transaction
            .query_row(
                "SELECT value FROM labels WHERE case_row = ?1 AND name = ?2 AND reader = ?3",
                (case, name, reader),
                |row| row.get(0),
            )
            .optional()?;
        let after = value.map(LabelValue::number);
        if before != after {
            put(transaction, case, reader, name, after, at)?;
            changes.push((name.clone(), before, after));
        }
    }
    if changes.is_empty() {
        return Ok(None);
    }
    // A new action ends the way forward.
    transaction.execute(
        "DELETE FROM label_actions WHERE reader = ?1 AND undone = 1",
        [reader],
    )?;
    let text = serde_json::to_string(&changes).unwrap_or_default();
    transaction.execute(
        "INSERT INTO label_actions (case_row, reader, at, changes) VALUES (?1, ?2, ?3, ?4)",
        (case, reader, at, &text),
    )?;
    Ok(Some(action(case_id.to_owned(), &changes, Way::Redo)))
}

/// Sets or takes away one label.
fn put(
    transaction: &Transaction<'_>,
    case: i64,
    reader: &str,
    name: &str,
    value: Option<i64>,
    at: &str,
) -> Sql<()> {
    match value {
        Some(value) => transaction.execute(
            "INSERT INTO labels (case_row, name, reader, value, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (case_row, name, reader) DO UPDATE SET value = excluded.value, at = excluded.at",
            (case, name, reader, value, at),
        )?,
        None => transaction.execute(
            "DELETE FROM labels WHERE case_row = ?1 AND name = ?2 AND reader = ?3",
            (case, name, reader),
        )?,
    };
    Ok(())
}

/// Goes one action back or forward.
fn step(
    transaction: &Transaction<'_>,
    reader: &str,
    way: Way,
    at: &str,
) -> Sql<Option<LabelAction>> {
    let which = match way {
        Way::Undo => "undone = 0 ORDER BY label_actions.row DESC",
        Way::Redo => "undone = 1 ORDER BY label_actions.row",
    };
    let sql = format!(
        "SELECT label_actions.row, case_row, cases.id, changes FROM label_actions JOIN cases
         ON cases.row = case_row WHERE reader = ?1 AND {which} LIMIT 1"
    );
    let found = transaction
        .query_row(&sql, [reader], |row| {
            let place: (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((place, row.get::<_, String>(3)?))
        })
        .optional()?;
    let Some(((row, case, case_id), text)) = found else {
        return Ok(None);
    };
    let changes: Vec<Change> = serde_json::from_str(&text).unwrap_or_default();
    for (name, before, after) in &changes {
        let value = match way {
            Way::Undo => *before,
            Way::Redo => *after,
        };
        put(transaction, case, reader, name, value, at)?;
    }
    transaction.execute(
        "UPDATE label_actions SET undone = ?2 WHERE row = ?1",
        (row, matches!(way, Way::Undo)),
    )?;
    Ok(Some(action(case_id, &changes, way)))
}

/// What an action, or going back on it, led to.
fn action(case_id: String, changes: &[Change], way: Way) -> LabelAction {
    let labels = changes.iter().map(|(name, before, after)| {
        let value = match way {
            Way::Undo => before,
            Way::Redo => after,
        };
        (name.clone(), value.map(LabelValue::from_number))
    });
    LabelAction {
        case_id,
        labels: labels.collect(),
    }
}

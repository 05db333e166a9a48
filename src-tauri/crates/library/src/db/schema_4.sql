-- Schema 4 of the case library: who gave a label and when, sets of labels, and what can be undone. Never edited once released.

-- A label of each reader beside the source's own: nobody's label takes another's place.
CREATE TABLE labels_of_readers (
    case_row INTEGER NOT NULL REFERENCES cases (row) ON DELETE CASCADE,
    name TEXT NOT NULL COLLATE NOCASE,
    reader TEXT NOT NULL DEFAULT '' COLLATE NOCASE, -- empty: it came with the case
    value INTEGER NOT NULL CHECK (value IN (1, 0, -1)), -- not mentioned: no row
    at TEXT, -- UTC, RFC 3339; none of an imported one
    PRIMARY KEY (case_row, name, reader)
) WITHOUT ROWID;
INSERT INTO labels_of_readers (case_row, name, value) SELECT case_row, name, value FROM labels;
DROP TABLE labels;
ALTER TABLE labels_of_readers RENAME TO labels;
CREATE INDEX labels_name ON labels (name, value);
CREATE INDEX labels_reader ON labels (reader, name);

-- The labels that are given together, such as the classes of one question.
CREATE TABLE label_sets (
    name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
    exclusive INTEGER NOT NULL CHECK (exclusive IN (0, 1)), -- 1: exactly one of them holds
    classes TEXT NOT NULL -- JSON, a list of names; the first is on the key 1
) WITHOUT ROWID;

-- What readers did, so that it can be undone, also after a restart.
CREATE TABLE label_actions (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    case_row INTEGER NOT NULL REFERENCES cases (row) ON DELETE CASCADE,
    reader TEXT NOT NULL COLLATE NOCASE,
    at TEXT NOT NULL,
    changes TEXT NOT NULL, -- JSON: [name, value before, value after], null for no row
    undone INTEGER NOT NULL DEFAULT 0 CHECK (undone IN (0, 1))
);
CREATE INDEX label_actions_reader ON label_actions (reader, undone, row);
CREATE INDEX label_actions_case ON label_actions (case_row);

-- Schema 1 of the case library. Never edited once released: changes are later files.

-- Single values: `generation`, `key_check`, `created`.
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;

CREATE TABLE sources (
    row INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    format TEXT NOT NULL,
    root TEXT NOT NULL
);

CREATE TABLE cases (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    source INTEGER NOT NULL REFERENCES sources (row),
    patient TEXT, -- keyed hash
    modality TEXT,
    body_part TEXT,
    view TEXT,
    sex TEXT CHECK (sex IN ('F', 'M', 'O')),
    age INTEGER CHECK (age BETWEEN 0 AND 150),
    date TEXT,
    split TEXT
);
CREATE INDEX cases_source ON cases (source);
CREATE INDEX cases_patient ON cases (patient);

CREATE TABLE images (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    case_row INTEGER NOT NULL REFERENCES cases (row) ON DELETE CASCADE,
    path TEXT NOT NULL, -- below the source's root
    bytes INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    perceptual BLOB CHECK (length(perceptual) = 32),
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    view TEXT,
    UNIQUE (case_row, path)
);
CREATE INDEX images_path ON images (path);
CREATE INDEX images_sha256 ON images (sha256);

-- Reports, captions and questions: everything that is searched by words.
CREATE TABLE texts (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    case_row INTEGER NOT NULL REFERENCES cases (row) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('report', 'caption', 'question')),
    body TEXT NOT NULL,
    answer TEXT,
    digest BLOB NOT NULL, -- of the content, so that nothing is there twice
    UNIQUE (case_row, digest)
);
CREATE VIEW reports AS SELECT row, case_row, kind, body FROM texts WHERE kind <> 'question';

CREATE TABLE questions (
    text_row INTEGER PRIMARY KEY REFERENCES texts (row) ON DELETE CASCADE,
    answer_type TEXT,
    question_type TEXT,
    language TEXT,
    reference TEXT,
    split TEXT
);

CREATE VIRTUAL TABLE words USING fts5 (
    body, answer,
    content = 'texts', content_rowid = 'row',
    tokenize = 'unicode61 remove_diacritics 2'
);
-- Deleted words leave the index at once, not with the next merge.
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER texts_inserted AFTER INSERT ON texts BEGIN
    INSERT INTO words (rowid, body, answer) VALUES (new.row, new.body, new.answer);
END;
CREATE TRIGGER texts_deleted AFTER DELETE ON texts BEGIN
    INSERT INTO words (words, rowid, body, answer) VALUES ('delete', old.row, old.body, old.answer);
END;
CREATE TRIGGER texts_updated AFTER UPDATE OF body, answer ON texts BEGIN
    INSERT INTO words (words, rowid, body, answer) VALUES ('delete', old.row, old.body, old.answer);
    INSERT INTO words (rowid, body, answer) VALUES (new.row, new.body, new.answer);
END;

CREATE TABLE labels (
    case_row INTEGER NOT NULL REFERENCES cases (row) ON DELETE CASCADE,
    name TEXT NOT NULL COLLATE NOCASE,
    value INTEGER NOT NULL CHECK (value IN (1, 0, -1)), -- not mentioned: no row
    PRIMARY KEY (case_row, name)
) WITHOUT ROWID;
CREATE INDEX labels_name ON labels (name, value);

CREATE TABLE boxes (
    row INTEGER PRIMARY KEY,
    case_row INTEGER NOT NULL REFERENCES cases (row) ON DELETE CASCADE,
    image_row INTEGER NOT NULL REFERENCES images (row) ON DELETE CASCADE,
    label TEXT NOT NULL,
    x REAL NOT NULL, y REAL NOT NULL, width REAL NOT NULL, height REAL NOT NULL,
    UNIQUE (image_row, label, x, y, width, height)
);
CREATE INDEX boxes_case ON boxes (case_row);

CREATE TABLE spaces (
    row INTEGER PRIMARY KEY,
    pack TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('image', 'report')),
    dim INTEGER NOT NULL CHECK (dim > 0),
    UNIQUE (pack, kind)
);

CREATE TABLE embeddings (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    space INTEGER NOT NULL REFERENCES spaces (row) ON DELETE CASCADE,
    case_row INTEGER NOT NULL REFERENCES cases (row) ON DELETE CASCADE,
    image_row INTEGER REFERENCES images (row) ON DELETE CASCADE,
    vector BLOB NOT NULL -- 16-bit floats, little endian
);
CREATE UNIQUE INDEX embeddings_of ON embeddings (case_row, space, ifnull(image_row, 0));
CREATE INDEX embeddings_space ON embeddings (space);
CREATE INDEX embeddings_image ON embeddings (image_row);

CREATE TABLE adapters (
    row INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    pack TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    created TEXT NOT NULL
);

CREATE TABLE runs (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, -- training, evaluation, embedding
    pack TEXT NOT NULL,
    adapter TEXT,
    started TEXT NOT NULL,
    finished TEXT,
    settings TEXT NOT NULL, -- JSON
    outcome TEXT -- JSON
);

-- What was done to the library: append only.
CREATE TABLE audit (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL -- JSON, without patient data
);
CREATE TRIGGER audit_not_changed BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_not_deleted BEFORE DELETE ON audit BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;

CREATE TABLE imports (
    row INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES sources (row),
    settings TEXT NOT NULL, -- digest of format, table, columns, policy
    state TEXT NOT NULL, -- digest of the table or list of files
    next_row INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    joined INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    redacted INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    UNIQUE (source, settings)
);

CREATE TABLE rejects (
    import_row INTEGER NOT NULL REFERENCES imports (row) ON DELETE CASCADE,
    number INTEGER NOT NULL, -- of the row, counted from 1
    code TEXT NOT NULL,
    reason TEXT NOT NULL, -- without patient data
    PRIMARY KEY (import_row, number)
) WITHOUT ROWID;

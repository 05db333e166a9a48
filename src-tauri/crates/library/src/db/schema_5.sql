-- Schema 5 of the case library: which cases a run saw, and where it lies. Never edited once released.

-- The run's folder below LUCENCY_HOME, its parts divided by `/`; none if it has none, or it was removed.
ALTER TABLE runs ADD COLUMN path TEXT;
-- Cases that the run saw and that were deleted since.
ALTER TABLE runs ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;

CREATE TABLE run_cases (
    run INTEGER NOT NULL REFERENCES runs (row) ON DELETE CASCADE,
    case_row INTEGER NOT NULL REFERENCES cases (row) ON DELETE CASCADE,
    part TEXT NOT NULL CHECK (part IN ('trained', 'judged')),
    PRIMARY KEY (run, case_row)
) WITHOUT ROWID;
CREATE INDEX run_cases_case ON run_cases (case_row);
CREATE TRIGGER run_cases_deleted AFTER DELETE ON run_cases BEGIN
    UPDATE runs SET deleted = deleted + 1 WHERE row = old.run;
END;

-- Schema 2 of the case library: what embedding and searching by vectors need. Never edited once released.

-- The generation that the last change of a space's embeddings led to (changes raise it as their last step): an index of
-- that generation is not stale, whatever else came or went since.
ALTER TABLE spaces ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
UPDATE spaces SET changed = (SELECT value FROM meta WHERE key = 'generation');
CREATE TRIGGER embeddings_inserted AFTER INSERT ON embeddings BEGIN
    UPDATE spaces SET changed = (SELECT value + 1 FROM meta WHERE key = 'generation') WHERE row = new.space;
END;
CREATE TRIGGER embeddings_deleted AFTER DELETE ON embeddings BEGIN
    UPDATE spaces SET changed = (SELECT value + 1 FROM meta WHERE key = 'generation') WHERE row = old.space;
END;

-- SHA-256 of the decoded pixels of the frame that was embedded, so that an image is known again in another file.
ALTER TABLE images ADD COLUMN pixels BLOB;
CREATE INDEX images_pixels ON images (pixels) WHERE pixels IS NOT NULL;

-- Images that could not be decoded for an embedding: they are not tried again until the file changes.
CREATE TABLE unreadable (
    space INTEGER NOT NULL REFERENCES spaces (row) ON DELETE CASCADE,
    image_row INTEGER NOT NULL REFERENCES images (row) ON DELETE CASCADE,
    code TEXT NOT NULL,
    PRIMARY KEY (space, image_row)
) WITHOUT ROWID;
CREATE INDEX unreadable_image ON unreadable (image_row);

-- What was made of an earlier file or report is not about the new one.
CREATE TRIGGER images_changed AFTER UPDATE OF sha256 ON images WHEN old.sha256 <> new.sha256 BEGIN
    DELETE FROM embeddings WHERE image_row = new.row;
    DELETE FROM unreadable WHERE image_row = new.row;
    UPDATE images SET pixels = NULL WHERE row = new.row;
END;
CREATE TRIGGER reports_added AFTER INSERT ON texts WHEN new.kind <> 'question' BEGIN
    DELETE FROM embeddings WHERE case_row = new.case_row AND image_row IS NULL;
END;

-- Cases with reports, without reading a report.
CREATE INDEX texts_reports ON texts (case_row) WHERE kind <> 'question';

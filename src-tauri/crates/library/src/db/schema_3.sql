-- Schema 3 of the case library: what ranking and filtering a million texts needs. Never edited once released.

-- 4096 texts a block, by their rows: how many words each has, and the row of its case, as 32-bit numbers, little endian; 0
-- for a row without a text. Blocks that are full are kept here, the last one is read from the tables.
CREATE TABLE text_blocks (block INTEGER PRIMARY KEY, lengths BLOB NOT NULL, cases BLOB NOT NULL);

CREATE INDEX cases_modality ON cases (modality);
CREATE INDEX cases_body_part ON cases (body_part);
CREATE INDEX cases_sex ON cases (sex);
CREATE INDEX cases_age ON cases (age);

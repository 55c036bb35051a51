-- What was put back from backups: told as an event at the next start.
CREATE TABLE restorations (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    made      INTEGER NOT NULL,           -- when the backup was made
    restored  INTEGER NOT NULL,
    told      INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1))
) STRICT;

-- Which key seals the secrets of this database: a constant that only it opens.
CREATE TABLE vault (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    proof  BLOB NOT NULL
) STRICT;

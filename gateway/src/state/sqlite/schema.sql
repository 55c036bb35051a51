-- People are never deleted: a handle stands for one human for ever.
CREATE TABLE persons (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    handle    TEXT NOT NULL UNIQUE,
    disabled  INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created   INTEGER NOT NULL            -- milliseconds since 1970, as all times here
) STRICT;

-- A key is mapped once and for ever.
CREATE TABLE keys (
    spki_sha256  BLOB PRIMARY KEY CHECK (length(spki_sha256) = 32),
    person       INTEGER NOT NULL REFERENCES persons (id),
    added        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE factors (
    person   INTEGER PRIMARY KEY REFERENCES persons (id),
    sealing  INTEGER NOT NULL,            -- how seed is sealed: 1 = by the vault
    seed     BLOB NOT NULL,
    added    INTEGER NOT NULL
) STRICT;

CREATE TABLE attempts (
    person         INTEGER PRIMARY KEY REFERENCES persons (id),
    last_step      INTEGER,               -- largest TOTP step ever accepted
    failures       INTEGER NOT NULL DEFAULT 0,
    locked_until   INTEGER,
    locked_for_ever INTEGER NOT NULL DEFAULT 0 CHECK (locked_for_ever IN (0, 1)),
    last_sign_in   INTEGER
) STRICT;

CREATE TABLE sessions (
    id         BLOB PRIMARY KEY CHECK (length(id) = 16),
    person     TEXT NOT NULL,
    target     TEXT NOT NULL,
    source     TEXT NOT NULL,
    started    INTEGER NOT NULL,
    policy     BLOB NOT NULL CHECK (length(policy) = 32),
    recording  TEXT NOT NULL,
    ended      INTEGER,
    reason     TEXT,
    operations INTEGER NOT NULL DEFAULT 0,
    denied     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX sessions_by_start ON sessions (started);

CREATE TABLE policies (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    bytes    BLOB NOT NULL,
    applied  INTEGER NOT NULL,
    by_whom  TEXT NOT NULL
) STRICT;

CREATE TABLE clock (
    only          INTEGER PRIMARY KEY CHECK (only = 1),
    highest       INTEGER NOT NULL,
    stepped_at    INTEGER,
    step_seconds  INTEGER
) STRICT;

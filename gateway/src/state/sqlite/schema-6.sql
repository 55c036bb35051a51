-- A passkey belongs to one person and one relying party; its id is never used twice there.
CREATE TABLE passkeys (
    relying_party  TEXT NOT NULL,         -- the RP id under which it was registered
    credential     BLOB NOT NULL CHECK (length(credential) BETWEEN 1 AND 1023),
    person         INTEGER NOT NULL REFERENCES persons (id),
    name           TEXT NOT NULL,         -- what its owner calls it
    public         TEXT NOT NULL,         -- public key and properties, JSON; nothing secret
    counter        INTEGER NOT NULL CHECK (counter BETWEEN 0 AND 4294967295),
    added          INTEGER NOT NULL,
    last_used      INTEGER,
    PRIMARY KEY (relying_party, credential),
    UNIQUE (person, name)
) STRICT, WITHOUT ROWID;

-- What authenticators know a person by: random, so that it says nothing.
CREATE TABLE user_handles (
    person  INTEGER PRIMARY KEY REFERENCES persons (id),
    handle  BLOB NOT NULL UNIQUE CHECK (length(handle) = 16)
) STRICT;

-- From what invented credential ids are made; it must outlive a restart.
CREATE TABLE decoys (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    sealing  INTEGER NOT NULL,            -- how key is sealed: 1 = by the vault
    key      BLOB NOT NULL
) STRICT;

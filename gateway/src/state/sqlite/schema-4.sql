-- Invitations: of the secret only a hash, from which no proof can be made.
CREATE TABLE invitations (
    id       BLOB PRIMARY KEY CHECK (length(id) = 16),
    handle   TEXT NOT NULL,
    stored   BLOB NOT NULL CHECK (length(stored) = 32),
    made     INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    by_whom  TEXT NOT NULL,
    ended    INTEGER,                     -- NULL while it is open
    outcome  TEXT CHECK (outcome IN ('used', 'withdrawn', 'expired')),
    CHECK ((ended IS NULL) = (outcome IS NULL))
) STRICT, WITHOUT ROWID;
-- One open invitation a person at most.
CREATE UNIQUE INDEX invitations_open ON invitations (handle) WHERE ended IS NULL;

-- Certificates of the gateway's own authorities.
CREATE TABLE certificates (
    serial       BLOB PRIMARY KEY CHECK (length(serial) = 16),
    authority    BLOB NOT NULL CHECK (length(authority) = 32),
    person       INTEGER NOT NULL REFERENCES persons (id),
    spki_sha256  BLOB NOT NULL REFERENCES keys (spki_sha256),
    issued       INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    revoked      INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_by_authority ON certificates (authority, expires);
CREATE INDEX certificates_by_person ON certificates (person, expires);

-- The number of the newest revocation list that each authority signed.
CREATE TABLE revocation_lists (
    authority  BLOB PRIMARY KEY CHECK (length(authority) = 32),
    number     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counts the removals of a person's second factors: a sign-in that was proven before one does not outlive it.
ALTER TABLE persons ADD COLUMN factor_epoch INTEGER NOT NULL DEFAULT 0;

"""The SQL that makes the index of `data/` and compares its two sides."""

__all__ = ["ADOPT", "ALIKE", "COMPARE", "IN_THE_WAY", "ONLY_THERE", "SCHEMA"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS known (
    place TEXT, name BLOB, size INTEGER, ns INTEGER, time INTEGER, PRIMARY KEY (place, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS begun (
    place TEXT, name BLOB, size INTEGER, ns INTEGER, time INTEGER, PRIMARY KEY (place, name)
) WITHOUT ROWID;
CREATE TEMP TABLE here (
    name BLOB PRIMARY KEY, kind TEXT, size INTEGER, time INTEGER, ns INTEGER, held INTEGER,
    target BLOB
) WITHOUT ROWID;
CREATE TEMP TABLE there (
    name BLOB PRIMARY KEY, kind TEXT, size INTEGER, time INTEGER, ns INTEGER, held INTEGER,
    target BLOB
) WITHOUT ROWID;
CREATE TEMP TABLE files (name BLOB PRIMARY KEY, state TEXT, planned INTEGER) WITHOUT ROWID;
"""
# A file that was transferred is as known if it has the size and time of then. Times there are whole
# seconds, so here they say more: a file that was written again within the same second is changed.
# One that changed on both sides may differ although its size and second are the same.
# Of one that was not transferred nobody knows which side has it from the other: the later time may
# be that of a clock which is wrong, or of somebody else's file of that name.
COMPARE = """
INSERT INTO files SELECT name, CASE
        WHEN h.kind != 'f' OR t.kind != 'f' THEN 'blocked'
        WHEN t.name IS NULL THEN 'here_only'
        WHEN h.size = t.size AND h.time = t.time
            AND (k.name IS NULL OR (h.size = k.size AND h.ns = k.ns)) THEN 'same'
        WHEN k.name IS NULL THEN 'changed_both'
        WHEN h.size = k.size AND h.ns = k.ns AND t.size = k.size AND t.time = k.time THEN 'same'
        WHEN t.size = k.size AND t.time = k.time THEN 'changed_here'
        WHEN h.size = k.size AND h.ns = k.ns THEN 'changed_there'
        ELSE 'changed_both' END, 0
    FROM here h LEFT JOIN there t USING (name) LEFT JOIN (
        SELECT * FROM known WHERE place = ?) k USING (name)
    WHERE h.kind = 'f' OR t.kind = 'f';
"""
ONLY_THERE = """
INSERT INTO files SELECT name, 'there_only', 0 FROM there t LEFT JOIN here h USING (name)
    WHERE t.kind = 'f' AND h.name IS NULL;
"""
# Names that differ in capitals alone, those that are here first.
ALIKE = """
WITH names AS (SELECT folded(name) AS folded, name, max(is_here) AS is_here FROM (
        SELECT name, 1 AS is_here FROM here UNION ALL SELECT name, 0 FROM there) GROUP BY name)
    SELECT folded, name, is_here FROM names WHERE folded IN (
        SELECT folded FROM names GROUP BY folded HAVING count(*) > 1)
    ORDER BY folded, is_here DESC, name;
"""
# What a transfer that was ended had sent: it has the size and time there that it was sent with.
ADOPT = """
INSERT OR REPLACE INTO known SELECT b.* FROM begun b JOIN there t USING (name)
    WHERE b.place = ? AND t.kind = 'f' AND t.size = b.size AND t.time = b.time;
"""
# Below a name that is a folder on one side only; `0` comes after the slash.
IN_THE_WAY = """
SELECT h.name FROM here h JOIN there t USING (name) WHERE (h.kind = 'd') != (t.kind = 'd');
"""

-- name: connection.all
-- Every connection of every org, for the snapshot.
SELECT id, org_id, name, transport, url, command, cwd, bodies, enabled, state, reason, seen_at,
       created_at, idle_s, edition, trust
FROM connections ORDER BY org_id, name

-- name: connection.add
-- A new upstream, unless a virtual MCP has the name.
INSERT INTO connections (id, org_id, name, transport, url, command, cwd, bodies, created_at,
                         trust)
SELECT :id, :org_id, :name, :transport, :url, :command, :cwd, :bodies, :now, :trust
WHERE NOT EXISTS (SELECT 1 FROM virtuals WHERE org_id = :org_id AND name = :name)

-- name: connection.edit
-- Replace what an operator may change, if nobody changed it since it was read: what is sealed in the
-- same unit is meant for the target that was read. What was found out about that is forgotten.
UPDATE connections
SET name = :name, url = :url, command = :command, cwd = :cwd, bodies = :bodies,
    idle_s = :idle_s, trust = :trust, state = 'unknown', reason = NULL, edition = edition + 1
WHERE org_id = :org_id AND id = :id AND edition = :edition
  AND NOT EXISTS (SELECT 1 FROM virtuals WHERE org_id = :org_id AND name = :name)
RETURNING id

-- name: connection.enable
-- Serve it, or stop serving it, if nobody changed it since it was read.
UPDATE connections
SET enabled = :enabled, state = 'unknown', reason = NULL, edition = edition + 1
WHERE org_id = :org_id AND id = :id AND edition = :edition
RETURNING id

-- name: connection.approve
-- Count what is approved of a pinned connection as an edit of it, if nobody changed it since.
UPDATE connections SET edition = edition + 1
WHERE org_id = :org_id AND id = :id AND edition = :edition AND trust = 'pinned'
RETURNING id

-- name: connection.observe
-- What the last contact showed, unless it is known. A row removed or edited meanwhile is left alone.
UPDATE connections SET state = :state, reason = :reason, seen_at = COALESCE(:seen_at, seen_at)
WHERE org_id = :org_id AND id = :id AND edition = :edition
  AND (state <> :state OR COALESCE(reason, '') <> COALESCE(:reason, ''))
RETURNING id

-- name: connection.remove
-- Remove it, unless a virtual MCP is made of it; credentials and definitions go with it.
DELETE FROM connections
WHERE org_id = :org_id AND id = :id
  AND NOT EXISTS (SELECT 1 FROM virtual_children WHERE org_id = :org_id AND child_id = :id)
RETURNING id

-- name: credential.all
-- Every sealed value, for the snapshot. They are opened when first used.
SELECT connection_id, kind, name, org_id, blob FROM credentials
ORDER BY connection_id, kind, name

-- name: credential.count
-- How many values each org has sealed.
SELECT org_id, COUNT(*) AS n FROM credentials GROUP BY org_id ORDER BY org_id

-- name: credential.put
-- Seal a value of a connection, or replace it.
INSERT INTO credentials (connection_id, kind, name, org_id, blob)
VALUES (:connection_id, :kind, :name, :org_id, :blob)
ON CONFLICT (connection_id, kind, name) DO UPDATE SET blob = excluded.blob

-- name: credential.drop
-- Take one value away.
DELETE FROM credentials
WHERE org_id = :org_id AND connection_id = :connection_id AND kind = :kind AND name = :name

-- name: definitions.all
-- Every known tool list, for the snapshot.
SELECT connection_id, tools, listed_at FROM definitions

-- name: definitions.get
-- The tool list of a connection as it was read; none if it was edited since.
SELECT tools, listed_at FROM definitions
WHERE org_id = :org_id AND connection_id = (
    SELECT id FROM connections
    WHERE org_id = :org_id AND id = :connection_id AND edition = :edition
)

-- name: definitions.put
-- Remember a tool list received whole, if it is another, and the one before it. A connection removed
-- or edited meanwhile keeps none of it.
INSERT INTO definitions (connection_id, org_id, tools, listed_at)
SELECT id, org_id, :tools, :now FROM connections
WHERE org_id = :org_id AND id = :connection_id AND edition = :edition
ON CONFLICT (connection_id) DO UPDATE
SET previous = definitions.tools, tools = excluded.tools, listed_at = excluded.listed_at
WHERE definitions.tools <> excluded.tools
RETURNING connection_id

-- name: definitions.seen
-- The list was received once more, and is the same.
UPDATE definitions SET listed_at = :now WHERE org_id = :org_id AND connection_id = :connection_id

-- name: definitions.previous
-- The list before the present one; none while there was only one.
SELECT previous FROM definitions
WHERE org_id = :org_id AND connection_id = :connection_id AND previous IS NOT NULL

-- name: definitions.drop
-- Forget the tool list of a target that was changed.
DELETE FROM definitions WHERE org_id = :org_id AND connection_id = :connection_id

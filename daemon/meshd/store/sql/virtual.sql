-- name: virtual.all
-- Every virtual MCP of every org, for the snapshot.
SELECT id, org_id, name, description, instructions, mode, naming, enabled, maker, owner_id,
       created_at, edition
FROM virtuals ORDER BY org_id, name

-- name: virtual.children
-- What all of them are made of, for the snapshot.
SELECT virtual_id, child_id, tools, resources, prompts, overrides
FROM virtual_children ORDER BY virtual_id, position, child_id

-- name: virtual.add
-- A new one, unless a connection has the name.
INSERT INTO virtuals (id, org_id, name, description, instructions, mode, naming, maker, owner_id,
                      created_at)
SELECT :id, :org_id, :name, :description, :instructions, :mode, :naming, :maker, :owner_id, :now
WHERE NOT EXISTS (SELECT 1 FROM connections WHERE org_id = :org_id AND name = :name)
RETURNING id

-- name: virtual.edit
-- Replace what may be changed, if no virtual MCP of the org was since it was read: whether one
-- contains itself is seen in all of them.
UPDATE virtuals
SET name = :name, description = :description, instructions = :instructions, mode = :mode,
    naming = :naming, enabled = :enabled, edition = edition + 1
WHERE org_id = :org_id AND id = :id AND edition = :edition
  AND :editions = (SELECT CAST(SUM(edition) AS BIGINT) FROM virtuals WHERE org_id = :org_id)
  AND NOT EXISTS (SELECT 1 FROM connections WHERE org_id = :org_id AND name = :name)
RETURNING id

-- name: virtual.attach
-- Put a child behind the others, or say anew what is selected of it.
INSERT INTO virtual_children (virtual_id, child_id, org_id, position, tools, resources, prompts,
                              overrides)
SELECT :virtual_id, :child_id, :org_id,
       (SELECT COALESCE(MAX(position) + 1, 0) FROM virtual_children
        WHERE org_id = :org_id AND virtual_id = :virtual_id),
       :tools, :resources, :prompts, :overrides
WHERE EXISTS (SELECT 1 FROM connections WHERE org_id = :org_id AND id = :child_id)
   OR EXISTS (SELECT 1 FROM virtuals WHERE org_id = :org_id AND id = :child_id)
ON CONFLICT (virtual_id, child_id) DO UPDATE
SET tools = excluded.tools, resources = excluded.resources, prompts = excluded.prompts,
    overrides = excluded.overrides
RETURNING child_id

-- name: virtual.detach
-- Take a child out.
DELETE FROM virtual_children
WHERE org_id = :org_id AND virtual_id = :virtual_id AND child_id = :child_id
RETURNING child_id

-- name: virtual.remove
-- Remove it with what it says of its children, unless another one contains it.
DELETE FROM virtuals
WHERE org_id = :org_id AND id = :id
  AND NOT EXISTS (SELECT 1 FROM virtual_children WHERE org_id = :org_id AND child_id = :id)
RETURNING id

-- name: virtual.names
-- The names that were in dispute, read once at start.
SELECT org_id, virtual_id, held FROM virtual_names

-- name: virtual.hold
-- Say anew who bears the disputed names of one that is still there.
INSERT INTO virtual_names (virtual_id, org_id, held)
SELECT id, org_id, :held FROM virtuals WHERE org_id = :org_id AND id = :virtual_id
ON CONFLICT (virtual_id) DO UPDATE SET held = excluded.held

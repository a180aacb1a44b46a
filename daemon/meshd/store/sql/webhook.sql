-- name: webhook.all
-- Every webhook of every org, for the snapshot.
SELECT id, org_id, name, signature, type, secret, secret_before, before_until, maker, owner_id,
       state, reason, created_at, edition
FROM webhooks ORDER BY org_id, created_at DESC, id

-- name: webhook.add
-- Where a sender's events come in from now on.
INSERT INTO webhooks (id, org_id, name, signature, type, secret, maker, owner_id, created_at)
VALUES (:id, :org_id, :name, :signature, :type, :secret, :maker, :owner_id, :now)

-- name: webhook.turn
-- Pause it with a reason, or resume it.
UPDATE webhooks SET state = :state, reason = :reason, edition = edition + 1
WHERE org_id = :org_id AND id = :id AND state <> :state
RETURNING id

-- name: webhook.take_over
-- Another maker; it takes events again.
UPDATE webhooks
SET maker = :maker, owner_id = :owner_id, state = 'active', reason = NULL, edition = edition + 1
WHERE org_id = :org_id AND id = :id
RETURNING id

-- name: webhook.rotate
-- Another secret, beside the one before until its end.
UPDATE webhooks
SET secret = :secret, secret_before = :secret_before, before_until = :before_until,
    edition = edition + 1
WHERE org_id = :org_id AND id = :id AND edition = :edition
RETURNING id

-- name: webhook.remove
-- Nothing comes in there any more.
DELETE FROM webhooks WHERE org_id = :org_id AND id = :id RETURNING id

-- name: subscription.all
-- Every subscription of every org, for the snapshot.
SELECT id, org_id, name, types, publisher, filter, kind, target, url, secret, maker, owner_id,
       state, reason, created_at, changed_at, ordered_by, old_secret, old_until, edition
FROM subscriptions ORDER BY org_id, name

-- name: subscription.add
-- Who hears what from now on.
INSERT INTO subscriptions (id, org_id, name, types, publisher, filter, kind, target, url, secret,
                           maker, owner_id, ordered_by, created_at)
VALUES (:id, :org_id, :name, :types, :publisher, :filter, :kind, :target, :url, :secret,
        :maker, :owner_id, :ordered_by, :now)

-- name: subscription.turn
-- Pause it with a reason, or resume it.
UPDATE subscriptions SET state = :state, reason = :reason, changed_at = :now, edition = edition + 1
WHERE org_id = :org_id AND id = :id AND state <> :state
RETURNING id

-- name: subscription.rotate
-- Another secret; the one before signs too for a while. Not if it was replaced meanwhile.
UPDATE subscriptions
SET secret = :secret, old_secret = :old_secret, old_until = :old_until, changed_at = :now,
    edition = edition + 1
WHERE org_id = :org_id AND id = :id AND edition = :edition
RETURNING id

-- name: subscription.take_over
-- Another filter, and whoever asks for it as its maker; it hears again.
UPDATE subscriptions
SET filter = :filter, maker = :maker, owner_id = :owner_id, state = 'active', reason = NULL,
    changed_at = :now, edition = edition + 1
WHERE org_id = :org_id AND id = :id
RETURNING id

-- name: subscription.remove
-- It hears nothing more.
DELETE FROM subscriptions WHERE org_id = :org_id AND id = :id RETURNING id

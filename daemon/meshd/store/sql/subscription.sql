-- name: subscription.all
-- Every subscription of every org, for the snapshot.
SELECT id, org_id, name, types, publisher, filter, kind, target, url, secret, maker, owner_id,
       state, reason, created_at, edition
FROM subscriptions ORDER BY org_id, name

-- name: subscription.add
-- Who hears what from now on.
INSERT INTO subscriptions (id, org_id, name, types, publisher, filter, kind, target, url, secret,
                           maker, owner_id, created_at)
VALUES (:id, :org_id, :name, :types, :publisher, :filter, :kind, :target, :url, :secret,
        :maker, :owner_id, :now)

-- name: subscription.turn
-- Pause it with a reason, or resume it.
UPDATE subscriptions SET state = :state, reason = :reason, edition = edition + 1
WHERE org_id = :org_id AND id = :id AND state <> :state
RETURNING id

-- name: subscription.remove
-- It hears nothing more.
DELETE FROM subscriptions WHERE org_id = :org_id AND id = :id RETURNING id

-- name: call.add
-- As everywhere, but one batch after the other, for the reason that event.add has: a batch is of one
-- org.
WITH turn AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended('calls ' || :org_id, 0))
)
INSERT INTO calls (id, org_id, at, connection_id, connection, tool, principal_id, principal, ok,
                   error, receive_us, decide_us, upstream_us, answer_us, arguments, result, cut,
                   client)
SELECT :id, :org_id, :at, :connection_id, :connection, :tool, :principal_id, :principal, :ok,
       :error, :receive_us, :decide_us, :upstream_us, :answer_us, :arguments, :result, :cut,
       :client
FROM turn
ON CONFLICT (id) DO NOTHING

-- A second wall between orgs: even a statement that forgets its filter sees one org's rows alone.
-- The daemon names the org, or * where it reads for all, with each transaction; without a name
-- nothing is seen. FORCE holds the tables' owner to it too. A superuser, and a role with BYPASSRLS,
-- pass regardless: meshctl doctor tells.
-- Builds on the table of 0201.

ALTER TABLE calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE calls FORCE ROW LEVEL SECURITY;
CREATE POLICY one_org ON calls
    USING (org_id = current_setting('meshctl.org', true)
           OR current_setting('meshctl.org', true) = '*');

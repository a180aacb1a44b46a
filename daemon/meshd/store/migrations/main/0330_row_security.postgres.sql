-- A second wall between orgs: even a statement that forgets its filter sees one org's rows alone.
-- The daemon names the org, or * where it reads for all, with each transaction; without a name
-- nothing is seen. FORCE holds the tables' owner to it too. A superuser, and a role with BYPASSRLS,
-- pass regardless: meshctl doctor tells.
-- Builds on the tables of 0200.

ALTER TABLE connections ENABLE ROW LEVEL SECURITY;
ALTER TABLE connections FORCE ROW LEVEL SECURITY;
CREATE POLICY one_org ON connections
    USING (org_id = current_setting('meshctl.org', true)
           OR current_setting('meshctl.org', true) = '*');

ALTER TABLE credentials ENABLE ROW LEVEL SECURITY;
ALTER TABLE credentials FORCE ROW LEVEL SECURITY;
CREATE POLICY one_org ON credentials
    USING (org_id = current_setting('meshctl.org', true)
           OR current_setting('meshctl.org', true) = '*');

ALTER TABLE data_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE data_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY one_org ON data_keys
    USING (org_id = current_setting('meshctl.org', true)
           OR current_setting('meshctl.org', true) = '*');

ALTER TABLE definitions ENABLE ROW LEVEL SECURITY;
ALTER TABLE definitions FORCE ROW LEVEL SECURITY;
CREATE POLICY one_org ON definitions
    USING (org_id = current_setting('meshctl.org', true)
           OR current_setting('meshctl.org', true) = '*');

ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
CREATE POLICY one_org ON events
    USING (org_id = current_setting('meshctl.org', true)
           OR current_setting('meshctl.org', true) = '*');

ALTER TABLE keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE keys FORCE ROW LEVEL SECURITY;
CREATE POLICY one_org ON keys
    USING (org_id = current_setting('meshctl.org', true)
           OR current_setting('meshctl.org', true) = '*');

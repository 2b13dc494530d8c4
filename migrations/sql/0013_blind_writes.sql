-- A channel that neither compares nor adds is written blindly: what it sold between our reading and our writing is
-- overwritten, and found by reading back.
alter table push_attempt add column blind boolean not null default false;
create index push_attempt_blind on push_attempt (merchant_id, channel_id, closed_at) where blind;

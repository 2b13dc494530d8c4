-- A comparison of all numbers that broke off goes on where it was: a shop of a hundred thousand that throttles now and
-- then would have it begin for ever.
alter table channel_poll add column resume_after bigint;  -- the last number (owner id) that it read

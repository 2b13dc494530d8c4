-- How far a shop's clock is ahead of ours (behind: negative), as its answers say. What it stamps is in its own time.
alter table channel add column clock_skew_s double precision not null default 0;

-- How late a channel's deliveries come, so that polls can follow.

-- Of the kind 'orders': the delay of its deliveries (seconds, smoothed, none before the first), and how long the last
-- complete reading took.
alter table channel_poll add column told_after_s double precision;
alter table channel_poll add column took_s double precision not null default 0;

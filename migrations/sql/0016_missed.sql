-- Of the kind 'orders': which share of a channel's new orders no delivery told us of (smoothed), so that polls can follow.
alter table channel_poll add column missed_share double precision not null default 0;

-- What channels sell changes: products come, go and are renamed after the shop was connected.

alter table channel_poll drop constraint channel_poll_kind_check;
alter table channel_poll add constraint channel_poll_kind_check
    check (kind in ('orders', 'sweep', 'known', 'stock', 'push', 'webhooks', 'import', 'products'));
insert into channel_poll (merchant_id, channel_id, kind, due_at, read_through)
select merchant_id, channel_id, 'products', now(), now() from channel;

-- When a catalogue last named it, and since when the channel is known not to have it any more.
alter table listing add column seen_at timestamptz;
alter table listing add column gone_at timestamptz;

-- Products to be read by their key: something named them that no listing is, or that says otherwise. A row stays when
-- it was answered, so that nothing is asked for again and again. `misses`: how often the channel had no such thing.
create table product_wanted (
    merchant_id bigint not null,
    channel_id  bigint not null,
    key         text collate "C" not null,
    due_at      timestamptz not null,  -- infinity: answered
    asked_at    timestamptz not null,
    read_at     timestamptz,
    misses      smallint not null default 0,
    primary key (merchant_id, channel_id, key),
    foreign key (merchant_id, channel_id) references channel
);
create index product_wanted_due on product_wanted (merchant_id, channel_id, due_at) where due_at < 'infinity';

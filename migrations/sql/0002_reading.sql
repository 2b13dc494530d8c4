-- Reading: what need not be read again, first imports that survive a restart, webhooks that are looked after.

-- When a reading last said what we hold of an order: one of the same version need not be read again.
alter table sales_order add column read_at timestamptz;

alter table channel_poll drop constraint channel_poll_kind_check;
alter table channel_poll add constraint channel_poll_kind_check
    check (kind in ('orders', 'sweep', 'known', 'stock', 'push', 'webhooks', 'import'));

-- A first import or a back-fill: how far it got, so that a process that dies costs nothing. One of each kind a channel.
create table channel_import (
    merchant_id  bigint not null,
    channel_id   bigint not null,
    what         text not null check (what in ('catalogue', 'orders')),
    since        timestamptz not null,  -- of the orders' window; it moves up as pages are stored
    until        timestamptz not null,
    state        text not null default 'waiting'
                 check (state in ('waiting', 'exporting', 'reading', 'paging', 'done', 'failed')),
    export_key   text,  -- the channel's own name for the file it prepares
    file_offset  bigint not null default 0,  -- the byte of the file up to which all is stored
    exports      integer not null default 0,  -- files asked for so far
    objects      bigint not null default 0,  -- as the channel counts them
    stored       bigint not null default 0,
    last_error   text,
    requested_at timestamptz not null,
    completed_at timestamptz,
    primary key (merchant_id, channel_id, what),
    foreign key (merchant_id, channel_id) references channel
);

insert into channel_poll (merchant_id, channel_id, kind, due_at, read_through)
select merchant_id, channel_id, kind, now(), now() from channel cross join (values ('webhooks'), ('known')) k(kind);

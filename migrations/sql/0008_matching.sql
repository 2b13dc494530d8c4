-- From a connected shop to its first correct push: how far an import is, which item a listing is, what opens the ledger,
-- and the numbers that a person approves before any is written.

alter table listing add column barcode text;
alter table listing add column unit_cost numeric(18, 4);

-- How fast an import goes: its pieces since `began_at`, the last one at `moved_at`.
alter table channel_import add column began_at timestamptz;
alter table channel_import add column moved_at timestamptz;
alter table channel_import add column file_size bigint;
alter table channel_import drop constraint channel_import_state_check;
alter table channel_import add constraint channel_import_state_check
    check (state in ('waiting', 'exporting', 'reading', 'paging', 'done', 'failed', 'canceled'));

-- What a listing that is no item yet probably is. Made anew for a whole channel at once.
create table match_proposal (
    merchant_id bigint not null,
    channel_id  bigint not null,
    listing_id  bigint not null,
    kind        text not null,
    item_id     bigint,               -- the item that it probably is
    item_sku    text collate "C",     -- else the SKU of the item that would be made of it
    confidence  smallint not null check (confidence between 0 and 100),
    made_at     timestamptz not null,
    primary key (merchant_id, listing_id),
    foreign key (merchant_id, channel_id) references channel
);
create index match_proposal_kind on match_proposal (merchant_id, channel_id, kind, listing_id);

-- What was accepted at once, so that it can be taken back at once.
create sequence match_batch_seq;
create table match_batch (
    merchant_id bigint not null,
    batch_id    bigint not null,
    channel_id  bigint not null,
    kinds       text[] not null,
    items       bigint not null,      -- made by it
    listings    bigint not null,      -- mapped by it
    made_at     timestamptz not null,
    made_by     text not null,
    undone_at   timestamptz,
    primary key (merchant_id, batch_id),
    foreign key (merchant_id, channel_id) references channel
);
create table match_batch_row (
    merchant_id bigint not null,
    batch_id    bigint not null,
    listing_id  bigint not null,
    item_id     bigint not null,
    item_made   boolean not null,
    primary key (merchant_id, batch_id, listing_id),
    foreign key (merchant_id, batch_id) references match_batch
);

-- Whose numbers open the ledger is asked once.
create table opening_choice (
    merchant_id bigint primary key references merchant,
    source      text not null check (source in ('shop', 'csv', 'zero')),
    channel_id  bigint,
    chosen_at   timestamptz not null,
    chosen_by   text not null,
    foreign key (merchant_id, channel_id) references channel
);
-- An item whose stock was taken over from a shop, if only as none: no other shop's number is ever added to it.
create table opened_item (
    merchant_id bigint not null,
    item_id     bigint not null,
    channel_id  bigint not null,
    opened_at   timestamptz not null,
    primary key (merchant_id, item_id),
    foreign key (merchant_id, item_id) references item on delete cascade,
    foreign key (merchant_id, channel_id) references channel
);
-- What a unit costs, from a table without stock: it values what a shop's numbers open.
create table known_cost (
    merchant_id bigint not null,
    item_id     bigint not null,
    unit_cost   numeric(18, 4) not null check (unit_cost >= 0),
    told_at     timestamptz not null,
    primary key (merchant_id, item_id),
    foreign key (merchant_id, item_id) references item on delete cascade
);

-- Until a person has approved what its first numbers would be, a channel is never written to.
alter table channel add column approved_at timestamptz;
update channel set approved_at = created_at;
create table first_push (
    merchant_id bigint not null,
    channel_id  bigint not null,
    digest      text not null,        -- of all its rows: what was approved is what was shown
    made_at     timestamptz not null,
    watermark   bigint not null,      -- the last movement that it knows of
    rises       bigint not null,
    falls       bigint not null,
    zeros       bigint not null,      -- fall to none
    unknown     bigint not null,      -- of those, because nobody said how many there are
    same        bigint not null,
    unread      bigint not null,      -- the shop's own number is not known yet
    approved_at timestamptz,
    approved_by text not null default '',
    moved       bigint not null default 0,  -- numbers that had moved when it was approved: shown again
    done_at     timestamptz,
    primary key (merchant_id, channel_id),
    foreign key (merchant_id, channel_id) references channel
);
create table first_push_row (
    merchant_id bigint not null,
    channel_id  bigint not null,
    owner_id    bigint not null,
    kind        text not null check (kind in ('up', 'down', 'zero', 'unknown', 'same', 'unread')),
    shown       bigint,
    target      bigint not null,
    reasons     jsonb not null,
    primary key (merchant_id, channel_id, owner_id),
    foreign key (merchant_id, channel_id) references first_push
);
create index first_push_row_kind on first_push_row (merchant_id, channel_id, kind, owner_id);

-- A table that was brought: kept until it is imported or a day old; and what an import did, so that it can be undone.
create sequence upload_seq;
create table upload (
    merchant_id bigint not null references merchant,
    upload_id   bigint not null,
    name        text not null,
    body        bytea not null,       -- compressed
    size        bigint not null,
    made_at     timestamptz not null,
    primary key (merchant_id, upload_id)
);
create sequence import_batch_seq;
create table import_batch (
    merchant_id bigint not null references merchant,
    batch_id    bigint not null,
    name        text not null,
    items       bigint not null,
    openings    bigint not null,
    units       bigint not null,
    made_at     timestamptz not null,
    made_by     text not null,
    undone_at   timestamptz,
    undone_by   text not null default '',
    primary key (merchant_id, batch_id)
);
create table import_batch_row (
    merchant_id bigint not null,
    batch_id    bigint not null,
    movement_id bigint not null,
    primary key (merchant_id, batch_id, movement_id),
    foreign key (merchant_id, batch_id) references import_batch
);
create index import_batch_movement on import_batch_row (merchant_id, movement_id);

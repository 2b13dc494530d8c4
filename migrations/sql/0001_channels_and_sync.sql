-- Channels, what they sell, what they told us, and what we owe them.

create sequence channel_seq;
create table channel (
    merchant_id        bigint not null references merchant,
    channel_id         bigint not null,
    platform           text not null,
    name               text not null,
    address            text not null,
    base_url           text not null,
    sealed_credentials bytea not null,
    state              text not null default 'active' check (state in ('active', 'paused', 'shadow', 'disconnected')),
    drift_policy       text not null default 'ledger_wins' check (drift_policy in ('ledger_wins', 'channel_wins', 'ask')),
    facts              jsonb not null default '{}',
    created_at         timestamptz not null,
    primary key (merchant_id, channel_id),
    constraint channel_name unique (merchant_id, name)
);

-- The registry: whose shop is this? Globally unique, so two merchants can't own one shop. Read through functions only.
create table channel_address (
    platform    text not null,
    address     text not null,
    merchant_id bigint not null,
    channel_id  bigint not null,
    constraint channel_address_taken primary key (platform, address)
);

-- A channel's places as ours. A channel without places has the key ''; several of our places may feed it.
create table channel_location (
    merchant_id  bigint not null,
    channel_id   bigint not null,
    location_key text collate "C" not null,
    location_id  bigint not null,
    primary key (merchant_id, channel_id, location_key, location_id),
    foreign key (merchant_id, channel_id) references channel,
    foreign key (merchant_id, location_id) references location
);

create sequence listing_seq;
create table listing (
    merchant_id bigint not null,
    listing_id  bigint not null,
    channel_id  bigint not null,
    listing_key text collate "C" not null,
    stock_key   text collate "C" not null,
    item_id     bigint,
    sku         text collate "C",
    title       text not null,
    tracked     boolean not null default true,
    primary key (merchant_id, listing_id),
    foreign key (merchant_id, channel_id) references channel,
    foreign key (merchant_id, item_id) references item,
    constraint listing_key unique (merchant_id, channel_id, listing_key)
);
create index listing_item on listing (merchant_id, item_id) where item_id is not null;
create index listing_sku on listing (merchant_id, channel_id, sku);

-- Who carries a number on a channel, the rule for it, and what we believe it shows.
create sequence stock_owner_seq;
create table stock_owner (
    merchant_id     bigint not null,
    owner_id        bigint not null,
    channel_id      bigint not null,
    stock_key       text collate "C" not null,
    location_key    text collate "C" not null,
    item_id         bigint,
    state           text not null default 'managed' check (state in ('managed', 'untracked', 'bundle', 'gone', 'refused')),
    reason          text not null default '',
    buffer          bigint not null default 0 check (buffer >= 0),
    buffer_percent  integer not null default 0 check (buffer_percent between 0 and 100),
    location_ids    bigint[],
    shown_min       bigint not null default 0 check (shown_min >= 0),
    shown_max       bigint check (shown_max >= shown_min),
    believed        bigint,
    belief_revision bigint not null default 0,
    believed_at     timestamptz,
    observed        bigint,
    observed_at     timestamptz,
    observed_revision bigint,
    look_since      timestamptz,
    hinted          bigint,  -- the number that a delivery spoke of, if that is why it is to be looked at
    doubts          smallint not null default 0,  -- looks in a row that contradicted the belief
    awaiting_since  timestamptz,
    unclear_attempt_id bigint,
    conflicts       integer not null default 0,
    primary key (merchant_id, owner_id),
    foreign key (merchant_id, channel_id) references channel,
    foreign key (merchant_id, item_id) references item,
    constraint stock_owner_key unique (merchant_id, channel_id, stock_key, location_key)
) with (fillfactor = 70);
create index stock_owner_item on stock_owner (merchant_id, item_id) where item_id is not null;
create index stock_owner_unsettled on stock_owner (merchant_id, channel_id)
    where observed_revision is not null or look_since is not null or unclear_attempt_id is not null;

-- Listings whose number may have to change. Only inserted and deleted, never updated: nobody waits for a lock, and a
-- change that comes while an older one is being written has a row of its own.
create sequence due_listing_seq cache 32;
create table due_listing (
    merchant_id bigint not null,
    channel_id  bigint not null,
    due_id      bigint not null,
    owner_id    bigint not null,
    marked_at   timestamptz not null,
    primary key (merchant_id, channel_id, due_id)
);

create sequence push_attempt_seq;
create table push_attempt (
    merchant_id bigint not null,
    attempt_id  bigint not null,
    channel_id  bigint not null,
    key         text not null,
    owner       text not null,
    state       text not null check (state in ('open', 'unclear', 'done')),
    opened_at   timestamptz not null,
    deadline    timestamptz not null,
    closed_at   timestamptz,
    error       text,
    primary key (merchant_id, attempt_id),
    foreign key (merchant_id, channel_id) references channel
);
create unique index push_attempt_one_open on push_attempt (merchant_id, channel_id) where state <> 'done';
create index push_attempt_recent on push_attempt (merchant_id, channel_id, attempt_id);

create table push_row (
    merchant_id    bigint not null,
    attempt_id     bigint not null,
    owner_id       bigint not null,
    expected       bigint not null,
    target         bigint not null,
    relative       boolean not null,
    due_since      timestamptz not null,
    due_ids        bigint[] not null,
    reasons        jsonb not null,
    outcome        text,
    quantity_after bigint,
    detail         text,
    primary key (merchant_id, attempt_id, owner_id),
    foreign key (merchant_id, attempt_id) references push_attempt
);
create index push_row_owner on push_row (merchant_id, owner_id, attempt_id);

-- One row per channel and kind of reading: when it is due, how far it got, who is at it until when.
create table channel_poll (
    merchant_id  bigint not null,
    channel_id   bigint not null,
    kind         text not null check (kind in ('orders', 'sweep', 'stock', 'push')),
    due_at       timestamptz not null,
    read_through timestamptz not null,
    resume_from  timestamptz,  -- how far a reading got that broke off
    attempt      bigint not null default 0,
    owner        text,
    deadline     timestamptz,
    started_at   timestamptz,
    asked_at     timestamptz,  -- somebody waits for a reading begun after this
    completed_at timestamptz,
    failures     integer not null default 0,
    last_error   text,
    primary key (merchant_id, channel_id, kind),
    foreign key (merchant_id, channel_id) references channel
);

-- What channels told us, as told, without customer data. Daily partitions, dropped when they are old and done.
create sequence inbox_seq cache 32;
create table inbox (
    merchant_id  bigint not null,
    received_on  date not null,
    inbox_id     bigint not null,
    channel_id   bigint not null,
    kind         text not null check (kind in ('document', 'doorbell', 'observation')),
    origin       text not null check (origin in ('webhook', 'read')),
    topic        text not null,
    resource     text not null,
    resource_key text collate "C" not null,
    delivery_key text collate "C",
    body         bytea,
    observed_at  timestamptz not null,
    state        text not null default 'open' check (state in ('open', 'reading', 'done', 'parked')),
    reason       text,
    detail       text,
    attempts     integer not null default 0,
    deadline     timestamptz,
    received_at  timestamptz not null,
    done_at      timestamptz,
    primary key (merchant_id, received_on, inbox_id)
) partition by range (received_on);
create unique index inbox_delivery on inbox (merchant_id, received_on, channel_id, delivery_key) where delivery_key is not null;
create unique index inbox_doorbell on inbox (merchant_id, received_on, channel_id, resource, resource_key)
    where kind = 'doorbell' and state = 'open';
create index inbox_open on inbox (merchant_id, channel_id, kind, inbox_id) where state in ('open', 'reading');
create index inbox_parked on inbox (merchant_id, channel_id, reason, inbox_id) where state = 'parked';
create table inbox_other partition of inbox default;

create sequence sales_order_seq;
create table sales_order (
    merchant_id bigint not null,
    order_id    bigint not null,
    channel_id  bigint not null,
    order_key   text collate "C" not null,
    number      text not null default '',
    status      text not null default '',
    version     timestamptz,
    digest      bytea,
    read_digest bytea,
    observed_at timestamptz,
    posting_no  integer not null default 0,
    complete    boolean not null default true,
    located     boolean not null default true,
    frozen      boolean not null default false,
    placed_at   timestamptz,
    currency    text,
    recorded_at timestamptz not null,
    primary key (merchant_id, order_id),
    foreign key (merchant_id, channel_id) references channel,
    constraint sales_order_key unique (merchant_id, channel_id, order_key)
) with (fillfactor = 80);

create index sales_order_unlocated on sales_order (merchant_id, channel_id) where not located;

create table order_line (
    merchant_id bigint not null,
    order_id    bigint not null,
    line_key    text collate "C" not null,
    listing_key text collate "C",
    item_id     bigint,
    sku         text,
    quantity    bigint not null,
    unit_price  numeric(18, 4),
    primary key (merchant_id, order_id, line_key)
);
create index order_line_item on order_line (merchant_id, item_id, order_id) where item_id is not null;

-- The vector the ledger has posted for a line: units by item and place. `taken` is what the channel took off its own
-- number for them; it belongs to the belief about `owner_id`.
create table order_position (
    merchant_id bigint not null,
    order_id    bigint not null,
    line_key    text collate "C" not null,
    item_id     bigint not null,
    location_id bigint not null,
    owner_id    bigint,
    committed   bigint not null default 0 check (committed >= 0),
    shipped     bigint not null default 0 check (shipped >= 0),
    restocked   bigint not null default 0 check (restocked >= 0),
    damaged     bigint not null default 0 check (damaged >= 0),
    held        bigint not null default 0 check (held >= 0),
    taken       bigint not null default 0,
    primary key (merchant_id, order_id, line_key, item_id, location_id)
) with (fillfactor = 80);
create index order_position_committed on order_position (merchant_id, item_id) where committed > 0;

-- What a person should look at: drift, refused rows, goods to check. One open per subject.
create sequence case_seq;
create table case_file (
    merchant_id bigint not null,
    case_id     bigint not null,
    kind        text not null,
    channel_id  bigint,
    subject     text not null,
    detail      text not null,
    evidence    jsonb not null default '{}',
    state       text not null default 'open' check (state in ('open', 'explained', 'corrected', 'dismissed')),
    opened_at   timestamptz not null,
    closed_at   timestamptz,
    primary key (merchant_id, case_id)
);
create unique index case_file_one_open on case_file (merchant_id, kind, coalesce(channel_id, 0), subject) where state = 'open';

-- Refused deliveries are counted, never stored.
create table delivery_refusal (
    merchant_id bigint not null,
    channel_id  bigint not null,
    reason      text not null,
    refused_on  date not null,
    count       bigint not null,
    last_at     timestamptz not null,
    primary key (merchant_id, channel_id, reason, refused_on)
);

create table instance_setting (
    name  text primary key,
    value text not null
);

-- Marking what is due. The clock is the step's (`app.now`), so that the simulator's time holds here too.
create function step_now() returns timestamptz language sql stable as $$
    select coalesce(nullif(current_setting('app.now', true), '')::timestamptz, clock_timestamp())
$$;

-- A statement without parameters is planned once per connection: planned for one row it would be quadratic for a batch.
-- `execute` plans it for the rows there are.
create function mark_levels() returns trigger language plpgsql as $$
begin
    execute $sql$
    insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
    select o.merchant_id, o.channel_id, nextval('due_listing_seq'), o.owner_id, step_now()
    from (
        select n.merchant_id, n.item_id from after n
        join before b using (merchant_id, item_id, location_id)
        where n.available <> b.available
        union
        select n.merchant_id, k.kit_item_id from after n
        join before b using (merchant_id, item_id, location_id)
        join kit_component k on k.merchant_id = n.merchant_id and k.component_item_id = n.item_id
        where n.available <> b.available
    ) changed
    join stock_owner o on o.merchant_id = changed.merchant_id and o.item_id = changed.item_id and o.state = 'managed'
    $sql$;
    return null;
end $$;
create trigger mark_due after update on level
    referencing old table as before new table as after
    for each statement execute function mark_levels();

create function mark_owners() returns trigger language plpgsql as $$
begin
    execute $sql$
    insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
    select n.merchant_id, n.channel_id, nextval('due_listing_seq'), n.owner_id, step_now()
    from after n join before b using (merchant_id, owner_id)
    where n.state = 'managed' and n.item_id is not null
      and (n.item_id, n.state, n.buffer, n.buffer_percent, n.location_ids, n.shown_min, n.shown_max, n.believed,
           n.awaiting_since is null)
          is distinct from
          (b.item_id, b.state, b.buffer, b.buffer_percent, b.location_ids, b.shown_min, b.shown_max, b.believed,
           b.awaiting_since is null)
    $sql$;
    return null;
end $$;
create trigger mark_due after update on stock_owner
    referencing old table as before new table as after
    for each statement execute function mark_owners();

create function mark_new_owners() returns trigger language plpgsql as $$
begin
    insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
    select n.merchant_id, n.channel_id, nextval('due_listing_seq'), n.owner_id, step_now()
    from after n where n.state = 'managed' and n.item_id is not null;
    return null;
end $$;
create trigger mark_due_new after insert on stock_owner
    referencing new table as after
    for each statement execute function mark_new_owners();

create function mark_places() returns trigger language plpgsql as $$
begin
    insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
    select o.merchant_id, o.channel_id, nextval('due_listing_seq'), o.owner_id, step_now()
    from (select distinct merchant_id, channel_id from touched) t
    join stock_owner o using (merchant_id, channel_id)
    where o.state = 'managed' and o.item_id is not null;
    return null;
end $$;
create trigger mark_due_new after insert on channel_location
    referencing new table as touched for each statement execute function mark_places();
create trigger mark_due_gone after delete on channel_location
    referencing old table as touched for each statement execute function mark_places();

create function mark_kits() returns trigger language plpgsql as $$
begin
    insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
    select o.merchant_id, o.channel_id, nextval('due_listing_seq'), o.owner_id, step_now()
    from (select distinct merchant_id, kit_item_id from touched) t
    join stock_owner o on o.merchant_id = t.merchant_id and o.item_id = t.kit_item_id and o.state = 'managed';
    return null;
end $$;
create trigger mark_due_new after insert on kit_component
    referencing new table as touched for each statement execute function mark_kits();
create trigger mark_due_changed after update on kit_component
    referencing new table as touched for each statement execute function mark_kits();
create trigger mark_due_gone after delete on kit_component
    referencing old table as touched for each statement execute function mark_kits();

-- Merchants, places, items and the ledger. `merchant_id` leads every key.

create type stock_state as enum (
    'available', 'committed', 'damaged', 'quarantined', 'in_transit',
    'supplier', 'customer', 'shrinkage', 'opening', 'assembly');

create sequence merchant_seq;
create table merchant (
    merchant_id bigint primary key,
    name        text not null,
    currency    text not null check (currency ~ '^[A-Z]{3}$'),
    cost_method text not null check (cost_method in ('fifo', 'average')),
    time_zone   text not null default 'UTC',
    created_at  timestamptz not null,
    constraint merchant_name unique (name)
);

create sequence location_seq;
create table location (
    merchant_id bigint not null references merchant,
    location_id bigint not null,
    name        text not null,
    priority    integer not null default 100,
    active      boolean not null default true,
    primary key (merchant_id, location_id),
    constraint location_name unique (merchant_id, name)
);

create sequence item_seq;
create table item (
    merchant_id bigint not null references merchant,
    item_id     bigint not null,
    sku         text collate "C" not null check (length(sku) between 1 and 200),
    name        text not null,
    barcode     text,
    kind        text not null default 'stock' check (kind in ('stock', 'kit')),
    created_at  timestamptz not null,
    primary key (merchant_id, item_id),
    constraint item_sku unique (merchant_id, sku)
);
create index item_name on item (merchant_id, name, item_id);
create index item_barcode on item (merchant_id, barcode) where barcode is not null;

create table kit_component (
    merchant_id       bigint not null,
    kit_item_id       bigint not null,
    component_item_id bigint not null,
    quantity          bigint not null check (quantity between 1 and 1000000),
    primary key (merchant_id, kit_item_id, component_item_id),
    foreign key (merchant_id, kit_item_id) references item,
    foreign key (merchant_id, component_item_id) references item,
    constraint kit_of_itself check (kit_item_id <> component_item_id)
);
create index kit_component_of on kit_component (merchant_id, component_item_id);

-- An accounting month. A posting holds its row FOR SHARE; closing takes it FOR UPDATE and stores the closing figures.
create table period (
    merchant_id     bigint not null references merchant,
    month           date not null check (extract(day from month) = 1),
    closed_at       timestamptz,
    inventory_value numeric(18, 4),
    cogs            numeric(18, 4),
    primary key (merchant_id, month)
);

create sequence posting_seq cache 1;
create table movement (
    merchant_id          bigint not null,
    movement_id          bigint not null,
    item_id              bigint not null,
    quantity             bigint not null check (quantity > 0),
    from_state           stock_state not null,
    from_location_id     bigint,
    to_state             stock_state not null,
    to_location_id       bigint,
    source               text collate "C" not null,
    source_key           text collate "C" not null,
    reason               text,
    reverses_movement_id bigint,
    occurred_at          timestamptz not null,
    posted_on            date not null,
    recorded_at          timestamptz not null,
    primary key (merchant_id, movement_id),
    constraint movement_source_key unique (merchant_id, source, source_key),
    constraint movement_places check (
        (from_state in ('available', 'committed', 'damaged', 'quarantined', 'in_transit')) = (from_location_id is not null)
        and (to_state in ('available', 'committed', 'damaged', 'quarantined', 'in_transit')) = (to_location_id is not null)
        and (from_state, coalesce(from_location_id, 0)) <> (to_state, coalesce(to_location_id, 0)))
);
create index movement_item on movement (merchant_id, item_id, movement_id);
create index movement_reverses on movement (merchant_id, reverses_movement_id) where reverses_movement_id is not null;
create index movement_occurred on movement using brin (occurred_at);

-- One wide row, one lock, per item and place. in_transit counts what is on its way to the place.
create table level (
    merchant_id bigint not null,
    item_id     bigint not null,
    location_id bigint not null,
    available   bigint not null default 0,
    committed   bigint not null default 0,
    damaged     bigint not null default 0,
    quarantined bigint not null default 0,
    in_transit  bigint not null default 0,
    on_hand     bigint generated always as (available + committed + damaged + quarantined) stored,
    primary key (merchant_id, item_id, location_id),
    foreign key (merchant_id, item_id) references item,
    foreign key (merchant_id, location_id) references location
) with (fillfactor = 60);

-- What an item is worth over all places: the sums of its layers. Posting locks this row before any level.
create table item_cost (
    merchant_id   bigint not null,
    item_id       bigint not null,
    quantity      bigint not null default 0,
    value         numeric(18, 4) not null default 0,
    last_quantity bigint not null default 0,
    last_value    numeric(18, 4) not null default 0,
    primary key (merchant_id, item_id),
    foreign key (merchant_id, item_id) references item,
    constraint nothing_is_worth_nothing check (quantity <> 0 or value = 0)
) with (fillfactor = 60);

create table cost_layer (
    merchant_id       bigint not null,
    item_id           bigint not null,
    layer_id          bigint not null,
    kind              text not null check (kind in ('stock', 'shortage')),
    received_at       timestamptz not null,
    posting_id        bigint not null,
    account           text not null,
    received_quantity bigint not null,
    quantity          bigint not null,
    value             numeric(18, 4) not null,
    is_open           boolean not null,
    primary key (merchant_id, item_id, layer_id),
    constraint layer_sign check (case kind when 'stock' then quantity >= 0 else quantity <= 0 and value <= 0 end),
    constraint closed_layer_is_worth_nothing check (is_open = (quantity <> 0) and (is_open or value = 0))
) with (fillfactor = 60);
create index cost_layer_open on cost_layer (merchant_id, item_id, received_at, layer_id) where is_open;

-- One line has a debit, a credit and one amount, so the books balance by construction.
create table journal (
    merchant_id         bigint not null,
    posting_id          bigint not null,
    line                smallint not null,
    item_id             bigint not null,
    debit               text not null,
    credit              text not null,
    amount              numeric(18, 4) not null check (amount >= 0),
    provisional         boolean not null default false,
    corrects_posting_id bigint,
    posted_on           date not null,
    recorded_at         timestamptz not null,
    primary key (merchant_id, posting_id, line),
    constraint journal_two_accounts check (debit <> credit)
);
create index journal_corrects on journal (merchant_id, corrects_posting_id) where corrects_posting_id is not null;
create index journal_posted on journal using brin (posted_on);

-- Cost that arrives after its goods: a bill, freight. Split between what is left and what was sold.
create table cost_adjustment (
    merchant_id bigint not null,
    posting_id  bigint not null,
    item_id     bigint not null,
    movement_id bigint not null,
    amount      numeric(18, 4) not null check (amount <> 0),
    account     text not null,
    source      text collate "C" not null,
    source_key  text collate "C" not null,
    occurred_at timestamptz not null,
    posted_on   date not null,
    recorded_at timestamptz not null,
    primary key (merchant_id, posting_id),
    foreign key (merchant_id, movement_id) references movement,
    constraint cost_adjustment_source_key unique (merchant_id, source, source_key)
);
create index cost_adjustment_item on cost_adjustment (merchant_id, item_id);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: mend a mistake with a reversing movement', tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = 'append_only';
end $$;
do $$
declare t text;
begin
    foreach t in array array['movement', 'journal', 'cost_adjustment'] loop
        execute format('create trigger append_only before update or delete or truncate on %I '
                       'for each statement execute function refuse_change()', t);
    end loop;
end $$;

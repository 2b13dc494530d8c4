-- Buffers from probability: what a listing may oversell, and what was measured to keep it.

-- The chance that may be taken of selling what others have sold already; none: the fixed and the percent buffer apply.
alter table stock_owner add column oversell_target numeric
    constraint oversell_target_is_a_chance check (oversell_target between 0.00001 and 0.5);

-- How old a channel's numbers get (seconds, p99), and how the merchant's orders cluster within that time: one figure of
-- each array for none, one, and more orders right before. The merchant's order sizes beside it: units, and how many orders.
create table channel_staleness (
    merchant_id bigint not null,
    channel_id  bigint not null,
    arrival_s   double precision not null,
    push_s      double precision not null,
    arrivals    bigint not null,
    pushes      bigint not null,
    slopes      double precision[] not null,
    bases       double precision[] not null,
    follows     double precision[] not null,
    sales       bigint not null,
    order_units bigint[] not null,
    orders      bigint[] not null,
    measured_at timestamptz not null,
    primary key (merchant_id, channel_id),
    foreign key (merchant_id, channel_id) references channel
);

-- What a listing's item sells, and the units held back for it while fewer than `low_below` are available: by how many
-- orders came right before (none, one, more). `recent`: that number at the last look.
create table listing_demand (
    merchant_id   bigint not null,
    owner_id      bigint not null,
    target        numeric not null,
    own_per_day   double precision not null,
    others_per_day double precision not null,
    seen          bigint not null,
    order_units   bigint[] not null,
    order_chances double precision[] not null,
    units         bigint[] not null,
    low_below     bigint[] not null,
    recent        smallint not null default 0,
    refreshed_at  timestamptz not null,
    primary key (merchant_id, owner_id),
    foreign key (merchant_id, owner_id) references stock_owner
) with (fillfactor = 80);
create index stock_owner_by_chance on stock_owner (merchant_id, owner_id) where oversell_target is not null;

create function mark_demand() returns trigger language plpgsql as $$
begin
    insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
    select o.merchant_id, o.channel_id, nextval('due_listing_seq'), o.owner_id, step_now()
    from touched t join stock_owner o using (merchant_id, owner_id)
    where o.state = 'managed' and o.item_id is not null;
    return null;
end $$;
create trigger mark_due_new after insert on listing_demand
    referencing new table as touched for each statement execute function mark_demand();
create trigger mark_due_gone after delete on listing_demand
    referencing old table as touched for each statement execute function mark_demand();

create function mark_changed_demand() returns trigger language plpgsql as $$
begin
    insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
    select o.merchant_id, o.channel_id, nextval('due_listing_seq'), o.owner_id, step_now()
    from after n join before b using (merchant_id, owner_id) join stock_owner o using (merchant_id, owner_id)
    where o.state = 'managed' and o.item_id is not null
      and (n.units, n.low_below, n.recent) is distinct from (b.units, b.low_below, b.recent);
    return null;
end $$;
create trigger mark_due after update on listing_demand
    referencing old table as before new table as after
    for each statement execute function mark_changed_demand();

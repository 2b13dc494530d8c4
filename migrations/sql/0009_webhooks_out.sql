-- Webhooks to others: where to, what happened, and what is still to be told.

create sequence webhook_endpoint_seq;
create table webhook_endpoint (
    merchant_id   bigint not null references merchant,
    endpoint_id   bigint not null,
    url           text not null,
    description   text not null default '',
    events        text[] not null check (cardinality(events) > 0),
    sealed_secret bytea not null,
    state         text not null default 'active' check (state in ('active', 'paused', 'disabled')),
    failures      integer not null default 0,  -- in a row
    failing_since timestamptz,
    retry_at      timestamptz,                 -- nothing is sent there before
    last_error    text,
    created_at    timestamptz not null,
    primary key (merchant_id, endpoint_id)
);
create index webhook_endpoint_active on webhook_endpoint (merchant_id) where state = 'active';

-- Ids are given while the row that they tell of is locked: for one thing a higher one is the later.
create sequence webhook_event_seq;
create table webhook_event (
    merchant_id bigint not null,
    event_id    bigint not null,
    type        text not null,
    data        jsonb not null,
    occurred_at timestamptz not null,
    primary key (merchant_id, event_id)
);
create index webhook_event_old on webhook_event (merchant_id, occurred_at);

create table webhook_delivery (
    merchant_id  bigint not null,
    endpoint_id  bigint not null,
    event_id     bigint not null,
    state        text not null default 'waiting' check (state in ('waiting', 'delivered', 'failed')),
    attempts     integer not null default 0,
    due_at       timestamptz not null,  -- of one that a worker is at: when it is anybody's again
    attempted_at timestamptz,
    error        text,
    primary key (merchant_id, endpoint_id, event_id),
    foreign key (merchant_id, endpoint_id) references webhook_endpoint on delete cascade
) with (fillfactor = 80);
create index webhook_delivery_waiting on webhook_delivery (merchant_id, endpoint_id, event_id) where state = 'waiting';
create index webhook_delivery_event on webhook_delivery (merchant_id, event_id);

-- What happened is written in the transaction that made it true, in one statement for all rows of a statement, and only
-- where somebody wants to be told. `execute` plans it for the rows there are.
do $make$
declare made record;
begin
    for made in select * from (values
        ('stock.changed', 'level', 'update referencing new table as after', $said$
            select n.merchant_id, jsonb_build_object(
                'item_id', n.item_id, 'sku', i.sku, 'location_id', n.location_id, 'available', n.available,
                'committed', n.committed, 'damaged', n.damaged, 'quarantined', n.quarantined,
                'in_transit', n.in_transit, 'on_hand', n.on_hand) as data
            from after n join item i on i.merchant_id = n.merchant_id and i.item_id = n.item_id $said$),
        ('order.booked', 'sales_order', 'update referencing old table as before new table as after', $said$
            select n.merchant_id, jsonb_build_object(
                'order_id', n.order_id, 'channel_id', n.channel_id, 'order_key', n.order_key, 'number', n.number,
                'status', n.status, 'placed_at', n.placed_at, 'revision', n.posting_no) as data
            from after n join before b on b.merchant_id = n.merchant_id and b.order_id = n.order_id
            where n.posting_no > b.posting_no $said$),
        ('case.opened', 'case_file', 'insert referencing new table as after', $said$
            select n.merchant_id, jsonb_build_object(
                'case_id', n.case_id, 'kind', n.kind, 'channel_id', n.channel_id, 'subject', n.subject,
                'detail', n.detail) as data
            from after n where n.state = 'open' $said$),
        ('channel.state_changed', 'channel', 'update referencing old table as before new table as after', $said$
            select n.merchant_id, jsonb_build_object(
                'channel_id', n.channel_id, 'name', n.name, 'state', n.state, 'was', b.state, 'by', n.state_by) as data
            from after n join before b on b.merchant_id = n.merchant_id and b.channel_id = n.channel_id
            where n.state <> b.state $said$)
    ) m(event, told_of, happens, said) loop
        execute format($function$
            create function announce_%1$s() returns trigger language plpgsql as $body$
            begin
                if exists (select from webhook_endpoint where state = 'active' and %2$L = any(events)
                           and merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint) then
                    execute $sql$
                    with told as (
                        insert into webhook_event (merchant_id, event_id, type, data, occurred_at)
                        select s.merchant_id, nextval('webhook_event_seq'), %2$L, s.data, step_now() from (%3$s) s
                        returning merchant_id, event_id
                    )
                    insert into webhook_delivery (merchant_id, endpoint_id, event_id, due_at)
                    select t.merchant_id, e.endpoint_id, t.event_id, step_now() from told t
                    join webhook_endpoint e on e.merchant_id = t.merchant_id
                    where e.state = 'active' and %2$L = any(e.events)
                    $sql$;
                end if;
                return null;
            end $body$ $function$, made.told_of, made.event, made.said);
        execute format('create trigger announce after %s for each statement execute function announce_%s()',
                       replace(made.happens, ' referencing', ' on ' || made.told_of || ' referencing'), made.told_of);
    end loop;
end $make$;

-- Which endpoints have something to be told now.
create function list_webhooks_due(p_now timestamptz) returns table (merchant_id bigint, endpoint_id bigint)
    language sql stable security definer set search_path = public as $$
    select e.merchant_id, e.endpoint_id from webhook_endpoint e
    where e.state = 'active' and (e.retry_at is null or e.retry_at <= p_now) and exists (
        select from webhook_delivery d where d.merchant_id = e.merchant_id and d.endpoint_id = e.endpoint_id
        and d.state = 'waiting' and d.due_at <= p_now)
$$;

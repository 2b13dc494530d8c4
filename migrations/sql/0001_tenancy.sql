-- Row-level security, grants, and the few functions that look across merchants.

do $$
declare t regclass;
begin
    for t in
        select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'merchant_id' and not a.attisdropped
        where n.nspname = current_schema() and c.relkind in ('r', 'p') and c.relname <> 'channel_address'
    loop
        execute format('alter table %s enable row level security', t);
        execute format('alter table %s force row level security', t);
        execute format('create policy tenant on %s to perpetual_app '
                       'using (merchant_id = (select nullif(current_setting(''app.merchant_id'', true), '''')::bigint))', t);
        execute format('create policy owner on %s to current_role using (true)', t);
        execute format('grant select, insert, update, delete on %s to perpetual_app', t);
    end loop;
end $$;

revoke update, delete on movement, journal, cost_adjustment from perpetual_app;
grant usage on all sequences in schema public to perpetual_app;
grant usage on schema public to perpetual_app;

create function list_merchants() returns setof merchant
    language sql stable security definer set search_path = public as $$ select * from merchant order by merchant_id $$;

-- Whose deliveries these are: `n` counts the addresses from 1. Credentials are sealed and bound to their row.
create function find_shops(p_platforms text[], p_addresses text[])
    returns table (n integer, merchant_id bigint, channel_id bigint, platform text, name text, address text, base_url text,
                   sealed_credentials bytea, state text, drift_policy text, facts jsonb, location_keys text[])
    language sql stable security definer set search_path = public as $$
    select d.n::integer, c.merchant_id, c.channel_id, c.platform, c.name, c.address, c.base_url, c.sealed_credentials,
           c.state, c.drift_policy, c.facts,
           array(select distinct p.location_key from channel_location p where p.merchant_id = c.merchant_id
                 and p.channel_id = c.channel_id and p.location_key <> '' order by 1)
    from unnest(p_platforms, p_addresses) with ordinality d(platform, address, n)
    join channel_address a on a.platform = d.platform and a.address = d.address
    join channel c on c.merchant_id = a.merchant_id and c.channel_id = a.channel_id
$$;

create function register_channel(p_platform text, p_address text, p_merchant_id bigint, p_channel_id bigint) returns void
    language plpgsql security definer set search_path = public as $$
begin
    if p_merchant_id is distinct from nullif(current_setting('app.merchant_id', true), '')::bigint then
        raise exception 'a merchant registers only its own channels' using errcode = 'insufficient_privilege';
    end if;
    insert into channel_address (platform, address, merchant_id, channel_id)
    values (p_platform, p_address, p_merchant_id, p_channel_id);
end $$;

-- Who has something to do now: one row per merchant, channel and act. An index tells each without reading the rows.
-- Planned once a session: asked many times a second, planning over the inbox's partitions would cost ten times the looking.
create function list_work(p_now timestamptz) returns table (merchant_id bigint, channel_id bigint, act text)
    language sql stable security definer set search_path = public set plan_cache_mode = force_generic_plan
    set enable_seqscan = off as $$
    select c.merchant_id, c.channel_id, 'process' from channel c
    where c.state <> 'disconnected' and exists (
        select from inbox i where i.merchant_id = c.merchant_id and i.channel_id = c.channel_id
        and i.kind in ('document', 'observation') and i.state = 'open')
    union all
    select c.merchant_id, c.channel_id, 'ring' from channel c
    where c.state in ('active', 'shadow') and exists (
        select from inbox i where i.merchant_id = c.merchant_id and i.channel_id = c.channel_id
        and i.kind = 'doorbell' and (i.state = 'open' or i.state = 'reading' and i.deadline < p_now))
    union all
    select c.merchant_id, c.channel_id, 'poll_' || p.kind from channel c join channel_poll p using (merchant_id, channel_id)
    where c.state in ('active', 'shadow') and p.kind <> 'push' and (p.due_at <= p_now or p.asked_at >= p.started_at)
      and (p.deadline is null or p.deadline < p_now)
    union all
    select c.merchant_id, c.channel_id, 'look' from channel c
    where c.state in ('active', 'shadow') and exists (
        select from stock_owner o where o.merchant_id = c.merchant_id and o.channel_id = c.channel_id
        and (o.observed_revision is not null or o.look_since is not null or o.unclear_attempt_id is not null))
    union all
    select c.merchant_id, c.channel_id, 'push' from channel c join channel_poll p using (merchant_id, channel_id)
    where c.state = 'active' and p.kind = 'push' and p.due_at <= p_now and (
        exists (select from push_attempt a where a.merchant_id = c.merchant_id and a.channel_id = c.channel_id
                and a.state <> 'done' and a.deadline < p_now)
        or exists (select from due_listing d where d.merchant_id = c.merchant_id and d.channel_id = c.channel_id)
        and not exists (select from push_attempt a where a.merchant_id = c.merchant_id and a.channel_id = c.channel_id
                        and a.state <> 'done'))
$$;

create function get_setting(p_name text) returns text
    language sql stable security definer set search_path = public as $$ select value from instance_setting where name = p_name $$;
create function put_setting(p_name text, p_value text) returns void
    language sql security definer set search_path = public as $$
    insert into instance_setting values (p_name, p_value) on conflict (name) do update set value = excluded.value $$;

-- Partitions a few days ahead; old ones are dropped once nothing in them waits.
create function keep_inbox_partitions(p_today date, p_keep_days integer, p_unreadable_days integer) returns integer
    language plpgsql security definer set search_path = public as $$
declare d date; part record; waiting boolean; dropped integer := 0;
begin
    for d in select p_today + g from generate_series(0, 3) g loop
        if to_regclass('inbox_' || to_char(d, 'YYYYMMDD')) is null then
            begin
                execute format('create table inbox_%s partition of inbox for values from (%L) to (%L)',
                               to_char(d, 'YYYYMMDD'), d, d + 1);
            exception when check_violation then null;  -- its rows already lie in the default partition
            end;
        end if;
    end loop;
    for part in
        select c.oid::regclass::text as name, to_date(right(c.relname, 8), 'YYYYMMDD') as day from pg_inherits h
        join pg_class c on c.oid = h.inhrelid where h.inhparent = 'inbox'::regclass and c.relname ~ '^inbox_\d{8}$'
    loop
        if part.day < p_today - p_keep_days then
            execute format('select exists (select from %s where state <> ''done'')', part.name) into waiting;
            if not waiting then
                execute 'drop table ' || part.name;
                dropped := dropped + 1;
            end if;
        end if;
    end loop;
    -- What could not be read may hold anybody's data: it goes sooner, only the fact that it came stays.
    update inbox set body = null, state = 'done', done_at = p_today
    where state = 'parked' and topic = 'unreadable' and received_on < p_today - p_unreadable_days;
    return dropped;
end $$;

-- After much came at once the planner knows too little of it, and a merchant it does not know looks like one row.
create function refresh_statistics() returns void
    language plpgsql security definer set search_path = public as $$
begin
    analyze item, level, item_cost, cost_layer, movement, journal, listing, stock_owner, sales_order, order_line, order_position;
end $$;

-- A channel that is paused for long has many due rows for one owner; one is enough.
create function compact_due() returns bigint
    language sql security definer set search_path = public as $$
    with gone as (
        delete from due_listing d using (
            select merchant_id, channel_id, owner_id, max(due_id) as newest from due_listing
            group by merchant_id, channel_id, owner_id having count(*) > 50) o
        where d.merchant_id = o.merchant_id and d.channel_id = o.channel_id and d.owner_id = o.owner_id and d.due_id < o.newest
        returning 1)
    select count(*) from gone
$$;
select keep_inbox_partitions(current_date, 8, 7);

revoke execute on all functions in schema public from public;
grant execute on all functions in schema public to perpetual_app;

-- Who is gone for good is decided by who looks, after a while: a worker whose connection broke lives on. The function of
-- before stays, since workers of the version before may go on meanwhile.
create function absent_workers(p_now timestamptz) returns setof text
    language sql stable security definer set search_path = public as $$
    with present as materialized (
        select (classid::bigint << 32) | objid::bigint as key from pg_locks
        where locktype = 'advisory' and granted and objsubid = 1
          and database = (select oid from pg_database where datname = current_database())
    ), claimed as (
        select split_part(owner, '/', 1) as worker from push_attempt where state = 'open' and deadline >= p_now
        union select owner from channel_poll where deadline >= p_now and owner is not null
        union select owner from inbox
              where kind = 'doorbell' and state = 'reading' and deadline >= p_now and owner is not null
    )
    select worker from claimed where presence_key(worker) not in (select key from present)
$$;

create function free_abandoned(p_now timestamptz, p_workers text[]) returns bigint
    language sql security definer set search_path = public as $$
    with attempts as (
        update push_attempt set deadline = p_now - interval '1 microsecond'
        where state = 'open' and deadline >= p_now and split_part(owner, '/', 1) = any(p_workers)
        returning 1
    ), polls as (
        update channel_poll set deadline = p_now - interval '1 microsecond'
        where deadline >= p_now and owner = any(p_workers)
        returning 1
    ), rings as (
        update inbox set deadline = p_now - interval '1 microsecond', owner = null
        where kind = 'doorbell' and state = 'reading' and deadline >= p_now and owner = any(p_workers)
        returning 1
    )
    select (select count(*) from attempts) + (select count(*) from polls) + (select count(*) from rings)
$$;

-- What could not be read is erased before it is older than so many days, not a day later.
create or replace function keep_inbox_partitions(p_today date, p_keep_days integer, p_unreadable_days integer) returns integer
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
    where state = 'parked' and topic = 'unreadable' and received_on <= p_today - p_unreadable_days;
    return dropped;
end $$;

-- Looks at numbers that the shop refuses pause longer and longer, as readings and writes do.
alter table channel_poll drop constraint channel_poll_kind_check;
alter table channel_poll add constraint channel_poll_kind_check
    check (kind in ('orders', 'sweep', 'known', 'stock', 'push', 'look', 'webhooks', 'import', 'products', 'shop'));
insert into channel_poll (merchant_id, channel_id, kind, due_at, read_through)
select merchant_id, channel_id, 'look', created_at, created_at from channel
on conflict do nothing;

-- The latest of a quiet channel are found without reading what all the others were told.
create index inbox_documents on inbox (merchant_id, channel_id, received_on, inbox_id) where kind = 'document';

-- Old attempts are dropped in the order of their numbers.
create index push_attempt_old on push_attempt (merchant_id, closed_at) where state = 'done';

create or replace function list_work(p_now timestamptz) returns table (merchant_id bigint, channel_id bigint, act text)
    language sql stable security definer set search_path = public set plan_cache_mode = force_generic_plan
    set enable_seqscan = off as $$
    select c.merchant_id, c.channel_id, 'process' from channel c
    where c.state <> 'disconnected' and exists (
        select from inbox i where i.merchant_id = c.merchant_id and i.channel_id = c.channel_id
        and i.kind in ('document', 'observation') and i.state = 'open')
    union all
    select c.merchant_id, c.channel_id, 'app' from channel c
    where exists (
        select from inbox i where i.merchant_id = c.merchant_id and i.channel_id = c.channel_id
        and i.kind = 'app' and i.state = 'open')
    union all
    select c.merchant_id, c.channel_id, 'ring' from channel c
    where c.state in ('active', 'shadow') and exists (
        select from inbox i where i.merchant_id = c.merchant_id and i.channel_id = c.channel_id
        and i.kind = 'doorbell' and (i.state = 'open' or i.state = 'reading' and i.deadline < p_now))
    union all
    select c.merchant_id, c.channel_id, 'poll_' || p.kind from channel c join channel_poll p using (merchant_id, channel_id)
    where (c.state in ('active', 'shadow') or c.state = 'paused' and p.kind = 'shop') and p.kind not in ('push', 'look')
      and (p.due_at <= p_now or p.asked_at >= p.started_at) and (p.deadline is null or p.deadline < p_now)
    union all
    select c.merchant_id, c.channel_id, 'look' from channel c
    left join channel_poll p on p.merchant_id = c.merchant_id and p.channel_id = c.channel_id and p.kind = 'look'
    where c.state in ('active', 'shadow') and (exists (
        select from stock_owner o where o.merchant_id = c.merchant_id and o.channel_id = c.channel_id
        and o.observed_revision is not null)
      or coalesce(p.due_at <= p_now, true) and exists (
        select from stock_owner o where o.merchant_id = c.merchant_id and o.channel_id = c.channel_id
        and (o.look_since is not null or o.unclear_attempt_id is not null)))
    union all
    select c.merchant_id, c.channel_id, 'push_' || lane from channel c
    join channel_poll p using (merchant_id, channel_id), generate_series(0, c.write_lanes - 1) lane
    where c.state = 'active' and p.kind = 'push' and p.due_at <= p_now and (
        exists (select from push_attempt a where a.merchant_id = c.merchant_id and a.channel_id = c.channel_id
                and a.lane = lane and a.state <> 'done' and a.deadline < p_now)
        or exists (select from due_listing d where d.merchant_id = c.merchant_id and d.channel_id = c.channel_id
                   and d.owner_id % c.write_lanes = lane)
        and not exists (select from push_attempt a where a.merchant_id = c.merchant_id and a.channel_id = c.channel_id
                        and a.lane = lane and a.state <> 'done'))
    union all
    select c.merchant_id, c.channel_id, 'shadow' from channel c
    where c.state = 'shadow' and (c.activating_since is not null
        or exists (select from push_attempt a where a.merchant_id = c.merchant_id and a.channel_id = c.channel_id
                   and a.state <> 'done' and a.deadline < p_now)
        or exists (select from due_listing d where d.merchant_id = c.merchant_id and d.channel_id = c.channel_id))
$$;

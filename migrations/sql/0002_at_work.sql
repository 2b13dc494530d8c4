-- Who is at work, and how many writes a channel takes side by side.

-- An owner belongs to one lane; each lane has one attempt under way at a time.
alter table channel add column write_lanes smallint not null default 1 check (write_lanes between 1 and 4);
update channel set write_lanes = 2 where platform = 'woocommerce';
alter table push_attempt add column lane smallint not null default 0;
drop index push_attempt_one_open;
create unique index push_attempt_one_open on push_attempt (merchant_id, channel_id, lane) where state <> 'done';
alter table inbox add column owner text;

-- A worker holds an advisory lock named after it for as long as it lives: what it left behind when it died need not wait
-- for its deadline.
create function presence_key(p_worker text) returns bigint
    language sql immutable as $$ select hashtextextended('worker ' || p_worker, 0) $$;

create function free_abandoned(p_now timestamptz) returns bigint
    language sql security definer set search_path = public as $$
    with present as materialized (
        select (classid::bigint << 32) | objid::bigint as key from pg_locks
        where locktype = 'advisory' and granted and objsubid = 1
          and database = (select oid from pg_database where datname = current_database())
    ), attempts as (
        update push_attempt set deadline = p_now - interval '1 microsecond'
        where state = 'open' and deadline >= p_now
          and presence_key(split_part(owner, '/', 1)) not in (select key from present)
        returning 1
    ), polls as (
        update channel_poll set deadline = p_now - interval '1 microsecond'
        where deadline >= p_now and presence_key(owner) not in (select key from present)
        returning 1
    ), rings as (
        update inbox set deadline = p_now - interval '1 microsecond', owner = null
        where kind = 'doorbell' and state = 'reading' and deadline >= p_now
          and presence_key(owner) not in (select key from present)
        returning 1
    )
    select (select count(*) from attempts) + (select count(*) from polls) + (select count(*) from rings)
$$;

drop function list_work(timestamptz);
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
    select c.merchant_id, c.channel_id, 'push_' || lane from channel c
    join channel_poll p using (merchant_id, channel_id), generate_series(0, c.write_lanes - 1) lane
    where c.state = 'active' and p.kind = 'push' and p.due_at <= p_now and (
        exists (select from push_attempt a where a.merchant_id = c.merchant_id and a.channel_id = c.channel_id
                and a.lane = lane and a.state <> 'done' and a.deadline < p_now)
        or exists (select from due_listing d where d.merchant_id = c.merchant_id and d.channel_id = c.channel_id
                   and d.owner_id % c.write_lanes = lane)
        and not exists (select from push_attempt a where a.merchant_id = c.merchant_id and a.channel_id = c.channel_id
                        and a.lane = lane and a.state <> 'done'))
$$;

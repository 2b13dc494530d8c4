-- A number that is to be looked at a while later is no work until then.
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
        and (o.look_since <= p_now or o.unclear_attempt_id is not null)))
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

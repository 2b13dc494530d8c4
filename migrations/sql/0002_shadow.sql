-- Who set a channel's state and when; and channels in shadow: what would have been written to them, what they sold beyond.

alter table channel add column state_at timestamptz;
alter table channel add column state_by text not null default '';
-- Asked to become active: until its numbers and orders have been read after this it stays in shadow.
alter table channel add column activating_since timestamptz;
alter table channel add column activating_from text check (activating_from in ('paused', 'shadow', 'disconnected'));

-- What the channel would show had it been written to; null unless it is in shadow.
alter table stock_owner add column shadow_shown bigint;

create sequence shadow_seq cache 32;
create table shadow_write (
    merchant_id bigint not null,
    channel_id  bigint not null,
    shadow_id   bigint not null,
    owner_id    bigint not null,
    at          timestamptz not null,
    expected    bigint not null,  -- what it would have shown until then
    target      bigint not null,
    shown       bigint,           -- what it did show
    reasons     jsonb not null,
    primary key (merchant_id, channel_id, shadow_id),
    foreign key (merchant_id, channel_id) references channel
);
create index shadow_write_owner on shadow_write (merchant_id, owner_id, shadow_id);

-- Units that a channel in shadow sold beyond what it would have shown, or beyond what the ledger had.
create table shadow_sale (
    merchant_id bigint not null,
    channel_id  bigint not null,
    shadow_id   bigint not null,
    owner_id    bigint not null,
    at          timestamptz not null,
    units       bigint not null check (units > 0),
    would_show  bigint not null,
    available   bigint not null,
    primary key (merchant_id, channel_id, shadow_id),
    foreign key (merchant_id, channel_id) references channel
);
create index shadow_sale_owner on shadow_sale (merchant_id, owner_id, shadow_id);

create or replace function list_work(p_now timestamptz) returns table (merchant_id bigint, channel_id bigint, act text)
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
    union all
    select c.merchant_id, c.channel_id, 'shadow' from channel c
    where c.state = 'shadow' and (c.activating_since is not null
        or exists (select from push_attempt a where a.merchant_id = c.merchant_id and a.channel_id = c.channel_id
                   and a.state <> 'done' and a.deadline < p_now)
        or exists (select from due_listing d where d.merchant_id = c.merchant_id and d.channel_id = c.channel_id))
$$;

-- Apps that a platform installs: the state of a consent under way, what the platform tells us about our app, privacy.

-- Whose consent it is that a browser comes back with: taken once. Nobody's tenant, since a shop may have no merchant yet.
create table install_state (
    digest       bytea primary key,
    platform     text not null,
    domain       text not null,
    for_merchant bigint,
    expires_at   timestamptz not null
);

create function open_install(p_digest bytea, p_platform text, p_domain text, p_for bigint, p_expires timestamptz,
                             p_now timestamptz) returns void
    language sql security definer set search_path = public as $$
    delete from install_state where expires_at <= p_now;
    insert into install_state values (p_digest, p_platform, p_domain, p_for, p_expires)
$$;

create function take_install(p_digest bytea, p_platform text, p_now timestamptz)
    returns table (domain text, for_merchant bigint)
    language sql security definer set search_path = public as $$
    delete from install_state s where s.digest = p_digest and s.platform = p_platform and s.expires_at > p_now
    returning s.domain, s.for_merchant
$$;

-- A shop that was erased is nobody's: whoever installs the app there next begins anew.
create function release_shop(p_channel_id bigint) returns void
    language sql security definer set search_path = public as $$
    delete from channel_address
    where channel_id = p_channel_id and merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint
$$;

-- What the platform tells us about our app: uninstalled, a customer's or the shop's data to be erased.
alter table inbox drop constraint inbox_kind_check;
alter table inbox add constraint inbox_kind_check check (kind in ('document', 'doorbell', 'observation', 'app'));

create sequence privacy_seq;
-- Requests of customers and shops, without the customer: what was asked, and what was found and erased.
create table privacy_request (
    merchant_id bigint not null,
    privacy_id  bigint not null,
    channel_id  bigint not null,
    topic       text not null,
    request_key text collate "C" not null,
    received_at timestamptz not null,
    done_at     timestamptz not null,
    outcome     text not null,
    found       jsonb not null default '{}',
    primary key (merchant_id, privacy_id),
    foreign key (merchant_id, channel_id) references channel,
    constraint privacy_request_once unique (merchant_id, channel_id, topic, request_key, received_at)
);

alter table channel_poll drop constraint channel_poll_kind_check;
alter table channel_poll add constraint channel_poll_kind_check
    check (kind in ('orders', 'sweep', 'known', 'stock', 'push', 'webhooks', 'import', 'products', 'shop'));
-- Shops that an app is installed in are looked after once a day: the token is kept alive, what the shop is is read.
insert into channel_poll (merchant_id, channel_id, kind, due_at, read_through)
select merchant_id, channel_id, 'shop', created_at, created_at from channel where platform = 'shopify'
on conflict do nothing;

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
    where (c.state in ('active', 'shadow') or c.state = 'paused' and p.kind = 'shop') and p.kind <> 'push'
      and (p.due_at <= p_now or p.asked_at >= p.started_at) and (p.deadline is null or p.deadline < p_now)
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

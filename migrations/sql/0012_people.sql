-- People: who they are is over all merchants, what they may do is each merchant's.

create sequence user_seq;
create table user_account (
    user_id       bigint primary key,
    email         text collate "C" not null check (email ~ '^[!-~]{3,254}$' and email = lower(email)),
    name          text not null check (length(name) between 1 and 200),
    password_hash text not null,
    created_at    timestamptz not null,
    constraint user_email_taken unique (email)
);

create sequence user_session_seq;
create table user_session (
    token_hash bytea primary key,
    session_id bigint not null,
    user_id    bigint not null,
    opened_at  timestamptz not null,
    seen_at    timestamptz not null,
    expires_at timestamptz not null,
    closed_at  timestamptz,
    origin     text not null,
    agent      text not null
);
create index user_session_user on user_session (user_id, session_id);
create index user_session_expires on user_session (expires_at);

create table membership (
    merchant_id bigint not null references merchant,
    user_id     bigint not null,
    role        text not null check (role in ('owner', 'manager', 'buyer', 'clerk', 'bookkeeper', 'viewer')),
    since       timestamptz not null,
    primary key (merchant_id, user_id)
);
create index membership_user on membership (user_id);

create sequence invitation_seq;
create table invitation (
    merchant_id   bigint not null references merchant,
    invitation_id bigint not null,
    email         text collate "C" not null,
    role          text not null check (role in ('owner', 'manager', 'buyer', 'clerk', 'bookkeeper', 'viewer')),
    token_hash    bytea not null,
    invited_at    timestamptz not null,
    invited_by    text not null,
    expires_at    timestamptz not null,
    accepted_at   timestamptz,
    withdrawn_at  timestamptz,
    primary key (merchant_id, invitation_id)
);
create index invitation_token on invitation (token_hash);

create function has_users() returns boolean
    language sql stable security definer set search_path = public as $$ select exists (select from user_account) $$;

create function find_user(p_email text) returns table (user_id bigint, name text, password_hash text)
    language sql stable security definer set search_path = public as $$
    select u.user_id, u.name, u.password_hash from user_account u where u.email = p_email
$$;

create function create_user(p_email text, p_name text, p_password_hash text, p_now timestamptz) returns bigint
    language sql security definer set search_path = public as $$
    insert into user_account values (nextval('user_seq'), p_email, p_name, p_password_hash, p_now) returning user_id
$$;

create function set_user_password(p_user_id bigint, p_password_hash text) returns void
    language sql security definer set search_path = public as $$
    update user_account set password_hash = p_password_hash where user_id = p_user_id
$$;

create function list_users() returns table (email text, name text, merchant text, role text)
    language sql stable security definer set search_path = public as $$
    select u.email, u.name, m.name, s.role from user_account u
    left join membership s on s.user_id = u.user_id left join merchant m on m.merchant_id = s.merchant_id
    order by u.email, m.name
$$;

create function open_user_session(p_hash bytea, p_user_id bigint, p_now timestamptz, p_expires timestamptz, p_origin text,
                                  p_agent text) returns bigint
    language sql security definer set search_path = public as $$
    insert into user_session values (p_hash, nextval('user_session_seq'), p_user_id, p_now, p_now, p_expires, null, p_origin,
                                     p_agent) returning session_id
$$;

-- Who asks, with the merchants they may see; that they were there is noted once a minute.
create function find_user_session(p_hash bytea, p_now timestamptz)
    returns table (session_id bigint, user_id bigint, email text, name text, merchant_ids bigint[], roles text[])
    language plpgsql security definer set search_path = public as $$
#variable_conflict use_column
declare found_session user_session;
begin
    select s.* into found_session from user_session s
    where s.token_hash = p_hash and s.closed_at is null and s.expires_at > p_now;
    if found_session.session_id is null then
        return;
    end if;
    if found_session.seen_at < p_now - interval '1 minute' then
        update user_session s set seen_at = p_now where s.token_hash = p_hash and s.seen_at < p_now - interval '1 minute';
    end if;
    return query select found_session.session_id, u.user_id, u.email, u.name,
        array(select m.merchant_id from membership m where m.user_id = u.user_id order by m.merchant_id),
        array(select m.role from membership m where m.user_id = u.user_id order by m.merchant_id)
        from user_account u where u.user_id = found_session.user_id;
end $$;

create function list_user_sessions(p_user_id bigint, p_now timestamptz)
    returns table (session_id bigint, opened_at timestamptz, seen_at timestamptz, origin text, agent text)
    language sql stable security definer set search_path = public as $$
    select s.session_id, s.opened_at, s.seen_at, s.origin, s.agent from user_session s
    where s.user_id = p_user_id and s.closed_at is null and s.expires_at > p_now order by s.session_id desc limit 100
$$;

-- One session of a user, or all (null) but one (null: none is spared).
create function close_user_sessions(p_user_id bigint, p_only bigint, p_but bigint, p_now timestamptz) returns bigint
    language sql security definer set search_path = public as $$
    with gone as (
        update user_session s set closed_at = p_now
        where s.user_id = p_user_id and s.closed_at is null and (p_only is null or s.session_id = p_only)
          and s.session_id is distinct from p_but returning 1)
    select count(*) from gone
$$;

create function drop_old_sessions(p_before timestamptz) returns void
    language sql security definer set search_path = public as $$
    delete from user_session where expires_at < p_before
$$;

-- The members of the merchant whose transaction it is.
create function list_members(p_now timestamptz)
    returns table (user_id bigint, email text, name text, role text, since timestamptz, seen_at timestamptz, sessions bigint)
    language sql stable security definer set search_path = public as $$
    select u.user_id, u.email, u.name, m.role, m.since,
        (select max(s.seen_at) from user_session s where s.user_id = u.user_id),
        (select count(*) from user_session s where s.user_id = u.user_id and s.closed_at is null and s.expires_at > p_now)
    from membership m join user_account u on u.user_id = m.user_id
    where m.merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint order by u.email limit 500
$$;

create function find_invitation(p_hash bytea, p_now timestamptz)
    returns table (merchant_id bigint, merchant text, invitation_id bigint, email text, role text, is_known boolean)
    language sql stable security definer set search_path = public as $$
    select i.merchant_id, m.name, i.invitation_id, i.email, i.role,
           exists (select from user_account u where u.email = i.email)
    from invitation i join merchant m on m.merchant_id = i.merchant_id
    where i.token_hash = p_hash and i.accepted_at is null and i.withdrawn_at is null and i.expires_at > p_now
$$;

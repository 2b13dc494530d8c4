-- Who did what: a chain of entries per merchant. Each entry's hash covers the one before, so one that is changed or taken
-- out is found; the head tells when the newest ones are gone. Rows come in through `append_audit` alone.

create table audit_log (
    merchant_id   bigint not null,
    number        bigint not null check (number > 0),
    noted_at      timestamptz not null,
    actor         text not null,
    action        text not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
    subject       text not null,
    before        jsonb,
    after         jsonb,
    origin        text not null,
    previous_hash bytea not null,
    hash          bytea not null,
    primary key (merchant_id, number)
);
create table audit_head (
    merchant_id bigint not null references merchant,
    number      bigint not null,
    hash        bytea not null,
    primary key (merchant_id)
);

create function refuse_rewriting() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = 'append_only';
end $$;
create trigger append_only before update or delete or truncate on audit_log
    for each statement execute function refuse_rewriting();

-- jsonb has one way to write a value, so equal entries have equal hashes.
create function audit_hash(e audit_log) returns bytea
    language sql immutable set timezone = 'UTC' as $$
    select sha256(convert_to(jsonb_build_array(
        e.merchant_id, e.number, to_char(e.noted_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), e.actor, e.action,
        e.subject, e.before, e.after, e.origin, encode(e.previous_hash, 'hex'))::text, 'UTF8'))
$$;

-- Who acts and from where is what the transaction says of itself, unless the entry names somebody.
create function append_audit(p_now timestamptz, p_actor text, p_action text, p_subject text, p_before jsonb, p_after jsonb)
    returns bigint
    language plpgsql security definer set search_path = public as $$
declare
    e audit_log;
    m bigint := nullif(current_setting('app.merchant_id', true), '')::bigint;
begin
    insert into audit_head (merchant_id, number, hash) values (m, 0, '') on conflict do nothing;
    select number + 1, hash into e.number, e.previous_hash from audit_head where merchant_id = m for update;
    e.merchant_id := m;
    e.noted_at := p_now;
    e.actor := coalesce(p_actor, nullif(current_setting('app.actor', true), ''), 'system');
    e.action := p_action;
    e.subject := p_subject;
    e.before := p_before;
    e.after := p_after;
    e.origin := coalesce(current_setting('app.origin', true), '');
    e.hash := audit_hash(e);
    insert into audit_log values (e.*);
    update audit_head set number = e.number, hash = e.hash where merchant_id = m;
    return e.number;
end $$;

-- API keys: a merchant's programs, each with what it may do. Only a key's hash is kept.

create sequence api_key_seq;
create table api_key (
    merchant_id  bigint not null references merchant,
    key_id       bigint not null,
    name         text not null check (length(name) between 1 and 200),
    scopes       text[] not null check (cardinality(scopes) > 0),
    created_at   timestamptz not null,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    primary key (merchant_id, key_id)
);

-- The registry: whose key is this? Read through functions only.
create table api_key_hash (
    token_hash  bytea not null,
    merchant_id bigint not null,
    key_id      bigint not null,
    constraint api_key_hash_taken primary key (token_hash)
);

create function register_key(p_hash bytea, p_merchant_id bigint, p_key_id bigint) returns void
    language plpgsql security definer set search_path = public as $$
begin
    if p_merchant_id is distinct from nullif(current_setting('app.merchant_id', true), '')::bigint then
        raise exception 'a merchant registers only its own keys' using errcode = 'insufficient_privilege';
    end if;
    insert into api_key_hash (token_hash, merchant_id, key_id) values (p_hash, p_merchant_id, p_key_id);
end $$;

-- The key that is neither revoked nor expired; that it was used is noted once a minute, not with every call.
create function find_key(p_hash bytea, p_now timestamptz)
    returns table (merchant_id bigint, key_id bigint, name text, scopes text[])
    language plpgsql security definer set search_path = public as $$
#variable_conflict use_column
declare found_key api_key;
begin
    select k.* into found_key from api_key_hash h
    join api_key k on k.merchant_id = h.merchant_id and k.key_id = h.key_id
    where h.token_hash = p_hash and k.revoked_at is null and (k.expires_at is null or k.expires_at > p_now);
    if found_key.key_id is null then
        return;
    end if;
    if found_key.last_used_at is null or found_key.last_used_at < p_now - interval '1 minute' then
        update api_key k set last_used_at = p_now
        where k.merchant_id = found_key.merchant_id and k.key_id = found_key.key_id
          and (k.last_used_at is null or k.last_used_at < p_now - interval '1 minute');
    end if;
    return query select found_key.merchant_id, found_key.key_id, found_key.name, found_key.scopes;
end $$;

-- History is sealed some time after it was written, never while posting: a chain of hashes over the postings of a
-- merchant, in the order of their ids. Whoever may change rows in spite of grants and triggers is found out by it.

create table history_seal (
    merchant_id   bigint not null,
    number        bigint not null check (number > 0),
    first_id      bigint not null,   -- postings after this one,
    last_id       bigint not null check (last_id > first_id),  -- up to this one
    rows          bigint not null,
    previous_hash bytea not null,
    hash          bytea not null,
    sealed_at     timestamptz not null,
    primary key (merchant_id, number)
);
create trigger append_only before update or delete or truncate on history_seal
    for each statement execute function refuse_change();

-- Columns are named, so that a column that comes later changes no hash; settings decide how a moment is written.
create function history_hash(p_merchant bigint, p_after bigint, p_to bigint, p_previous bytea,
                             out rows bigint, out hash bytea)
    language sql stable set timezone = 'UTC' set datestyle = 'ISO, MDY' as $$
    with told as materialized (
        select movement_id as id, 1 as kind, 0 as line,
               row(movement_id, item_id, quantity, from_state, from_location_id, to_state, to_location_id, source, source_key,
                   reason, reverses_movement_id, occurred_at, posted_on, recorded_at)::text as said
        from movement where merchant_id = p_merchant and movement_id > p_after and movement_id <= p_to
        union all
        select posting_id, 2, line, row(posting_id, line, item_id, debit, credit, amount, provisional, corrects_posting_id,
                                        posted_on, recorded_at)::text
        from journal where merchant_id = p_merchant and posting_id > p_after and posting_id <= p_to
        union all
        select posting_id, 3, 0, row(posting_id, item_id, movement_id, amount, account, source, source_key, occurred_at,
                                     posted_on, recorded_at)::text
        from cost_adjustment where merchant_id = p_merchant and posting_id > p_after and posting_id <= p_to
    )
    select count(*), sha256(p_previous || convert_to(coalesce(string_agg(said, E'\n' order by id, kind, line), ''), 'UTF8'))
    from told
$$;

-- What was paid for received goods in another currency, as it was paid; the movement's value is in the merchant's own.
create table movement_purchase (
    merchant_id bigint not null,
    movement_id bigint not null,
    amount      numeric(18,4) not null check (amount >= 0),
    currency    text not null check (currency ~ '^[A-Z]{3}$'),
    rate        numeric(18,8) not null check (rate > 0),
    rate_on     date not null,
    primary key (merchant_id, movement_id)
);
create trigger append_only before update or delete or truncate on movement_purchase
    for each statement execute function refuse_change();

-- As before, and what was paid: where nothing was paid in another currency every hash stays what it was.
create or replace function history_hash(p_merchant bigint, p_after bigint, p_to bigint, p_previous bytea,
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
        union all
        select movement_id, 4, 0, row(movement_id, amount, currency, rate, rate_on)::text
        from movement_purchase where merchant_id = p_merchant and movement_id > p_after and movement_id <= p_to
    )
    select count(*), sha256(p_previous || convert_to(coalesce(string_agg(said, E'\n' order by id, kind, line), ''), 'UTF8'))
    from told
$$;

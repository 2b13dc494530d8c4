-- Marking what a change of levels makes due, without joining its rows before and after: a posting has the planner go row by
-- row along the key, which for a join of two batches is quadratic. Planned once a session, and always along the indexes.
create or replace function mark_levels() returns trigger language plpgsql
    set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
begin
    insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
    with changed as materialized (
        select merchant_id, item_id
        from (select merchant_id, item_id, location_id, available from before
              union all
              select merchant_id, item_id, location_id, available from after) v
        group by merchant_id, item_id, location_id having min(available) <> max(available))
    select o.merchant_id, o.channel_id, nextval('due_listing_seq'), o.owner_id, step_now()
    from (
        select merchant_id, item_id from changed
        union
        select c.merchant_id, k.kit_item_id from changed c
        join kit_component k on k.merchant_id = c.merchant_id and k.component_item_id = c.item_id
    ) i
    join stock_owner o on o.merchant_id = i.merchant_id and o.item_id = i.item_id and o.state = 'managed';
    return null;
end $$;

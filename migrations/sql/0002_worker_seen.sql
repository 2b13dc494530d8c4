-- Whether any worker lives: beside the lock named after it each holds this one with the others (shared).
create function is_worker_present() returns boolean
    language sql stable as $$
    select exists (
        select from pg_locks where locktype = 'advisory' and granted and objsubid = 1
          and database = (select oid from pg_database where datname = current_database())
          and (classid::bigint << 32) | objid::bigint = presence_key('of any')
          and mode = 'ShareLock')
$$;

create index stock_owner_unmanaged on stock_owner (merchant_id, channel_id) where state <> 'managed' and item_id is not null;

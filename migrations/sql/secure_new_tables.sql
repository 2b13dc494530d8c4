-- Ends every revision: a tenant table that has no policy yet gets the one that all have, and no function is public.
do $$
declare t regclass;
begin
    for t in
        select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'merchant_id' and not a.attisdropped
        where n.nspname = current_schema() and c.relkind in ('r', 'p') and not c.relispartition
          and not c.relrowsecurity
          and c.relname not in ('channel_address', 'api_key_hash')  -- registries, read through functions only
    loop
        execute format('alter table %s enable row level security', t);
        execute format('alter table %s force row level security', t);
        execute format('create policy tenant on %s to perpetual_app '
                       'using (merchant_id = (select nullif(current_setting(''app.merchant_id'', true), '''')::bigint))', t);
        execute format('create policy owner on %s to current_role using (true)', t);
        execute format('grant select, insert, update, delete on %s to perpetual_app', t);
    end loop;
end $$;
grant usage on all sequences in schema public to perpetual_app;
revoke execute on all functions in schema public from public;
grant execute on all functions in schema public to perpetual_app;

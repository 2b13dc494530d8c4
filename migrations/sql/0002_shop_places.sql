-- One shop belongs to one merchant, whatever address its deliveries come to.

-- Where a shop is, without what may differ between two ways to write it.
create function shop_place(p_base_url text) returns text
    language sql immutable as $$
    select rtrim(regexp_replace(regexp_replace(lower(p_base_url), '^https?://(www\.)?', ''), '^([^/:]+):(80|443)(/|$)', '\1\3'),
                 '/')
$$;

alter table channel_address add column place text;
-- Where two merchants have one shop already, who came first has it.
update channel_address a set place = shop_place(c.base_url) from channel c
where c.merchant_id = a.merchant_id and c.channel_id = a.channel_id and not exists (
    select from channel b where b.platform = a.platform and shop_place(b.base_url) = shop_place(c.base_url)
    and (b.created_at, b.merchant_id, b.channel_id) < (c.created_at, c.merchant_id, c.channel_id));
create unique index channel_place_taken on channel_address (platform, place);

create function place_shop(p_platform text, p_address text, p_base_url text) returns void
    language sql security definer set search_path = public as $$
    update channel_address set place = shop_place(p_base_url)
    where platform = p_platform and address = p_address
      and merchant_id = nullif(current_setting('app.merchant_id', true), '')::bigint
      and place is distinct from shop_place(p_base_url)
$$;

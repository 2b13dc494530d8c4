-- Saying which item a listing is: what a person took out stays out, and what is not mapped is found at once.

-- A person said that it is none of our items: an import does not match it by its SKU again.
alter table listing add column left_out boolean not null default false;
create index listing_unmapped on listing (merchant_id, channel_id, listing_key) where item_id is null;
create index listing_stock_key on listing (merchant_id, channel_id, stock_key);

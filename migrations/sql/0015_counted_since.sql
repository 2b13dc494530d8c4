-- When the reading began that a number's belief starts from: whatever its shop sold before is in that number already.
alter table stock_owner add column counted_since timestamptz;

-- What a shop's number was without already, for orders from before it was connected: the ledger never took it off.
alter table order_position add column taken_before bigint not null default 0;

-- Cases of drift have a life: what caused them, what was decided by whom, when they ended and how.

alter table case_file add column owner_id bigint;
alter table case_file add column cause text;
alter table case_file add column difference bigint;  -- units that the channel shows more than its orders explain
alter table case_file add column decision text check (decision in ('ledger', 'channel'));
alter table case_file add column decided_at timestamptz;
alter table case_file add column decided_by text;
create index case_file_owner on case_file (merchant_id, owner_id, opened_at) where owner_id is not null;
create index case_file_adjust on case_file (merchant_id, channel_id) where state = 'open' and decision = 'channel';
-- Until now the ledger's number was written again and nobody closed the case.
update case_file set state = 'corrected', closed_at = opened_at, decision = 'ledger', decided_at = opened_at,
    decided_by = 'policy'
where kind = 'drift' and state = 'open';

-- `case_id`: its open case of drift. `held`: nothing is written there until that case is decided. `passed`: the numbers
-- that known orders and acknowledged writes made it pass through since it was seen as believed.
alter table stock_owner add column case_id bigint;
alter table stock_owner add column held boolean not null default false;
alter table stock_owner add column passed bigint[] not null default '{}';
alter table stock_owner add column confirmed_at timestamptz;

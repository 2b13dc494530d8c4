-- What the API keeps: answers that may be asked for again, and what each key may still ask for.

create table api_answer (
    merchant_id bigint not null,
    key         text collate "C" not null,  -- the Idempotency-Key
    digest      bytea not null,             -- of the request that came with it
    status      smallint,
    headers     jsonb,
    body        bytea,
    created_at  timestamptz not null,
    primary key (merchant_id, key)
);
create index api_answer_created on api_answer (merchant_id, created_at);

create table api_budget (
    merchant_id bigint not null,
    key_id      bigint not null,
    tokens      double precision not null,
    refused     boolean not null,
    at          timestamptz not null,
    primary key (merchant_id, key_id),
    foreign key (merchant_id, key_id) references api_key
) with (fillfactor = 50);

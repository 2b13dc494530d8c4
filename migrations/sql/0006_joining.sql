-- Shops that are being joined: asked for, approved in the shop itself, keys proved there, connected. And what a channel's
-- requirements looked like when somebody last had them looked over.

create sequence shop_joining_seq;
create table shop_joining (
    merchant_id  bigint not null references merchant,
    joining_id   bigint not null,
    platform     text not null,
    name         text not null check (length(name) between 1 and 200),
    base_url     text not null check (length(base_url) <= 1000),
    state        text not null default 'asked' check (state in ('asked', 'granted', 'denied', 'done')),
    token_hash   bytea not null,           -- of what comes back with the keys; good once
    sealed_token bytea not null,           -- the same, for the link on the page
    sealed_keys  bytea,                    -- as the shop sent them, not proved yet
    created_at   timestamptz not null,
    expires_at   timestamptz not null,
    granted_at   timestamptz,
    channel_id   bigint,
    primary key (merchant_id, joining_id),
    foreign key (merchant_id, channel_id) references channel
);
create index shop_joining_old on shop_joining (merchant_id, expires_at);

create table channel_check (
    merchant_id  bigint not null,
    channel_id   bigint not null,
    checked_at   timestamptz not null,
    requirements jsonb not null,
    primary key (merchant_id, channel_id),
    foreign key (merchant_id, channel_id) references channel
);

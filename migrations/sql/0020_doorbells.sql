-- Every doorbell about an order is kept with the time at which it rang: a reading that began after it answers it, however
-- many there are. Those about numbers and products carry nothing but a key, and one of each waits.
drop index inbox_doorbell;
create unique index inbox_doorbell on inbox (merchant_id, received_on, channel_id, resource, resource_key)
    where kind = 'doorbell' and state = 'open' and resource <> 'order';

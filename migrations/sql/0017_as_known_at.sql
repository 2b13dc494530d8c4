create index movement_recorded on movement using brin (recorded_at);

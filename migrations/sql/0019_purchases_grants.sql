-- After the new table was secured like the others: what was paid is history.
revoke update, delete on movement_purchase from perpetual_app;

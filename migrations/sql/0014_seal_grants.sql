-- After the new table was secured like the others: a seal is made once.
revoke update, delete on history_seal from perpetual_app;

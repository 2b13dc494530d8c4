-- After the new tables were secured like the others: nobody but the function writes here.
revoke insert, update, delete on audit_log, audit_head from perpetual_app;

"""Reports and pages' data. Only reads; nothing here changes anything."""

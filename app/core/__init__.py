"""What everything stands on: configuration, database, clock, tenancy, secrets, errors. Knows nothing above it."""

"""What others want to be told: where to, and the telling, by Standard Webhooks."""

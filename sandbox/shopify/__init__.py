"""A pretend Shopify: the real Admin schema, executed over a small shop in memory."""

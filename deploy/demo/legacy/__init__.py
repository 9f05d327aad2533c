"""An application from before the shop, kept running beside it."""

"""What no single file shows: nginx and applications side by side, and what an application believes of a forgery."""

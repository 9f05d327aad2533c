"""What processes of a stack say to each other: frames, orders, reports, and the state a supervisor starts from."""

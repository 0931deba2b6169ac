"""The command: `./quire up | demo | submit | job | cancel | stats`. It starts the services, and never imports them."""

"""What a requester asks to have signed, and how every signer judges it."""

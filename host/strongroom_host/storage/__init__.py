"""What the host keeps: wallets with sealed records, requests with their history. Nothing is secret, nothing trusted."""

"""What a wallet may sign: a document with a closed vocabulary, integers only, default deny."""

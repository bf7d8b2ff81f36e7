"""One file per chain: strict decoding of what is to be signed, into effects that a policy can judge."""

"""What officers order and signers certify: roster, order, administrators, sealed record, certificate."""

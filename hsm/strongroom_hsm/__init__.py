"""The signer program beside a PKCS#11 HSM: sealing and identity keys that the token never releases."""

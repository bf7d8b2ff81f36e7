"""What each signer remembers of what it agreed to sign, so that nobody who holds its disk can make it forget.

The argument is docs/adr/0011; the bytes are docs/specification.md section 14.
"""

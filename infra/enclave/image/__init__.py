"""The enclave's image, the same bytes whoever builds it: `make eif`. docs/image.md lists what is in it, and why."""

"""vsock between a virtual machine and this one, without the kernel's: a vhost-user device behind Unix sockets.

The parent instance of an enclave has CID 3. Its programs are reached, and reach the enclave, as Firecracker has it:

- host to enclave: connect to `PATH`, say `CONNECT <port>\\n`, read `OK <port>\\n`, then speak;
- enclave to host: what calls CID 3 at a port arrives at `PATH_<port>`.

(`vhost-device-vsock`, the usual program for it, passes on calls to CID 2 alone.)
"""

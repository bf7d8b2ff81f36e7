"""What AWS boots: the kernel, the image around it, and the machine that tries it without AWS."""

"""Guest images: a kernel, what it boots with, and a disk, made of Debian packages and named by the
hash of what is in them. The same packages give the same bytes."""

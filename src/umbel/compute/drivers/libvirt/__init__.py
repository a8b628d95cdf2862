"""Functions as guests of the operator's hypervisors, through libvirt. What speaks to libvirt is
loaded when the first hypervisor is reached."""
